"""The published tables of other models, operators and MLPerf: every row names itself and its source, and can be read."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from zenplan.adapters.runs.rows import MEASURED, NUMBERS, WHOLE, measured_run
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.fit.efficiency import FITTED_MAKERS
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import BY_NAME

PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "published"
CATALOGUE = Catalogue(accelerators=read_accelerators())
RUNS = ("other_models.csv", "keras_backends.csv", "mlperf_throughput.csv", "scaling.csv")


def rows(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", [*RUNS, "operators.csv", "mlperf_runs.csv"])
def test_every_row_has_a_name_of_its_own_a_source_and_a_licence(name: str) -> None:
    table = rows(name)
    assert len({row["id"] for row in table}) == len(table)
    assert all(":" in row["source"] or "/" in row["source"] for row in table)
    assert all(row["licence"] for row in table)


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_in_the_projects_own_words(name: str) -> None:
    for row in rows(name):
        run = measured_run(row, CATALOGUE)
        assert row["accelerator"] == run.accelerator.name
        assert row["family"] == run.family
        assert any(row[column] for column in MEASURED), row["id"]
        assert all(float(row[column]) > 0 for column in (*NUMBERS, *WHOLE) if row.get(column)), row["id"]
        if row["family"] in BY_NAME and row["micro_batch"]:
            assert int(row["micro_batch"]) * int(row["devices"]) == int(row["global_batch"]), row["id"]


@pytest.mark.parametrize("name", ["language_models", "small_transformers", "other_models", "serving"])
def test_makers_that_were_fitted_are_those_of_the_published_runs(name: str) -> None:
    makers = {CATALOGUE.by_name(row["accelerator"]).vendor for row in rows(f"{name}.csv")}
    assert {"NVIDIA", "AMD"} <= makers <= FITTED_MAKERS


def test_every_target_is_of_a_benchmark_with_results() -> None:
    known = {row["benchmark"] for row in rows("mlperf_runs.csv")}
    for row in rows("mlperf_targets.csv"):
        assert row["benchmark"] in known
        if row["dataset"]:
            assert float(row["samples_to_target"]) == pytest.approx(float(row["epochs"]) * int(row["dataset"]), abs=1)
        assert float(row["samples_to_target"]) > int(row["global_batch"])
