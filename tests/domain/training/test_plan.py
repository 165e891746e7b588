from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.precision import DTYPES, PRECISIONS
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.report import Column, Table
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import DataError

MODEL = Workload(name="w", family="decoder", blocks=(Block(name="b", operators=()),), tokens_per_sample=1024)
PLAN = TrainingPlan(
    workload=MODEL, samples=1000.0, global_batch=64, precision=PRECISIONS["bf16"], optimizer=OPTIMIZERS["adamw"]
)


def test_steps_and_tokens() -> None:
    assert PLAN.steps == 16  # 15 whole ones and one begun
    assert PLAN.tokens == 1_024_000
    assert replace(PLAN, samples=1.0).steps == 1


@pytest.mark.parametrize("changes", [{"samples": 0}, {"global_batch": 0}, {"method": "magic"}, {"weight_bytes": 0}])
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        replace(PLAN, **changes)


def test_adamw_keeps_two_fp32_moments() -> None:
    assert OPTIMIZERS["adamw"].state_bytes == 8
    assert OPTIMIZERS["sgd"].state_bytes == 0
    assert all(name == o.name for name, o in OPTIMIZERS.items())


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_precision_has_peaks_and_widths_that_go_together(name: str) -> None:
    one = PRECISIONS[name]
    assert {one.matmul_dtype, one.other_dtype} <= set(DTYPES)
    # A 32-bit weight is its own master; beside a 16-bit one there is an fp32 copy, unless it is pure.
    assert one.compute_bytes + one.master_bytes in ((2,) if name.endswith("-pure") else (4, 6))


def test_device_failures_are_llama3s() -> None:
    # 54 days of 16,384 devices are 21.2 million device-hours, for 466 interruptions: one in 45,566.
    assert Operations().device_mtbf_s / 3600 == pytest.approx(45_566, rel=1e-4)
    low, mid, high = Operations().preemptions_per_node_s
    assert 0 < low < mid < high
    assert {f.name for f in Operations().facts()} >= {"device failures", "spot preemption", "evaluation"}
    with pytest.raises(DataError):
        Operations(device_mtbf_s=0)


def test_a_fact_has_a_name_and_a_value() -> None:
    with pytest.raises(DataError):
        Fact(name="tokens", value="", origin=Origin.GIVEN)


def test_rows_have_as_many_cells_as_columns() -> None:
    with pytest.raises(DataError, match="2 cells under 1 columns"):
        Table(columns=(Column(name="a"),), rows=(("1", "2"),))


@pytest.mark.parametrize(
    "changes",
    [
        {n: 0}
        for n in (
            "params",
            "tokens",
            "dataset_bytes",
            "epochs",
            "seq_len",
            "gpus",
            "deadline_s",
            "budget_usd",
            "top",
            "max_gpus",
            "global_batch_tokens",
            "active_params",
        )
    ]
    + [{"params": float("nan")}, {"tokens": float("inf")}, {"params": -1.0}],
)
def test_a_request_for_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="request"):
        Request(**changes)
