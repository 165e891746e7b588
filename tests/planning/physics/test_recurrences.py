"""What goes step by step: its fixed time and its weights at every step."""

from typing import Any

import pytest

from zenplan.domain.model.operators import Recurrent
from zenplan.domain.training.layout import Layout
from zenplan.planning.physics.recurrences import recurrent_work

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


def test_the_weights_gradient_is_one_product_over_all_steps(make: Any) -> None:
    trained = work(make, LSTM, micro=64)[1]
    frozen = work(make, Recurrent(name="f", steps=50, inner=1024, columns=4096, trainable=False), micro=64)[1]
    assert float(trained.launches[0] - frozen.launches[0]) == 1
    assert float(trained.compute_s[0] - frozen.compute_s[0]) == pytest.approx(50 * 64 * STEP_S)
    # The gradient of the state goes step by step, as the forward pass does.
    assert float(frozen.launches[0]) == 50
