import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.answer.fit import FITS_UP_TO, PLANNED_UP_TO
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.families.transformer.shape import Experts
from zenplan.planning.physics.memory import peak_memory
from zenplan.planning.physics.step import step_time
from zenplan.planning.search.search import Found, search, survey, usable_bytes

REAL = {"operator_s": 10e-6, "link_hop_s": 5e-6, "network_hop_s": 15e-6, "matmul": 0.6, "memory": 0.7}
BATCH = 16


def divides(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def degrees(plan: Any, cluster: Any) -> Iterator[tuple[int, int, int, int, int]]:
    """(dp, tp, pp, cp, ep), each rule written down once more, in plain loops."""
    load, devices = plan.workload, cluster.devices
    node = min(max(cluster.linked_devices, cluster.node_devices), devices)
    for tp, pp, cp in itertools.product(divides(devices), divides(devices), divides(devices)):
        dp, over = divmod(devices, tp * pp * cp)
        if over or load.heads % tp or node % tp or pp > load.layers or not 1 <= dp <= plan.global_batch:
            continue
        if cp > 1 and (load.tokens_per_sample % (2 * cp) or load.tokens_per_sample // cp < 4096):
            continue
        for ep in divides(load.experts):
            folds = ep % (dp * cp) == 0 and tp % (ep // (dp * cp)) == 0
            if (dp * cp) % ep == 0 or folds:
                yield dp, tp, pp, cp, ep


def every_layout(plan: Any, cluster: Any) -> Iterator[Layout]:
    """All that the rules allow, pointless ones too: nothing is left out because another seems better."""
    node = min(max(cluster.linked_devices, cluster.node_devices), cluster.devices)
    for dp, tp, pp, cp, ep in degrees(plan, cluster):
        share, per_stage = -(-plan.global_batch // dp), -(-plan.workload.layers // pp)
        micros = {d for d in (*divides(share), 1, 2, 4, 8, 16, 32, 64, 128) if d <= min(share, 128)}
        for micro, v, zero in itertools.product(sorted(micros), divides(per_stage), range(4)):
            m = -(-plan.global_batch // (dp * micro))
            # Interleaving needs as many micro-batches as stages; a pipeline keeps its gradients.
            if (v > 1 and (pp == 1 or m < pp)) or (zero and dp * cp == 1) or (zero > 1 and pp > 1):
                continue
            hybrid = [node // tp] if zero == 3 and 1 < node // tp < dp * cp and not dp * cp % (node // tp) else []
            for shard, again in itertools.product((None, *hybrid), (Recompute.NONE, Recompute.HALF, Recompute.FULL)):
                yield Layout(
                    dp=dp,
                    tp=tp,
                    pp=pp,
                    cp=cp,
                    ep=ep,
                    zero=zero,
                    micro_batch=micro,
                    accumulation=m,
                    interleave=v,
                    recompute=again,
                    shard=shard,
                )


def best_by_force(make: Any, plan: Any, cluster: Any) -> tuple[float, float, float]:
    """Seconds a sample of the fastest layout that fits, of the fastest that may, and bytes of the leanest one."""
    layouts = list(every_layout(plan, cluster))
    columns = make.columns(*layouts)
    needs = peak_memory(plan, columns).total_bytes
    times = step_time(plan, columns, make.hardware(*[cluster] * len(layouts))).total_s
    # What the batch is rounded up by does not count.
    samples = np.array([min(one.global_batch, plan.global_batch) for one in layouts])
    limits = (usable_bytes(cluster), PLANNED_UP_TO * cluster.accelerator.capacity_bytes)
    fits, tight = (float(np.where(needs <= limit, times / samples, np.inf).min()) for limit in limits)
    return fits, tight, float(needs.min())


def one_by_one(make: Any, plan: Any, cluster: Any) -> float:
    """Seconds a sample of the fastest layout that fits: each layout computed alone, the best one kept."""
    best, hardware = math.inf, make.hardware(cluster)
    for layout in every_layout(plan, cluster):
        alone = make.columns(layout)
        if peak_memory(plan, alone).total_bytes[0] <= usable_bytes(cluster):
            time_s = float(step_time(plan, alone, hardware).total_s[0])
            best = min(best, time_s / min(layout.global_batch, plan.global_batch))
    return best


def sample_s(found: Found, index: int = 0, batch: int = BATCH) -> float:
    return float(found.steps.total_s[index] / min(found.layouts.samples[index], batch))


SHAPES = {
    "small": {},
    "large": {"layers": 16, "width": 4096, "heads": 32, "ff_width": 16_384, "vocab": 32_000, "seq_len": 2048},
    "long": {"layers": 4, "width": 1024, "heads": 8, "ff_width": 4096, "seq_len": 32_768},
    "mixture": {"layers": 8, "width": 2048, "heads": 16, "experts": Experts(count=8, active=2, width=8192)},
}


@pytest.mark.parametrize("memory_gb", [4, 12, 24, 80])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(("node_devices", "nodes"), [(1, 1), (8, 1), (6, 2), (8, 3)])
def test_nothing_that_is_left_out_would_have_been_better(
    make: Any, kind: str, memory_gb: float, node_devices: int, nodes: int
) -> None:
    plan = make.plan(make.workload(**SHAPES[kind]), global_batch=BATCH)
    cluster = make.cluster(
        sheet={"memory_bytes": memory_gb * 1e9}, efficiency=REAL, node_devices=node_devices, nodes=nodes
    )
    best, tight, leanest = best_by_force(make, plan, cluster)
    found = search(plan, [cluster])
    assert bool(found.fits[0]) == np.isfinite(best)
    if found.fits[0]:
        assert sample_s(found) == pytest.approx(best, rel=1e-9)
        assert found.memory.total_bytes[0] <= usable_bytes(cluster)
    elif np.isfinite(tight):
        # Nothing fits: the fastest of those that may.
        assert found.tight[0]
        assert found.planned[0]
        assert sample_s(found) == pytest.approx(tight, rel=1e-9)
    else:
        assert not found.planned[0]
        assert found.memory.total_bytes[0] == pytest.approx(leanest)


@pytest.mark.parametrize("memory_gb", [10, 14, 80])
@pytest.mark.parametrize("kind", SHAPES)
def test_the_answer_is_that_of_trying_each_layout_alone(make: Any, kind: str, memory_gb: float) -> None:
    plan = make.plan(make.workload(**SHAPES[kind]), global_batch=6)
    cluster = make.cluster(sheet={"memory_bytes": memory_gb * 1e9}, efficiency=REAL, node_devices=6)
    found, best = search(plan, [cluster]), one_by_one(make, plan, cluster)
    assert bool(found.fits[0]) == (best < math.inf)
    if found.fits[0]:
        assert sample_s(found, batch=6) == pytest.approx(best, rel=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    node_devices=st.sampled_from([1, 2, 3, 4, 6, 8]),
    nodes=st.sampled_from([1, 2, 3, 5]),
    batch=st.integers(1, 60),
    memory_gb=st.floats(3, 60),
    network=st.sampled_from([1e8, 1e9, 50e9]),
    kind=st.sampled_from(sorted(SHAPES)),
)
def test_nothing_that_is_left_out_is_missed_anywhere(
    make: Any, node_devices: int, nodes: int, batch: int, memory_gb: float, network: float, kind: str
) -> None:
    plan = make.plan(make.workload(**SHAPES[kind]), global_batch=batch)
    cluster = make.cluster(
        sheet={"memory_bytes": memory_gb * 1e9},
        efficiency=REAL,
        node_devices=node_devices,
        nodes=nodes,
        network_bytes_per_s=network,
    )
    if not any(degrees(plan, cluster)):
        return  # answered, wastefully: see below
    best, tight, leanest = best_by_force(make, plan, cluster)
    found = search(plan, [cluster])
    if min(best, tight) < math.inf:
        assert sample_s(found, batch=batch) == pytest.approx(best if best < math.inf else tight, rel=1e-9)
    else:
        assert found.memory.total_bytes[0] == pytest.approx(leanest)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_survey_agrees_with_the_search(make: Any, kind: str) -> None:
    plan = make.plan(make.workload(**SHAPES[kind]), global_batch=BATCH)
    cluster = make.cluster(sheet={"memory_bytes": 14e9}, efficiency=REAL)
    every, best = survey(plan, cluster), search(plan, [cluster])
    each = np.where(every.fits, every.steps.total_s / np.minimum(every.layouts.samples, BATCH), np.inf)
    assert each.min() == pytest.approx(sample_s(best), rel=1e-12)
    # A layout stands there once, and each is one of those that the rules allow.
    listed = [every.layouts.at(i) for i in range(len(every.fits))]
    assert len(set(listed)) == len(listed)
    assert set(listed) <= set(every_layout(plan, cluster))


@pytest.mark.parametrize("devices", [24, 48, 96])
def test_other_numbers_than_powers_of_two_find_layouts_as_good(make: Any, devices: int) -> None:
    # The batch divides among all of them, so a device-second is worth about as much as on a power of two.
    plan = make.plan(make.workload(**{**SHAPES["large"], "heads": 48, "width": 6144}), global_batch=1536)
    power = 2 ** round(math.log2(devices))
    clusters = [make.cluster(efficiency=REAL, nodes=n // 8) for n in (devices, power)]
    found = search(plan, clusters)
    assert found.fits.all()
    spent = found.steps.total_s / found.layouts.samples * np.array([devices, power])
    assert spent[0] <= 1.08 * spent[1]


def test_stages_need_not_be_a_power_of_two(make: Any) -> None:
    # Nine layers on three nodes, with a network so slow that only a pipeline can cross it.
    plan = make.plan(make.workload(**{**SHAPES["large"], "layers": 9}), global_batch=48)
    cluster = make.cluster(efficiency=REAL, nodes=3, network_bytes_per_s=1e8)
    one = search(plan, [cluster]).layouts.at(0)
    assert one.pp % 3 == 0


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    devices=st.integers(1, 12), more=st.integers(2, 4), times=st.integers(1, 4), kind=st.sampled_from(sorted(SHAPES))
)
def test_more_devices_are_not_slower_where_sending_costs_nothing(
    make: Any, devices: int, more: int, times: int, kind: str
) -> None:
    # The batch divides among the larger number too. (A slow network may well make more devices slower.)
    plan = make.plan(make.workload(**SHAPES[kind]), global_batch=devices * more * times)
    sheet = {"memory_bytes": 1e15, "link_bytes_per_s": make.no_limit}
    few, many = (
        make.cluster(sheet=sheet, node_devices=1, nodes=n, network_bytes_per_s=make.no_limit)
        for n in (devices, devices * more)
    )
    step_s = search(plan, [few, many]).steps.total_s
    assert step_s[1] <= step_s[0] * (1 + 1e-9)


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
    assert (one.tp * one.dp * one.cp) % one.ep == 0
    assert one.ep <= plan.workload.experts
    assert one.global_batch == found.layouts.samples[0]
    assert batch <= one.global_batch < batch + one.dp * one.micro_batch
    assert bool(found.fits[0]) == (found.memory.total_bytes[0] <= 0.88 * memory_gb * 1e9)
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
    # Three devices cannot share one sample of two layers: each takes one, and the batch grows.
    plan = make.plan(make.workload(heads=8, layers=2), global_batch=1)
    found = search(plan, [make.cluster(node_devices=3)])
    assert found.layouts.at(0).dp == 3
    assert found.layouts.samples[0] == 3


def test_recomputation_comes_only_where_memory_asks_for_it(make: Any) -> None:
    plan = make.plan(make.workload(**SHAPES["large"]), global_batch=64)
    tight, roomy = (make.cluster(sheet={"memory_bytes": m * 1e9}, node_devices=8) for m in (10.5, 1000))
    layouts = search(plan, [tight, roomy]).layouts
    assert layouts.at(1).recompute is Recompute.NONE
    assert layouts.at(1).zero < 2


def test_what_may_be_recomputed_depends_on_the_attention(make: Any) -> None:
    """(share of a layer, attention alone): a fused kernel computes its scores again by itself, so half comes instead."""
    for fused, rungs in ((True, {(0.0, 0.0), (0.5, 0.0), (1.0, 0.0)}), (False, {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)})):
        layouts = survey(make.plan(global_batch=BATCH, fused_attention=fused), make.cluster()).layouts
        assert set(zip(layouts.full.tolist(), layouts.selective.tolist(), strict=True)) == rungs


def test_what_fills_a_device_to_the_last_byte_fits(make: Any) -> None:
    plan, filled = make.plan(global_batch=BATCH), 0
    for need in np.unique(survey(plan, make.cluster()).memory.total_bytes)[:40]:
        cluster = make.cluster(sheet={"memory_bytes": float(need) / FITS_UP_TO})
        if usable_bytes(cluster) == need:  # what the division rounds to is not always
            found = survey(plan, cluster)
            assert found.fits[found.memory.total_bytes == need].all()
            filled += 1
    assert filled


def test_a_batch_of_one_is_answered_on_every_kind_of_node(make: Any) -> None:
    plan = make.plan(make.workload(**SHAPES["large"]), global_batch=1)
    clusters = [make.cluster(node_devices=n, nodes=64 // n) for n in (1, 2, 8, 64)]
    found = search(plan, clusters)
    assert [found.layouts.at(i).devices for i in range(4)] == [64] * 4
    # Sixteen stages of one layer and groups of four are enough; smaller nodes leave devices without work.
    assert [found.layouts.at(i).dp for i in range(4)] == [64, 64, 1, 1]
    assert survey(plan, clusters[0]).fits.any()


def test_long_sequences_may_be_divided(make: Any) -> None:
    plan = make.plan(make.workload(seq_len=65_536, width=4096, heads=32, ff_width=16_384), global_batch=1)
    found = search(plan, [make.cluster(efficiency=REAL, sheet={"memory_bytes": 30e9})])
    one = found.layouts.at(0)
    assert one.devices == 8
    assert one.tp * one.cp * one.pp == 8


def test_a_layer_that_divides_nothing_is_no_slower_than_the_next(make: Any) -> None:
    """30 to 33 layers on 64 devices: the step grows with them, and never by more than a layer on each stage."""
    shape = {"width": 4096, "heads": 32, "ff_width": 16_384, "vocab": 32_000, "seq_len": 4096}
    where = make.cluster(sheet={"memory_bytes": 80e9}, efficiency=REAL, nodes=8)
    plans = [make.plan(make.workload(layers=n, **shape), global_batch=64) for n in range(28, 34)]
    found = [float(search(plan, [where]).steps.total_s[0]) for plan in plans]
    assert all(less <= more * 1.001 for less, more in itertools.pairwise(found))
    assert found[-1] / found[0] < 33 / 28 * 1.1
