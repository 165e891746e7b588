"""The table of published recipes: whole, plausible, with a source for each, and strict."""

import re

import pytest

from zenplan.adapters.tables.models import read_models
from zenplan.adapters.tables.named_configurations import read_named_configurations
from zenplan.adapters.tables.recipes import COLUMNS, read_recipes
from zenplan.errors import DataError

ROW = {
    "name": "toy",
    "tokens": "1000000000",
    "global_batch_tokens": "524288",
    "seq_len": "1024",
    "epochs": "2",
    "source": "a paper, table 1",
    "status": "read",
    "date": "2026-11-29",
}


def table(**changes: str) -> str:
    row = ROW | changes
    return ",".join(COLUMNS) + "\n" + ",".join(f'"{row[column]}"' for column in COLUMNS) + "\n"


def test_each_named_language_model_was_looked_up() -> None:
    language = {name for name, model in read_named_configurations().items() if model.pretraining}
    assert set(read_recipes()) == set(read_models()) | language
    assert all(preset.pretraining is not None for preset in read_models().values())


def test_each_recipe_has_a_source_that_says_where_and_when() -> None:
    for name, recipe in read_recipes().items():
        assert re.search(r"\((read|recalled) \d{4}-\d{2}-\d{2}\)$", recipe.source), name
        # Whose document, and which part of it or which file.
        assert re.search(r"arXiv|:|[Mm]odel card|section|announcement", recipe.source), name


def test_figures_are_plausible() -> None:
    for name, recipe in read_recipes().items():
        if recipe.tokens is not None:
            assert 1e10 <= recipe.tokens <= 1e14, name
        if recipe.seq_len is not None:
            assert 128 <= recipe.seq_len <= 32_768, name
        if recipe.global_batch_tokens is not None:
            assert 3e4 <= recipe.global_batch_tokens <= 1e8, name
            assert recipe.seq_len is not None, name
            if recipe.tokens is not None:
                assert 10_000 <= recipe.tokens / recipe.global_batch_tokens <= 6e6, name
        if recipe.epochs is not None:
            assert 1 < recipe.epochs <= 100, name


@pytest.mark.parametrize(
    ("name", "tokens", "batch", "seq_len"),
    [
        ("gpt3-175b", 300e9, 3.2e6, 2048),
        ("llama2-70b", 2e12, 4e6, 4096),
        ("llama3-8b", 15e12, 16e6, 8192),
        ("bloom-176b", 366e9, 2048 * 2048, 2048),
        ("deepseek-v3", 14.8e12, 15_360 * 4096, 4096),
        ("opt-66b", 300e9, 2e6, 2048),
        ("pythia-12b", 143_000 * 1024 * 2048, 1024 * 2048, 2048),
        ("gemma2-27b", 13e12, None, 8192),
        ("mistral-7b", None, None, None),
    ],
)
def test_well_known_recipes(name: str, tokens: float | None, batch: float | None, seq_len: int | None) -> None:
    found = read_recipes()[name]
    assert (found.tokens, found.global_batch_tokens, found.seq_len) == (tokens, batch, seq_len)


def test_an_empty_cell_is_not_published() -> None:
    empty = dict.fromkeys(("tokens", "global_batch_tokens", "seq_len", "epochs"), "")
    found = read_recipes(table(**empty))["toy"]
    assert (found.tokens, found.global_batch_tokens, found.seq_len, found.epochs) == (None, None, None, None)
    assert found.source == "a paper, table 1 (read 2026-11-29)"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", ""),
        ("tokens", "many"),
        ("tokens", "0"),
        ("tokens", "nan"),
        ("tokens", "1000"),  # less than a batch
        ("global_batch_tokens", "1.5"),
        ("global_batch_tokens", "512"),  # less than a sequence
        ("seq_len", "-1"),
        ("epochs", "inf"),
        ("source", ""),
        ("status", "guessed"),
        ("date", ""),
    ],
)
def test_a_wrong_cell_is_a_data_error(column: str, value: str) -> None:
    with pytest.raises(DataError) as error:
        read_recipes(table(**{column: value}))
    assert "line 2" in error.value.message


def test_a_name_that_comes_twice_is_a_data_error() -> None:
    twice = table() + table().splitlines()[1] + "\n"
    with pytest.raises(DataError, match="twice"):
        read_recipes(twice)
