"""What makes a prediction more or less sure, and how wide its interval is for it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.software import Software
from zenplan.domain.training.stack import STACKS
from zenplan.families.transformer.shape import Experts
from zenplan.planning.physics.interval import (
    BEYOND,
    EXPERTS,
    GUESSED_LAYOUT,
    GUESSED_SHAPE,
    LONG,
    SEVERAL_NODES,
    UNKNOWN_SOFTWARE,
    UNSEEN,
    spread_of,
    step_ranges,
    traits,
)

UNMEASURED = UNSEEN["generation"]
# From half to twice; the made-up devices are of the generation Test, of which 64 were measured.
FACTORS = {SEVERAL_NODES: 2.0, UNMEASURED: 3.0}
SEEN = frozenset(("generation/Test", "bf16 on Test", "software/fused", "family/decoder", "method/full"))
MEASURED = Interval(new=math.log(2), known=math.log(1.5), devices=64, basis="made up", factors=FACTORS, seen=SEEN)


def on(make: Any, nodes: int = 1, **sheet: Any) -> Any:
    return make.cluster(nodes=nodes, sheet=sheet, efficiency={"interval": MEASURED})


def test_a_plain_run_has_no_trait(make: Any) -> None:
    assert traits(make.plan(software=Software.FUSED), on(make)) == {}


def test_each_trait_by_itself(make: Any) -> None:
    plan = make.plan(software=Software.FUSED)

    def of(run: Any, cluster: Any, known: bool = True) -> dict[str, float]:
        return dict(traits(run, cluster, known))

    assert of(make.plan(), on(make)) == {UNKNOWN_SOFTWARE: 1}
    assert of(plan, on(make, nodes=2)) == {SEVERAL_NODES: 1}
    assert of(plan, on(make), known=False) == {GUESSED_LAYOUT: 1}
    for count in (2, 8):
        mixture = make.workload(experts=Experts(count=count, active=2, width=512))
        assert set(of(replace(plan, workload=mixture), on(make))) <= {EXPERTS, UNSEEN["family"]}
        assert EXPERTS in of(replace(plan, workload=mixture), on(make))


def test_what_no_fitted_run_had_is_a_trait_of_its_own(make: Any) -> None:
    plan = make.plan(software=Software.FUSED)
    # Of a new generation its precision is new too, which is said once.
    assert traits(plan, on(make, architecture="Rubin")) == {UNMEASURED: 1}
    assert traits(replace(plan, software=Software.EAGER), on(make)) == {UNSEEN["software"]: 1}
    assert traits(replace(plan, method="lora"), on(make)) == {UNSEEN["method"]: 1}
    assert traits(replace(plan, precision=PRECISIONS["fp16"]), on(make)) == {UNSEEN["precision"]: 1}


@pytest.mark.parametrize(("tokens", "amount"), [(2048, None), (8192, None), (16384, 1.0), (131072, 4.0)])
def test_a_sequence_beyond_the_usual_in_powers_of_two(make: Any, tokens: int, amount: float | None) -> None:
    plan = make.plan(make.workload(seq_len=tokens), software=Software.FUSED)
    assert traits(plan, on(make)).get(LONG) == amount


@pytest.mark.parametrize("guessed", [True, False])
def test_a_guessed_shape_is_a_trait(make: Any, guessed: bool) -> None:
    fact = Fact(name="shape", value="4 layers", origin=Origin.ASSUMED)
    plan = make.plan(replace(make.workload(), guessed_shape=guessed, facts=(fact,)))
    assert (GUESSED_SHAPE in traits(plan, on(make))) is guessed


@pytest.mark.parametrize(("nodes", "beyond"), [(1, None), (8, None), (80, 1.0), (800, 2.0)])
def test_devices_beyond_the_measured_count_in_powers_of_ten(make: Any, nodes: int, beyond: float | None) -> None:
    found = traits(make.plan(), on(make, nodes=nodes)).get(BEYOND)
    assert found == (None if beyond is None else pytest.approx(beyond))


def test_what_was_not_measured_is_wider(make: Any) -> None:
    plan = make.plan(software=Software.FUSED)
    measured, unmeasured = (spread_of(plan, on(make, architecture=a)) for a in ("Test", "Rubin"))
    assert (measured.low, measured.high) == pytest.approx((0.5, 2))
    assert (unmeasured.low, unmeasured.high) == pytest.approx((2**-3, 2**3))
    assert unmeasured.basis == f"made up; wider for {UNMEASURED}"


def test_a_range_of_seconds_for_each_cluster(make: Any) -> None:
    clusters = [on(make), on(make, nodes=2), on(make, architecture="Rubin")]
    ranges = step_ranges(make.plan(), clusters, np.array([1.0, 10.0, 100.0]))
    expected = [[0.5, 1, 2], [2.5, 10, 40], [12.5, 100, 800]]
    np.testing.assert_allclose(ranges.T, expected)


def test_it_is_the_layout_that_is_taken_as_known(make: Any) -> None:
    cluster = make.cluster(efficiency={"interval": replace(MEASURED, factors={GUESSED_LAYOUT: 2.0})})
    known, guessed = (spread_of(make.plan(), cluster, *args) for args in ((), (False,)))
    assert math.log(guessed.high) > 1.5 * math.log(known.high)


def test_software_whose_runs_were_fitted_has_the_narrower_interval(make: Any) -> None:
    plan = make.plan(software=Software.FUSED)
    known, other = (spread_of(replace(plan, stack=STACKS[name]), on(make)) for name in ("megatron", "deepspeed"))
    assert STACKS["megatron"].fitted
    assert not STACKS["deepspeed"].fitted
    assert (known.low, known.high) == pytest.approx((1 / 1.5, 1.5))
    # Whichever software: it is as unsure as any that nobody has seen.
    assert (
        (other.low, other.high)
        == pytest.approx((0.5, 2))
        == (spread_of(plan, on(make)).low, spread_of(plan, on(make)).high)
    )
