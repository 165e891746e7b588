"""The published measurements of serving, and what their fit is held to."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.adapters.tables.serving import read_serving
from zenplan.backtesting.serving import served_runs
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import InputFileError
from zenplan.fitting.serving import THROUGHPUT, TPOT, LeftOutServing, Served, fit, held, interval_of, started

TABLE = Path(__file__).parents[2] / "benchmarks" / "published" / "serving.csv"
SHEETS = Catalogue(accelerators=read_accelerators())


@pytest.fixture(scope="module")
def served() -> Served:
    link = read_coefficients().all
    runs = served_runs(TABLE, SHEETS)
    return Served(runs, link["link"].value, link["pcie"].value, link["link_hop_s"].value)


def test_every_row_has_its_source_and_a_measurement() -> None:
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 150
    assert len({row["publisher"] for row in rows}) >= 8
    for row in rows:
        assert row["source"].startswith("https://") or "@" in row["source"], row
        assert row["read"], row
        assert row["output_tokens_per_s"] or row["ttft_ms"] or row["tpot_ms"], row
        assert int(row["devices"]) == int(row["tp"]) * int(row["pp"]), row
    same = Counter(tuple(value for name, value in row.items() if name != "read") for row in rows)
    assert max(same.values()) == 1


def test_no_row_is_faster_than_its_memory(served: Served) -> None:
    """A step reads the weights that it needs at least once: what is faster was read wrongly."""
    w = served.work
    one = np.array([r.load == "batch" and r.in_flight == 1 for r in served.runs])
    floor = (w.read_bytes + w.expert_bytes * w.active / w.experts * (w.experts > 1)) / w.memory_bytes_per_s
    measured = served.measured[THROUGHPUT]
    known = one & ~np.isnan(measured)
    assert known.sum() > 20
    assert (measured[known] >= floor[known]).all()


def test_the_shipped_coefficients_are_near_what_they_were_fitted_to(served: Served) -> None:
    errors = served.errors(read_serving().all)
    assert np.nanmedian(np.abs(errors[THROUGHPUT])) < 0.2
    assert np.nanmedian(np.abs(errors[TPOT])) < 0.2


def test_a_fit_finds_what_made_the_measurements(served: Served) -> None:
    """Of a few rows that are exactly what the model says with other coefficients."""
    part = served.part(np.arange(0, len(served.runs), 25))
    truth = read_serving().all
    made = part.predicted(part.efficiencies(truth))
    part.measured = {kind: np.where(np.isnan(found), np.nan, made[kind]) for kind, found in part.measured.items()}
    errors = part.errors(fit(part, started()))
    assert np.nanmedian(np.abs(errors[THROUGHPUT])) < 0.05


def test_intervals_hold_what_is_asked_of_publishers_that_err_alike(served: Served) -> None:
    drawn = np.random.default_rng(0)
    found = []
    for run in served.runs:
        size = 0.1 * (1 + len(run.publisher) % 3)
        found.append(LeftOutServing(run, THROUGHPUT, float(drawn.normal(0.0, size))))
    assert 0.05 < interval_of(found, "drawn").new < 0.6
    assert 0.6 < np.mean([ok for _, ok in held(found)]) < 1.0


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "serving.csv"
    file.write_text(TABLE.read_text(encoding="utf-8").replace(",all,", ",some,", 1), encoding="utf-8")
    with pytest.raises(InputFileError, match="no load 'some'"):
        served_runs(file, SHEETS)
