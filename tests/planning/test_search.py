import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.layout import Layout, Recompute
from zenplan.families.transformer import Experts
from zenplan.planning.memory import peak_memory
from zenplan.planning.search import Found, search, usable_bytes
from zenplan.planning.step import step_time

REAL = {"operator_s": 10e-6, "link_hop_s": 5e-6, "network_hop_s": 15e-6, "matmul": 0.6, "memory": 0.7}
POWERS = (1, 2, 4, 8, 16, 32, 64)
BATCH = 16


def every_layout(plan: Any, cluster: Any) -> Iterator[Layout]:
    """All that the rules allow, pointless ones too: nothing is left out because another seems better."""
    layers, experts, heads = plan.workload.layers, plan.workload.experts, plan.workload.heads
    for tp, pp, cp in itertools.product(POWERS, POWERS, (1,)):
        dp, over = divmod(cluster.devices, tp * pp * cp)
        near = max(cluster.linked_devices, cluster.node_devices)
        if over or heads % tp or pp > layers or dp > plan.global_batch or min(near, cluster.devices) % tp:
            continue
        for micro, ep, v, zero in itertools.product(POWERS, POWERS, (1, 2, 4), range(4)):
            m = -(-plan.global_batch // (dp * micro))
            if (micro > 1 and dp * micro > plan.global_batch) or dp % ep or ep > experts:
                continue
            # Interleaving needs whole groups of micro-batches and of layers; a pipeline keeps its gradients.
            if v > 1 and (pp == 1 or m % pp or layers % (pp * v)):
                continue
            if (zero and dp == 1) or (zero > 1 and pp > 1):
                continue
            for again in (Recompute.NONE, Recompute.FULL):
                yield Layout(dp=dp, tp=tp, pp=pp, cp=cp, ep=ep, zero=zero, micro_batch=micro, accumulation=m,
                             interleave=v, recompute=again)  # fmt: skip


def best_by_force(make: Any, plan: Any, cluster: Any) -> tuple[float, float]:
    """Seconds a sample of the fastest layout that fits, and bytes of the leanest one."""
    layouts = list(every_layout(plan, cluster))
    columns = make.columns(*layouts)
    needs = peak_memory(plan, columns).total_bytes
    times = step_time(plan, columns, make.hardware(*[cluster] * len(layouts))).total_s
    # What the batch is rounded up by does not count.
    samples = np.array([min(one.global_batch, plan.global_batch) for one in layouts])
    fits = needs <= usable_bytes(cluster)
    return float(np.where(fits, times / samples, np.inf).min()), float(needs.min())


def sample_s(found: Found, index: int = 0) -> float:
    return float(found.steps.total_s[index] / min(found.layouts.samples[index], BATCH))


SHAPES = {
    "small": {},
    "large": {"layers": 16, "width": 4096, "heads": 32, "ff_width": 16_384, "vocab": 32_000, "seq_len": 2048},
    "mixture": {"layers": 8, "width": 2048, "heads": 16, "experts": Experts(count=8, active=2, width=8192)},
}


@pytest.mark.parametrize("memory_gb", [4, 12, 24, 80])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(("node_devices", "nodes"), [(1, 1), (8, 1), (6, 2), (8, 4)])
def test_nothing_that_is_left_out_would_have_been_better(
    make: Any, kind: str, memory_gb: float, node_devices: int, nodes: int
) -> None:
    plan = make.plan(make.workload(**SHAPES[kind]), global_batch=BATCH)
    cluster = make.cluster(
        sheet={"memory_bytes": memory_gb * 1e9}, efficiency=REAL, node_devices=node_devices, nodes=nodes
    )
    best, leanest = best_by_force(make, plan, cluster)
    found = search(plan, [cluster])
    assert bool(found.fits[0]) == np.isfinite(best)
    if found.fits[0]:
        assert sample_s(found) == pytest.approx(best, rel=1e-9)
        assert found.memory.total_bytes[0] <= usable_bytes(cluster)
    else:
        assert found.memory.total_bytes[0] == pytest.approx(leanest)


def test_the_cases_above_have_both_answers(make: Any) -> None:
    plan = make.plan(make.workload(**SHAPES["large"]), global_batch=BATCH)
    small, large = (make.cluster(sheet={"memory_bytes": m * 1e9}, node_devices=1) for m in (12, 80))
    assert search(plan, [small, large]).fits.tolist() == [False, True]


def test_many_clusters_at_once_are_what_each_is_alone(make: Any) -> None:
    plan = make.plan(make.workload(**SHAPES["large"]), global_batch=BATCH)
    clusters = [
        make.cluster(sheet={"memory_bytes": m * 1e9}, efficiency=REAL, nodes=n, network_bytes_per_s=rate)
        for m in (24, 80)
        for n in (1, 2, 4)
        for rate in (1e9, 50e9)
    ]
    together = search(plan, clusters)
    for index, cluster in enumerate(clusters):
        alone = search(plan, [cluster])
        assert together.layouts.at(index) == alone.layouts.at(0)
        assert sample_s(together, index) == pytest.approx(sample_s(alone), rel=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    node_devices=st.integers(1, 8),
    nodes=st.sampled_from([1, 2, 3, 4, 16]),
    batch=st.integers(1, 300),
    memory_gb=st.sampled_from([6, 24, 80]),
    kind=st.sampled_from(sorted(SHAPES)),
)
def test_what_is_chosen_can_be_run(
    make: Any, node_devices: int, nodes: int, batch: int, memory_gb: float, kind: str
) -> None:
    plan = make.plan(make.workload(**SHAPES[kind]), global_batch=batch)
    cluster = make.cluster(
        sheet={"memory_bytes": memory_gb * 1e9}, efficiency=REAL, node_devices=node_devices, nodes=nodes
    )
    found = search(plan, [cluster])
    one = found.layouts.at(0)
    assert one.devices == cluster.devices
    assert plan.workload.heads % one.tp == 0
    assert node_devices % one.tp == 0
    assert one.pp <= plan.workload.layers
    assert one.dp % one.ep == 0
    assert one.ep <= plan.workload.experts
    assert one.global_batch == found.layouts.samples[0]
    assert batch <= one.global_batch < batch + one.dp * one.micro_batch
    assert bool(found.fits[0]) == (found.memory.total_bytes[0] <= 0.95 * memory_gb * 1e9)
    assert found.considered > 0


def test_tensor_groups_do_not_lie_across_nodes(make: Any) -> None:
    # Six of eight devices in use: a group of four would have to borrow two from the next node.
    plan = make.plan(make.workload(**SHAPES["large"]), global_batch=4)
    cluster = make.cluster(efficiency=REAL, node_devices=6, nodes=2, network_bytes_per_s=1e9)
    assert search(plan, [cluster]).layouts.at(0).tp in (1, 2)


def test_tensor_groups_have_whole_heads(make: Any) -> None:
    # One sample on eight devices, six heads of 512: groups of two, and a pipeline for the rest.
    plan = make.plan(make.workload(layers=8, width=3072, heads=6, ff_width=12_288), global_batch=1)
    one = search(plan, [make.cluster(efficiency=REAL)]).layouts.at(0)
    assert one.tp in (1, 2)
    assert one.devices == 8


def test_more_devices_than_samples_is_wasteful_but_answered(make: Any) -> None:
    # Three devices cannot share one sample: each takes one, and the batch grows.
    plan = make.plan(make.workload(heads=8), global_batch=1)
    found = search(plan, [make.cluster(node_devices=3)])
    assert found.layouts.at(0).dp == 3
    assert found.layouts.samples[0] == 3


def test_recomputation_comes_only_where_memory_asks_for_it(make: Any) -> None:
    plan = make.plan(make.workload(**SHAPES["large"]), global_batch=64)
    tight, roomy = (make.cluster(sheet={"memory_bytes": m * 1e9}, node_devices=8) for m in (10.5, 1000))
    layouts = search(plan, [tight, roomy]).layouts
    assert layouts.at(1).recompute is Recompute.NONE
    assert layouts.at(1).zero < 2


def test_long_sequences_may_be_divided(make: Any) -> None:
    plan = make.plan(make.workload(seq_len=65_536, width=4096, heads=32, ff_width=16_384), global_batch=1)
    found = search(plan, [make.cluster(efficiency=REAL, sheet={"memory_bytes": 30e9})])
    one = found.layouts.at(0)
    assert one.devices == 8
    assert one.tp * one.cp * one.pp == 8
