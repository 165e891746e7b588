"""Layouts of software by name: none that it cannot run, all that it can, and nothing faster than its kind."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.domain.training.layout import Layout, Recompute
from zenplan.domain.training.stack import STACKS, Stack
from zenplan.families.transformer.shape import Experts
from zenplan.planning.explain.method import with_adapters
from zenplan.planning.physics.interval import spread_of
from zenplan.planning.search.search import Found, search, survey, usable_bytes

REAL = {"operator_s": 10e-6, "link_hop_s": 5e-6, "network_hop_s": 15e-6, "matmul": 0.6, "memory": 0.7}
BATCH = 32
SHAPES = {
    "small": {},
    "large": {"layers": 16, "width": 4096, "heads": 32, "ff_width": 16_384, "vocab": 32_000, "seq_len": 2048},
    "long": {"layers": 4, "width": 1024, "heads": 8, "ff_width": 4096, "seq_len": 32_768},
    "mixture": {"layers": 8, "width": 2048, "heads": 16, "experts": Experts(count=8, active=2, width=8192)},
}
# Devices of a node, and nodes.
MACHINES = [(1, 1), (2, 1), (8, 1), (6, 2), (8, 4)]
WAYS = [(stack, method) for stack in STACKS.values() for method in stack.methods]

every_way = pytest.mark.parametrize(("stack", "method"), WAYS, ids=lambda x: getattr(x, "name", x))
every_shape = pytest.mark.parametrize("kind", SHAPES)


def planned(make: Any, kind: str, stack: Stack | None, method: str) -> Any:
    """A plan of one of the shapes, under the kind of the stack where there is one."""
    load = make.workload(**SHAPES[kind])
    load = load if method == "full" else with_adapters(load)
    software = stack.kind if stack else None
    return make.plan(load, global_batch=BATCH, method=method, software=software, stack=stack)


def clusters(make: Any, memory_gb: float = 40) -> list[Any]:
    return [
        make.cluster(sheet={"memory_bytes": memory_gb * 1e9}, efficiency=REAL, node_devices=node, nodes=nodes)
        for node, nodes in MACHINES
    ]


def can_run(stack: Stack, method: str, layout: Layout) -> bool:
    """Each capability written down once more, on the noun and not on columns."""
    degrees = {name: getattr(layout, name) for name in ("tp", "pp", "cp", "ep")}
    has = stack.parallel if method == "full" else stack.adapter_parallel
    return (
        all(degree == 1 or name in has for name, degree in degrees.items())
        and not any(degrees[one] > 1 and degrees[other] > 1 for one, other in stack.apart)
        and layout.zero in stack.zero
        and (layout.shard is None or stack.hybrid)
        and (layout.interleave == 1 or stack.interleaves)
        and (layout.pp == 1 or layout.even == stack.equal_stages)
        and layout.recompute in stack.recompute
    )


def equally(layout: Layout, layers: int) -> Layout | None:
    """The same with as many layers on each stage and in whole rounds of micro-batches, where there is such a layout."""
    if layout.pp == 1:
        return layout
    uneven = layers % (layout.pp * layout.interleave) or (layout.interleave > 1 and layout.accumulation % layout.pp)
    return None if uneven else replace(layout, even=True)


def laid_out(found: Found) -> set[Layout]:
    return {found.layouts.at(i) for i in range(len(found.layouts.dp))}


def sample_s(found: Found) -> Any:
    return found.steps.total_s / np.minimum(found.layouts.samples, BATCH)


@every_way
@every_shape
def test_all_that_it_can_run_and_nothing_else_is_compared(make: Any, kind: str, stack: Stack, method: str) -> None:
    plan = planned(make, kind, stack, method)
    for cluster in clusters(make):
        any_layout = laid_out(survey(replace(plan, stack=None), cluster))
        if stack.equal_stages:
            equal = (equally(each, plan.workload.layers) for each in any_layout)
            any_layout = {each for each in equal if each is not None}
        found = laid_out(survey(plan, cluster))
        assert found
        assert all(can_run(stack, method, layout) for layout in found)
        # Without ZeRO-1, plain data parallelism is not beaten: the search of a kind leaves it out.
        plain = {each for each in found if not each.zero and each.dp * each.cp > 1}
        assert found - plain == {each for each in any_layout if can_run(stack, method, each)}
        assert bool(plain) == (1 not in stack.zero and any(each.dp * each.cp > 1 for each in found))


@every_way
@every_shape
@pytest.mark.parametrize("memory_gb", [8, 24, 80])
def test_it_is_never_faster_than_any_layout_of_its_kind(
    make: Any, kind: str, memory_gb: float, stack: Stack, method: str
) -> None:
    plan, machines = planned(make, kind, stack, method), clusters(make, memory_gb)
    free, found = search(replace(plan, stack=None), machines), search(plan, machines)
    assert not (found.fits & ~free.fits).any()
    both = found.fits & free.fits
    assert (sample_s(found)[both] >= sample_s(free)[both] * (1 - 1e-9)).all()
    neither = ~(found.fits | found.tight) & ~(free.fits | free.tight)
    assert (found.memory.total_bytes[neither] >= free.memory.total_bytes[neither] * (1 - 1e-9)).all()


@every_way
@every_shape
def test_more_devices_than_samples_have_a_layout(make: Any, kind: str, stack: Stack, method: str) -> None:
    plan = replace(planned(make, kind, stack, method), global_batch=1)
    machines = [make.cluster(efficiency=REAL, node_devices=8, nodes=nodes) for nodes in (1, 4, 16, 128)]
    found = search(plan, machines)
    for index, cluster in enumerate(machines):
        layout = found.layouts.at(index)
        assert layout.devices == cluster.devices
        assert can_run(stack, method, layout)


@every_way
@every_shape
def test_the_fastest_of_what_it_can_run_is_found(make: Any, kind: str, stack: Stack, method: str) -> None:
    plan = planned(make, kind, stack, method)
    for memory_gb, cluster in itertools.chain(*(((gb, c) for c in clusters(make, gb)) for gb in (8, 24))):
        every, best = survey(plan, cluster), search(plan, [cluster])
        assert bool(best.fits[0]) == every.fits.any(), memory_gb
        if every.fits.any():
            assert sample_s(best)[0] == pytest.approx(sample_s(every)[every.fits].min(), rel=1e-9)
            assert best.memory.total_bytes[0] <= usable_bytes(cluster)


@every_shape
def test_one_device_has_the_same_plan_under_all_that_recompute_alike(make: Any, kind: str) -> None:
    one = make.cluster(sheet={"memory_bytes": 24e9}, efficiency=REAL, node_devices=1)
    seen: dict[tuple[object, ...], list[Layout]] = {}
    for stack, method in WAYS:
        found = search(planned(make, kind, stack, method), [one])
        key = (stack.kind, method, stack.recompute)
        seen.setdefault(key, []).append(found.layouts.at(0))
        # What needs no recomputation is the same under any of a kind.
        free = search(replace(planned(make, kind, stack, method), stack=None), [one]).layouts.at(0)
        if free.recompute is Recompute.NONE:
            assert found.layouts.at(0) == free
    assert max(map(len, seen.values())) > 1
    assert all(len(set(layouts)) == 1 for layouts in seen.values())


@every_way
def test_the_interval_is_narrower_where_runs_of_the_software_were_fitted(make: Any, stack: Stack, method: str) -> None:
    plan = planned(make, "small", stack, method)
    cluster = make.cluster(efficiency=REAL)
    own, of_kind = spread_of(plan, cluster), spread_of(replace(plan, stack=None), cluster)
    assert (own == of_kind) is not stack.fitted
    assert math.log(own.high) <= math.log(of_kind.high)
    assert math.log(own.low) >= math.log(of_kind.low)
