"""What goes step by step: its fixed time and its weights at every step."""

from typing import Any

import pytest

from zenplan.domain.model.operators import Recurrent
from zenplan.domain.training.layout import Layout
from zenplan.planning.physics.operators import recurrent_work

LSTM = Recurrent(name="LSTM", steps=50, inner=1024, columns=4096)
WEIGHTS = 1024 * 4096 * 2
STEP_S = 2 * 1024 * 4096 / 100e12  # of one sample


def work(make: Any, op: Recurrent, micro: int = 1, **efficiency: float) -> Any:
    hw = make.hardware(make.cluster(efficiency=efficiency))
    return recurrent_work(op, make.plan(make.only(op)), make.columns(Layout(micro_batch=micro)), hw)


def test_a_step_reads_the_weights_again(make: Any) -> None:
    forward, _ = work(make, LSTM)
    moved = WEIGHTS + (1024 + 4096) * 2
    assert float(forward.total_s[0]) == pytest.approx(50 * moved / 1e12)


def test_with_many_samples_arithmetic_counts(make: Any) -> None:
    forward, _ = work(make, LSTM, micro=4096)
    assert float(forward.compute_s[0]) == pytest.approx(50 * 4096 * STEP_S)
    assert float(forward.memory_s[0]) == 0


def test_kernels_of_each_step_have_their_fixed_time_and_their_launch(make: Any) -> None:
    loop = Recurrent(name="loop", steps=50, inner=1024, columns=4096, kernels=20)
    forward, _ = work(make, loop, operator_s=1e-6)
    assert float(forward.overhead_s[0]) == pytest.approx(50 * 20 * 1e-6)
    assert float(forward.launches[0]) == 50 * 20


def test_a_device_begins_the_small_kernels_of_a_loop_within_microseconds(make: Any) -> None:
    """The first of a step has an operator's fixed time, each of the others 3.8 us; the host launches them all."""
    loop = Recurrent(name="loop", steps=50, inner=1024, columns=4096, kernels=20)
    forward, _ = work(make, loop, operator_s=20e-6)
    assert float(forward.overhead_s[0]) == pytest.approx(50 * (20e-6 + 19 * 3.8e-6))
    assert float(forward.launches[0]) == 50 * 20
    # What a library runs as one kernel a step is as any operator.
    alone, _ = work(make, LSTM, operator_s=20e-6)
    assert float(alone.overhead_s[0]) == pytest.approx(50 * 20e-6)


def test_the_weights_gradient_is_one_product_over_all_steps(make: Any) -> None:
    trained = work(make, LSTM, micro=64)[1]
    frozen = work(make, Recurrent(name="f", steps=50, inner=1024, columns=4096, trainable=False), micro=64)[1]
    assert float(trained.launches[0] - frozen.launches[0]) == 1
    assert float(trained.compute_s[0] - frozen.compute_s[0]) == pytest.approx(50 * 64 * STEP_S)
    # The gradient of the state goes step by step, as the forward pass does.
    assert float(frozen.launches[0]) == 50


def test_a_product_fills_its_pipeline_once_a_step_forward_and_once_in_all_for_the_weights(make: Any) -> None:
    """Of so many elements of its inner dimension: the state forward, the gates backward, all rows for the weights."""
    trained = work(make, LSTM, micro=64, fill_elements=512.0)
    frozen = work(
        make, Recurrent(name="f", steps=50, inner=1024, columns=4096, trainable=False), micro=64, fill_elements=512.0
    )
    once = 50 * 64 * STEP_S
    assert float(trained[0].compute_s[0]) == pytest.approx(once * (1 + 512 / 1024))
    assert float(frozen[1].compute_s[0]) == pytest.approx(once * (1 + 512 / 4096))
    assert float(trained[1].compute_s[0] - frozen[1].compute_s[0]) == pytest.approx(once * (1 + 512 / (50 * 64)))


def test_the_weights_gradient_reads_every_state_and_every_gate_once(make: Any) -> None:
    """On a device for which arithmetic is free, where bytes are all that counts; bf16 has two."""
    free = make.hardware(make.cluster(sheet={"peak_flop_per_s": {"bf16": make.no_limit}}))
    seconds = []
    for trainable in (True, False):
        op = Recurrent(name="r", steps=50, inner=1024, columns=4096, rows=3, trainable=trainable)
        _, backward = recurrent_work(op, make.plan(make.only(op)), make.columns(Layout(micro_batch=64)), free)
        seconds.append(float(backward.total_s[0]))
    assert seconds[0] - seconds[1] == pytest.approx(50 * 64 * 3 * (1024 + 4096) * 2 / 1e12)
    # A step of the state's gradient reads the weights, its rows of gates and of states.
    assert seconds[1] == pytest.approx(50 * (WEIGHTS + 64 * 3 * (1024 + 4096) * 2) / 1e12)


def test_rows_of_a_cell_are_as_many_samples(make: Any) -> None:
    rows = Recurrent(name="c", steps=50, inner=1024, columns=4096, rows=64)
    for cell, samples in zip(work(make, rows), work(make, LSTM, micro=64), strict=True):
        assert float(cell.total_s[0]) == pytest.approx(float(samples.total_s[0]))


def test_without_a_gradient_of_the_state_only_the_weights_is_left(make: Any) -> None:
    first = Recurrent(name="f", steps=50, inner=1024, columns=4096, input_gradient=False)
    backward = work(make, first, micro=64)[1]
    assert float(backward.launches[0]) == 1
    assert float(backward.compute_s[0]) == pytest.approx(50 * 64 * STEP_S)
