"""Measured runs as nouns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import MeasuredOperator, MeasuredRun, MeasuredWholeRun
from zenplan.domain.model.operators import MatMul, Split
from zenplan.domain.precision import PRECISIONS
from zenplan.errors import DataError

CATALOGUE = Catalogue(accelerators=read_accelerators())
WHERE: dict[str, Any] = {"accelerator": CATALOGUE.by_name("A100-SXM4-80GB"), "precision": PRECISIONS["bf16"]}
RUN = MeasuredRun(**WHERE, devices=8, family="decoder", id="a", params=1e9, tokens_per_s_per_device=1e4)
WHOLE = MeasuredWholeRun(**WHERE, family="decoder", model="m", params=1e9, tokens=1e12, gpu_hours=1e5)
PRODUCT = MatMul(name="product", rows=1, inner=8, columns=8, split=Split.NONE)
OPERATOR = MeasuredOperator(**WHERE, operator=PRODUCT, batch=8, forward_ms=0.5)


def test_runs_that_differ_in_who_measured_them_are_predicted_alike() -> None:
    other = replace(RUN, id="b", source="s", tokens_per_s_per_device=2e4, written_task="Training", notes=("odd",))
    assert other.without_measurement() == RUN.without_measurement()
    assert hash(other.without_measurement()) == hash(RUN.without_measurement())
    for change in ({"devices": 16}, {"accelerator": CATALOGUE.by_name("H100-SXM5-80GB")}, {"params": None}, {"tp": 1}):
        assert replace(RUN, **change).without_measurement() != RUN.without_measurement()


@pytest.mark.parametrize(
    ("noun", "field"),
    [
        (RUN, "devices"),
        (RUN, "params"),
        (RUN, "samples_per_s_per_device"),
        (WHOLE, "tokens"),
        (WHOLE, "gpu_hours"),
        (WHOLE, "days"),
        (OPERATOR, "batch"),
        (OPERATOR, "weight_gradient_ms"),
    ],
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_no_noun_has_a_figure_that_cannot_be(noun: Any, field: str, value: float) -> None:
    with pytest.raises(DataError, match=f"{field} must be above zero and finite"):
        replace(noun, **{field: value})
