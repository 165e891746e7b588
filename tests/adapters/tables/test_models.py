import csv
import io
from importlib import resources

import pytest

from zenplan.adapters.tables.models import COLUMNS, read_models
from zenplan.errors import DataError

TEXT = (resources.files("zenplan") / "data" / "models.csv").read_text(encoding="utf-8")


def table(**changes: str) -> str:
    """The first row of the bundled table, changed."""
    row = next(csv.DictReader(TEXT.splitlines())) | changes
    out = io.StringIO()
    writer = csv.DictWriter(out, list(row))
    writer.writeheader()
    writer.writerow(row)
    return out.getvalue()


def test_the_bundled_table_has_the_well_known_models_with_their_sources() -> None:
    models = read_models()
    assert len(models) >= 30
    assert len([p for p in models.values() if p.status == "read"]) >= 30
    assert all(p.source and p.date for p in models.values())
    sizes = ("125m", "350m", "760m", "1.3b", "2.7b", "6.7b", "13b", "175b")
    assert {f"gpt3-{size}" for size in sizes} <= set(models)


def test_each_row_is_as_wide_as_the_header() -> None:
    rows = list(csv.reader(TEXT.splitlines()))
    assert set(rows[0]) == set(COLUMNS)
    assert {len(row) for row in rows} == {len(COLUMNS)}


def test_windows_experts_and_latent_attention_are_read() -> None:
    models = read_models()
    assert models["gemma2-9b"].shape.windows == (4096, None)
    assert not models["gemma2-9b"].shape.chunked
    chunked = models["llama-4-scout"].shape
    assert (chunked.windows, chunked.chunked) == ((8192, 8192, 8192, None), True)
    mixed = models["deepseek-v3"].shape
    assert mixed.experts is not None
    assert mixed.latent is not None
    assert (mixed.experts.count, mixed.experts.active, mixed.experts.dense_layers) == (256, 8, 3)
    assert (mixed.latent.query_rank, mixed.latent.value_dim) == (1536, 128)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        read_models()["mine"] = read_models()["gpt2-124m"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("layers", "twelve"),
        ("layers", ""),
        ("layers", "-1"),
        ("layers", "0"),
        ("gated", "maybe"),
        ("parameters", "many"),
        ("parameters", "nan"),
        ("status", "guessed"),
        ("family", "cnn"),
        ("heads", "7"),
        ("windows", "wide"),
        ("source", ""),
    ],
)
def test_a_wrong_cell_is_a_data_error(column: str, value: str) -> None:
    with pytest.raises(DataError) as error:
        read_models(table(**{column: value}))
    assert "\n" not in error.value.message


def test_a_missing_column_and_a_name_that_comes_twice_are_data_errors() -> None:
    with pytest.raises(DataError, match="no column"):
        read_models("name,layers\nx,1\n")
    twice = table() + table(name="other").splitlines()[1] + "\n"
    with pytest.raises(DataError, match="belongs to"):
        read_models(twice)


def test_an_empty_table_has_no_models() -> None:
    assert dict(read_models(TEXT.splitlines()[0])) == {}
