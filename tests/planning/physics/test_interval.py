"""What makes a prediction more or less sure, and how wide its interval is for it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.software import Software
from zenplan.families.transformer.lowering import Experts
from zenplan.planning.physics.interval import (
    BEYOND,
    EXPERTS,
    GUESSED_LAYOUT,
    GUESSED_SHAPE,
    SEVERAL_NODES,
    UNKNOWN_SOFTWARE,
    UNMEASURED,
    spread_of,
    step_ranges,
    traits,
)

# From two thirds to twice; the made-up devices are of the generation Test, of which 64 were measured.
FACTORS = {"generation/Test": 1.0, "software/fused": 0.5, SEVERAL_NODES: 2.0, UNMEASURED: 3.0}
MEASURED = Interval(down=math.log(1.5), up=math.log(2), devices=64, basis="made up", factors=FACTORS)


def on(make: Any, nodes: int = 1, **sheet: Any) -> Any:
    return make.cluster(nodes=nodes, sheet=sheet, efficiency={"interval": MEASURED})


def test_a_plain_run_has_its_generation_and_its_software(make: Any) -> None:
    plan = make.plan(software=Software.FUSED)
    assert traits(plan, on(make)) == {"generation/Test": 1, "software/fused": 1}


def test_each_trait_by_itself(make: Any) -> None:
    plan = make.plan(software=Software.FUSED)
    usual = set(traits(plan, on(make)))

    def more(run: Any, cluster: Any, known: bool = True) -> set[str]:
        return set(traits(run, cluster, known)) - usual

    assert more(make.plan(), on(make)) == {UNKNOWN_SOFTWARE}
    assert more(plan, on(make, nodes=2)) == {SEVERAL_NODES}
    assert more(plan, on(make), known=False) == {GUESSED_LAYOUT}
    for count in (2, 8):
        mixture = make.workload(experts=Experts(count=count, active=2, width=512))
        assert more(replace(plan, workload=mixture), on(make)) == {EXPERTS}
    found = traits(plan, on(make, architecture="Rubin"))
    assert found == {UNMEASURED: 1, "software/fused": 1}


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
    assert (measured.low, measured.high) == pytest.approx((1.5**-0.5, 2**0.5))
    assert (unmeasured.low, unmeasured.high) == pytest.approx((1.5**-1.5, 2**1.5))
    assert unmeasured.basis == f"made up; wider for {UNMEASURED}"


def test_a_range_of_seconds_for_each_cluster(make: Any) -> None:
    clusters = [on(make), on(make, nodes=2), on(make, architecture="Rubin")]
    ranges = step_ranges(make.plan(), clusters, np.array([1.0, 10.0, 100.0]))
    expected = [[1 / 1.5, 1, 2], [10 / 1.5**2, 10, 40], [100 / 1.5**3, 100, 800]]
    np.testing.assert_allclose(ranges.T, expected)


def test_it_is_the_layout_that_is_taken_as_known(make: Any) -> None:
    cluster = make.cluster(efficiency={"interval": replace(MEASURED, factors={GUESSED_LAYOUT: 2.0})})
    known, guessed = (spread_of(make.plan(), cluster, *args) for args in ((), (False,)))
    assert math.log(guessed.high) > 1.5 * math.log(known.high)
