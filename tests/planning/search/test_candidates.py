"""What is a layout at all: the rules, and that numbers which are no powers of two are met too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.domain.training.stack import STACKS
from zenplan.families.transformer.shape import Experts
from zenplan.planning.search.candidates import candidates, divisors, reachable

LLAMA = {"layers": 80, "width": 8192, "heads": 64, "ff_width": 28_672, "vocab": 32_000, "seq_len": 4096}


def planned(make: Any, batch: int = 2048, **shape: Any) -> Any:
    return make.plan(make.workload(**{**LLAMA, **shape}), global_batch=batch)


def columns(make: Any, devices: int, nears: tuple[int, ...] = (8,), batch: int = 2048, **shape: Any) -> Any:
    return candidates(planned(make, batch, **shape), devices, nears)


@pytest.mark.parametrize("devices", [1, 7, 24, 48, 96, 1000, 2520])
def test_every_layout_uses_all_devices_and_feeds_the_batch(make: Any, devices: int) -> None:
    layouts = columns(make, devices)
    assert len(layouts.dp)
    assert (layouts.dp * layouts.tp * layouts.pp * layouts.cp == devices).all()
    assert (layouts.samples >= 2048).all()
    assert (layouts.samples < 2048 + layouts.dp * layouts.micro_batch).all()
    assert (64 % layouts.tp == 0).all()
    assert (layouts.pp <= 80).all()


def test_divisors() -> None:
    assert divisors(1) == [1]
    assert divisors(36) == [1, 2, 3, 4, 6, 9, 12, 18, 36]
    assert divisors(97) == [1, 97]


def test_stages_are_every_divisor_that_has_a_layer(make: Any) -> None:
    assert set(columns(make, 2520, batch=2520).pp) == {p for p in divisors(2520) if p <= 80}
    # 126 layers on 48 devices: stages of 3 have 42 each, and those of 16 have 8 but for the last.
    assert set(columns(make, 48, layers=126).pp) == set(divisors(48))


def test_a_tensor_group_cuts_heads_and_widths_into_whole_parts(make: Any) -> None:
    # 96 heads of 128 are cut in three, and so is a width of 12,288; a feed-forward width of 28,672 is not.
    whole = columns(make, 6, (6,), heads=96, width=12_288, ff_width=49_152)
    assert set(whole.tp) == {1, 2, 3, 6}
    assert set(columns(make, 6, (6,), heads=96, width=12_288).tp) == {1, 2}


def test_what_is_near_decides_on_tensor_groups(make: Any) -> None:
    layouts = columns(make, 24, (4, 6, 8))
    for near, possible in ((4, {1, 2, 4}), (6, {1, 2}), (8, {1, 2, 4, 8})):
        assert set(layouts.tp[reachable(planned(make), layouts, 24, near)]) == possible


def test_where_the_batch_is_too_small_for_the_nodes_devices_stay_without_samples(make: Any) -> None:
    # One sample on 64 devices, two layers: nodes of 32 can share it, those of one or six cannot.
    plan = planned(make, 1, layers=2)
    layouts = candidates(plan, 64, (1, 6, 32))
    assert set(layouts.tp[reachable(plan, layouts, 64, 32)]) == {32}
    for near in (1, 6):
        assert set(layouts.dp[reachable(plan, layouts, 64, near)]) == {64}


def test_a_hybrid_group_is_the_rest_of_a_node(make: Any) -> None:
    layouts = columns(make, 32, (4, 8))
    hybrid = layouts.take(layouts.shard > 0)
    assert set(hybrid.zero) == {3}
    assert set(hybrid.shard * hybrid.tp) == {4, 8}
    assert set((layouts.shard * layouts.tp)[reachable(planned(make), layouts, 32, 8)]) == {0, 8}


def test_zero_is_over_all_that_hold_the_same_weights(make: Any) -> None:
    """Data-parallel times context-parallel groups; its later stages go without a pipeline, none with one replica."""
    layouts = columns(make, 8, (4, 8), seq_len=32_768, batch=16)
    replicas = layouts.dp * layouts.cp
    for alone, pipeline, stages in (
        (True, True, {0}),
        (True, False, {0}),
        (False, True, {1}),
        (False, False, {1, 2, 3}),
    ):
        kind = ((replicas == 1) == alone) & ((layouts.pp > 1) == pipeline)
        assert set(layouts.zero[kind]) == stages, (alone, pipeline)
    # As many groups of either sort: their quotient is one, their product is not.
    assert set(layouts.zero[(layouts.dp == 2) & (layouts.cp == 2) & (layouts.pp == 1)]) == {1, 2, 3}
    # The rest of a node of four: two devices beside a tensor group of two, all four where there is none.
    for dp, cp, part in ((2, 2, 2), (4, 2, 4), (2, 4, 4)):
        assert set(layouts.shard[(layouts.dp == dp) & (layouts.cp == cp) & (layouts.zero == 3)]) == {0, part}, (dp, cp)


def test_micro_batches_are_powers_of_two_and_what_divides(make: Any) -> None:
    # Two groups of 21 samples: three and seven divide, four wastes three.
    layouts = columns(make, 2, (2,), batch=42)
    shared = layouts.take((layouts.dp == 2) & (layouts.zero == 1))
    assert sorted(set(shared.micro_batch)) == [1, 2, 3, 4, 7, 8, 16, 21]
    assert dict(zip(shared.micro_batch, shared.accumulation, strict=True))[4] == 6


def test_a_micro_batch_of_a_language_model_has_at_most_128_samples(make: Any) -> None:
    for share, divide in ((512, {1}), (500, {1, 2, 4, 5, 10, 20, 25, 50, 100, 125})):
        layouts = columns(make, 8, batch=8 * share)
        assert set(layouts.micro_batch[layouts.dp == 8]) == {2**i for i in range(8)} | divide


def test_a_context_group_takes_several_samples_only_where_they_cannot_be_shared_out(make: Any) -> None:
    """Two groups of two devices, two samples at once: four of a batch go to as many groups, three do not."""
    for batch, several in ((4, False), (3, True)):
        layouts = columns(make, 4, (4,), batch=batch, seq_len=32_768)
        of = (layouts.dp == 2) & (layouts.cp == 2)
        assert (2 in set(layouts.micro_batch[of])) is several, batch


def test_only_language_models_have_stages(make: Any) -> None:
    plan = planned(make, 64)
    images = replace(plan, workload=replace(plan.workload, family="convnet"))
    assert set(candidates(plan, 8, (8,)).pp) == {1, 2, 4, 8}
    assert set(candidates(images, 8, (8,)).pp) == {1}
    assert max(candidates(images, 1, (1,)).micro_batch) == 64


def test_expert_groups_divide_the_experts_and_the_stage(make: Any) -> None:
    layouts = columns(make, 24, experts=Experts(count=12, active=2, width=1024), batch=48)
    assert set(layouts.ep) == {1, 2, 3, 4, 6, 12}
    stage = layouts.tp * layouts.dp * layouts.cp
    assert (stage % layouts.ep == 0).all()


def test_context_groups_leave_enough_of_the_sequence(make: Any) -> None:
    assert set(columns(make, 16, seq_len=4096).cp) == {1}
    assert set(columns(make, 16, seq_len=32_768).cp) == {1, 2, 4, 8}
    # Of 24,576 tokens, six parts have 4,096.
    assert set(columns(make, 24, seq_len=24_576).cp) == {1, 2, 3, 4, 6}


def test_a_stage_of_one_layer_has_no_virtual_ones(make: Any) -> None:
    layouts = columns(make, 80, (8,), batch=80)
    assert set(layouts.interleave[layouts.pp == 80]) == {1}
    assert set(layouts.interleave[(layouts.pp == 10) & (layouts.accumulation >= 10)]) == {1, 2, 4, 8}
    assert set(layouts.interleave[layouts.accumulation < layouts.pp]) == {1}


def test_entries_of_one_kind_stand_together(make: Any) -> None:
    layouts = columns(make, 48)
    kinds = np.stack([layouts.tp, layouts.cp, layouts.pp, layouts.dp, layouts.ep, layouts.zero, layouts.shard])
    runs = 1 + int((kinds[:, 1:] != kinds[:, :-1]).any(axis=0).sum())
    assert runs == len(np.unique(kinds, axis=1).T)


def test_layers_that_no_stages_divide_have_pipelines_and_virtual_stages(make: Any) -> None:
    # 61 and 126 layers: 16 on the fullest of 4 stages, 8 on that of 16.
    for layers, stages, parts in ((61, 4, {1, 2, 4, 8, 16}), (126, 16, {1, 2, 4, 8})):
        plan = planned(make, 64, layers=layers)
        layouts = candidates(plan, 64, (8,))
        filled = (layouts.pp == stages) & (layouts.accumulation >= stages)
        assert set(layouts.interleave[filled]) == parts
        assert not layouts.even.any()
        equal = candidates(replace(plan, stack=STACKS["maxtext"]), 64, (8,))
        assert (layers % equal.pp == 0).all()
        assert (layers % (equal.pp * equal.interleave) == 0).all()
        assert equal.even[equal.pp > 1].all()
