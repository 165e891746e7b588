"""The file of fitted coefficients: what is written is read back, and what is wrong with it is said."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import NAMES, SCHEMA, coefficients_of, document_of, read_coefficients
from zenplan.domain.fit.coefficients import Coefficient, Coefficients
from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.model.workload import LANGUAGE
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software
from zenplan.errors import DataError

LAZY = settings(max_examples=40, deadline=None, derandomize=True)
FAMILIES = (
    "convnet",
    "vision transformer",
    "speech transformer",
    "recurrent",
    "recommender",
    "diffusion",
    "gnn",
    "mlp",
)
FITTED = {"by": "a fit", "on": "a table", "date": "2026-01-01"}


# One of each that the model has.
WHOLE = {
    name: {"value": 0.5, "unit": "1", "meaning": name, "least": 0.1, "most": 0.9, "factors": {}}
    for name in sorted(NAMES)
}
MATMUL = {
    "value": 0.6,
    "unit": "of the peak",
    "meaning": "products",
    "least": 0.1,
    "most": 0.9,
    "factors": {"generation/Ampere": 1.1},
}


def document(**changes: Any) -> dict[str, Any]:
    interval = {
        "new": 0.2,
        "known": 0.1,
        "basis": "9 runs",
        "devices": 64.0,
        "seen": ["generation/Ampere"],
        "factors": {"several nodes": 1.5},
    }
    return {
        "schema": SCHEMA,
        "fitted": FITTED,
        "coefficients": {**WHOLE, "matmul": MATMUL},
        "interval": interval,
        "other_interval": {**interval, "basis": "5 others"},
        **changes,
    }


def test_a_document_is_read() -> None:
    found = coefficients_of(document())
    assert found.all["matmul"].of("generation/Ampere") == pytest.approx(0.66)
    assert (found.interval.new, found.interval.known, found.interval.devices) == (0.2, 0.1, 64)
    assert found.interval.seen == {"generation/Ampere"}
    assert found.interval.factors == {"several nodes": 1.5}
    assert found.source == "a fit on a table, 2026-01-01"


def test_what_is_read_is_written_again() -> None:
    assert document_of(coefficients_of(document()), FITTED) == document()


SHARES = st.floats(0.11, 0.89)
FACTORS = st.dictionaries(st.sampled_from(["generation/Ampere", "software/xla"]), st.floats(0.01, 100))

WIDER = st.dictionaries(st.sampled_from(["several nodes", "a long sequence"]), st.floats(1, 100))


@LAZY
@given(value=SHARES, factors=FACTORS, traits=WIDER, new=st.floats(0.001, 3), known=st.floats(0.001, 3))
def test_what_is_written_is_read_back(
    value: float, factors: dict[str, float], traits: dict[str, float], new: float, known: float
) -> None:
    one: dict[str, Any] = {"value": value, "least": 0.1, "most": 0.9, "factors": factors}
    every = {name: Coefficient(name=name, unit="1", meaning="made up", **one) for name in NAMES}
    seen = frozenset(factors)
    interval = Interval(new=new, known=known, factors=traits, seen=seen, devices=512, basis="9 runs")
    written = json.dumps(
        document_of(Coefficients(all=every, interval=interval, other_interval=interval, source="x"), FITTED)
    )
    read = coefficients_of(json.loads(written))
    # Written in four digits: as many as a fit can tell.
    assert read.all["memory"].value == pytest.approx(value, rel=1e-3)
    assert read.all["memory"].factors == pytest.approx(factors, rel=1e-3)
    assert (read.interval.new, read.interval.known) == pytest.approx((new, known), abs=1e-4)
    assert read.interval.factors == pytest.approx(traits, abs=1e-3)
    assert read.interval.seen == seen
    assert read.interval.basis == "9 runs"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "zenplan/coefficients/9"}, "'zenplan/coefficients/9' is not 'zenplan/coefficients/2'"),
        ({"fitted": {"by": "x", "on": "y"}}, "date"),
        ({"coefficients": []}, "coefficients"),
        ({"coefficients": {**WHOLE, "matmul": {"value": 0.6}}}, "missing"),
        ({"coefficients": {**WHOLE, "matmul": {**MATMUL, "value": 0.95}}}, "0.95 is not in"),
        ({"coefficients": {**WHOLE, "matmul": {**MATMUL, "value": "0.6"}}}, "not supported between"),
        ({"coefficients": {**WHOLE, "matmul": {**MATMUL, "most_of": 1}}}, "most_of"),
        ({"interval": {"new": 0.0, "known": 0.1, "seen": [], "basis": "x"}}, "interval"),
        ({"interval": None}, "coefficients"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        coefficients_of(document(**changes))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_coefficient_is_needed(name: str) -> None:
    broken = document()
    del broken["coefficients"][name]
    with pytest.raises(DataError, match=f"no {name}$"):
        coefficients_of(broken)


@pytest.mark.parametrize("name", ["schema", "fitted", "coefficients", "interval", "other_interval"])
def test_each_part_is_needed(name: str) -> None:
    broken = document()
    del broken[name]
    with pytest.raises(DataError, match=name):
        coefficients_of(broken)


def test_the_bundled_coefficients_serve_every_accelerator() -> None:
    # Efficiencies check themselves: shares are at most all, times not below none.
    coefficients = read_coefficients()
    architectures = sorted({sheet.architecture for sheet in read_accelerators()})
    assert {"Ampere", "Hopper", "Volta"} <= set(architectures)
    for architecture in architectures:
        for precision in PRECISIONS.values():
            for software in (None, *Software):
                for family in ("decoder", *FAMILIES):
                    found = coefficients.of(architecture, precision, software, family)
                    assert found.correction is None, "that is for measurements"
                    assert all(getattr(found, f.name) is not None for f in fields(found) if f.name != "correction")


def test_groups_of_the_bundled_coefficients_are_ones_that_exist() -> None:
    known = {f"generation/{sheet.architecture}" for sheet in read_accelerators()}
    known |= {f"software/{kind}" for kind in Software}
    known |= {f"precision/{name}" for name in ("16-bit", "fp8", "tf32", "fp32")}
    known |= {f"family/{name}" for name in FAMILIES}
    coefficients = read_coefficients()
    groups = {group for each in coefficients.all.values() for group in each.factors}
    assert groups
    assert groups <= known
    for interval in (coefficients.interval, coefficients.other_interval):
        seen = {feature for feature in interval.seen if feature.startswith(("generation/", "software/", "family/"))}
        assert seen
        assert seen <= known | {f"family/{name}" for name in LANGUAGE}
