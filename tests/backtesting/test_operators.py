"""Rows of operators: sizes, shapes of convolutions, passes."""

from __future__ import annotations

import pytest

from zenplan.adapters.runs.rows import measured_operator, operator_of
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.operators import PredictedOperator, predicted_operator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import ZenplanError

CATALOGUE = Catalogue(accelerators=read_accelerators())
COEFFICIENTS = read_coefficients()
SPEC = "W=224,H=112,C=3,K=64,S=7,R=5,pad=3/2,stride=2/1"
ROW = {"op": "CONV", "accelerator": "T4", "precision": "fp32", "batch": "8", "spec": SPEC, "fwd_ms": "1.5"}


def predicted(**cells: str) -> PredictedOperator:
    return predicted_operator(measured_operator(ROW | cells, CATALOGUE), COEFFICIENTS)


def test_a_convolution_goes_by_its_spec() -> None:
    op, batch = operator_of(ROW)
    assert batch == 8
    # 224 wide, window 7, 3 at each side, every second: 112; 112 high, window 5, 2 at each side: 112.
    assert op.flop == 2 * 112 * 112 * 7 * 5 * 3 * 64
    assert op.parameters == 7 * 5 * 3 * 64


def test_a_product_has_a_row_for_each_sample() -> None:
    op, batch = operator_of({"op": "gemm", "m": "1760", "n": "16", "k": "512"})
    assert (op.flop * batch, op.parameters) == (2 * 1760 * 16 * 512, 1760 * 512)


@pytest.mark.parametrize(("name", "gates"), [("RNN-Vanilla", 1), ("RNN-GRU", 3), ("RNN-LSTM", 4)])
def test_a_recurrent_layer_goes_step_by_step(name: str, gates: int) -> None:
    op, batch = operator_of({"op": name, "hidden": "512", "timesteps": "25", "batch": "16"})
    assert op.flop * batch == 2 * 25 * 512 * 512 * gates * 16


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"spec": "W=224"}, "spec has no H"),
        ({"spec": SPEC.replace("2/1", "0/1")}, "spec has a stride of 0"),
        ({"spec": SPEC.replace("S=7", "S=700")}, "must be above zero"),
        ({"batch": "1.5"}, "batch is not a whole number up to 1e+09: 1.5"),
        ({"batch": ""}, "batch is empty"),
        ({"op": "GEMM", "m": "x"}, "m is not a number: 'x'"),
        ({"fwd_ms": "-1"}, "fwd_ms must be above zero"),
        ({"fwd_ms": ""}, "no measurement: fwd_ms, bwd_inputs_ms, bwd_weights_ms are empty"),
        ({"op": "SORT"}, "operator 'SORT' cannot be predicted"),
        ({"accelerator": "T5"}, "unknown accelerator 'T5'"),
        ({"precision": "bf16"}, "no bf16 peak in the data sheet of T4"),
    ],
)
def test_a_bad_cell_is_named(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(ZenplanError) as caught:
        predicted(k="8", n="8", **changed)
    assert reason in caught.value.message


def test_both_gradients_are_told_apart() -> None:
    found = predicted(bwd_inputs_ms="2", bwd_weights_ms="3")
    assert [(p.name, p.measured_ms) for p in found.passes] == [
        ("forward", 1.5),
        ("input gradient", 2.0),
        ("weight gradient", 3.0),
    ]
    assert all(p.predicted_ms > 0 for p in found.passes)


def test_more_work_takes_longer_and_a_half_format_less_time() -> None:
    one, more = predicted().passes[0].predicted_ms, predicted(batch="64").passes[0].predicted_ms
    assert 4 * one < more < 9 * one
    # Three channels fill no tensor core; sixty-four do.
    wide = {"batch": "64", "spec": SPEC.replace("C=3", "C=64")}
    half, whole = (predicted(precision=p, **wide).passes[0].predicted_ms for p in ("fp16", "fp32"))
    assert half < whole


def test_pseudo_fp16_moves_half_the_bytes_at_the_speed_of_fp32() -> None:
    found = predicted(precision="pseudo-fp16", accelerator="P100-PCIe-16GB?")
    assert (found.plan.precision.matmul_dtype, found.plan.precision.compute_bytes) == ("fp32", 2)
    assert found.assumed == (
        "P100-PCIe-16GB?: the form factor is not stated: P100-PCIE-16GB",
        "precision fp16 on P100-PCIE-16GB: kept in fp16, computed in fp32",
        "layout: channels first",
    )
