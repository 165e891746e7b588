"""The table of published scaling runs, and how ``benchmarks/scaling_published.py`` makes series of rows and scores them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zenplan.adapters.tables.coefficients import read_coefficients

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def scaling() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("scaling_published")


@pytest.fixture(scope="module")
def own(scaling: ModuleType) -> list[Any]:
    """The series of ``scaling.csv``."""
    return [one for one in scaling.all_series() if "series" in one.rows[0]]


def test_a_series_is_one_configuration_on_several_counts(own: list[Any]) -> None:
    for series in own:
        for name in ("model", "accelerator", "precision", "framework", "source", "tp", "pp", "seq_len"):
            assert len({row[name] for row in series.rows}) == 1, (series.name, name)
        counts = [int(row["devices"]) for row in series.rows]
        assert len(set(counts)) == len(counts) > 1, series.name
        batches = {
            int(row["global_batch"]) / (int(row["devices"]) if series.kind == "weak" else 1) for row in series.rows
        }
        assert len(batches) == 1, series.name


def test_a_speed_is_that_of_one_device(own: list[Any]) -> None:
    # One that were of all devices would grow with them.
    for series in own:
        speeds = [float(row["tokens_per_s_per_device"] or row["samples_per_s_per_device"]) for row in series.rows]
        assert max(speeds) <= 1.05 * speeds[0], series.name


def test_printed_degrees_make_the_devices(own: list[Any]) -> None:
    for row in (row for series in own for row in series.rows if row["dp"]):
        assert int(row["dp"]) * int(row["tp"] or 1) * int(row["pp"] or 1) == int(row["devices"]), row["id"]


def test_there_are_many_series_of_many_publishers(scaling: ModuleType) -> None:
    every = scaling.all_series()
    assert len(every) >= 40
    assert len({one.publisher for one in every}) >= 8
    assert {one.kind for one in every} == {"weak", "strong"}
    counts = [int(row["devices"]) for one in every for row in one.rows]
    assert min(counts) == 1
    assert max(counts) >= 512


def test_every_row_of_the_table_is_predicted(scaling: ModuleType, own: list[Any]) -> None:
    scored = scaling.score(own, read_coefficients())
    assert [one.devices for one in scored] == [tuple(int(row["devices"]) for row in one.rows) for one in own]
    assert all(one.published[0] == one.predicted[0] == 1.0 for one in scored)


def row(devices: int, batch: int, model: str = "m") -> dict[str, str]:
    known = {"id": str(devices), "source": "x", "publisher": "p", "model": model}
    return known | {"devices": str(devices), "global_batch": str(batch or "")}


def test_rows_that_differ_in_their_devices_alone_are_a_series(scaling: ModuleType) -> None:
    rows = [row(1, 8), row(4, 32), row(8, 32), row(16, 32, model="n"), row(2, 24), row(64, 0)]
    found = [(one.kind, [int(r["devices"]) for r in one.rows]) for one in scaling._of_table(rows)]
    assert found == [("weak", [1, 4]), ("strong", [4, 8])]


def test_errors_are_points_and_the_efficient_number_the_last_that_pays(scaling: ModuleType, own: list[Any]) -> None:
    one = scaling.Scored(
        series=own[0],
        devices=(1, 8, 16, 32),
        published=(1.0, 0.9, 0.82, 0.7),
        predicted=(1.0, 0.95, 0.9, 0.8),
        across=True,
        language=True,
    )
    assert one.points == pytest.approx([5.0, 8.0, 10.0])
    assert one.workers == (16, 32)
