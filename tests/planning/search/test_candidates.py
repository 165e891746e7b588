"""What is a layout at all: the rules, and that numbers which are no powers of two are met too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.families.transformer.lowering import Experts
from zenplan.planning.search.candidates import candidates, divisors, reachable

LLAMA = {"layers": 80, "width": 8192, "heads": 64, "ff_width": 28_672, "vocab": 32_000, "seq_len": 4096}


def planned(make: Any, batch: int = 2048, **shape: Any) -> Any:
    return make.plan(make.workload(**{**LLAMA, **shape}), global_batch=batch)


def columns(make: Any, devices: int, nears: tuple[int, ...] = (8,), batch: int = 2048, **shape: Any) -> Any:
    return candidates(planned(make, batch, **shape), devices, nears)


@pytest.mark.parametrize("devices", [1, 7, 24, 48, 96, 1000, 2520])
def test_every_layout_uses_all_devices_and_feeds_the_batch(make: Any, devices: int) -> None:
    lay = columns(make, devices)
    assert len(lay.dp)
    assert (lay.dp * lay.tp * lay.pp * lay.cp == devices).all()
    assert (lay.samples >= 2048).all()
    assert (lay.samples < 2048 + lay.dp * lay.micro_batch).all()
    assert (64 % lay.tp == 0).all()
    assert (lay.pp <= 80).all()


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
    lay = columns(make, 24, (4, 6, 8))
    for near, possible in ((4, {1, 2, 4}), (6, {1, 2}), (8, {1, 2, 4, 8})):
        assert set(lay.tp[reachable(planned(make), lay, 24, near)]) == possible


def test_where_the_batch_is_too_small_for_the_nodes_devices_stay_without_samples(make: Any) -> None:
    # One sample on 64 devices, two layers: nodes of 32 can share it, those of one or six cannot.
    plan = planned(make, 1, layers=2)
    lay = candidates(plan, 64, (1, 6, 32))
    assert set(lay.tp[reachable(plan, lay, 64, 32)]) == {32}
    for near in (1, 6):
        assert set(lay.dp[reachable(plan, lay, 64, near)]) == {64}


def test_a_hybrid_group_is_the_rest_of_a_node(make: Any) -> None:
    lay = columns(make, 32, (4, 8))
    hybrid = lay.take(lay.shard > 0)
    assert set(hybrid.zero) == {3}
    assert set(hybrid.shard * hybrid.tp) == {4, 8}
    assert set((lay.shard * lay.tp)[reachable(planned(make), lay, 32, 8)]) == {0, 8}


def test_zero_is_over_all_that_hold_the_same_weights(make: Any) -> None:
    """Data-parallel times context-parallel groups; its later stages go without a pipeline, none with one replica."""
    lay = columns(make, 8, (4, 8), seq_len=32_768, batch=16)
    replicas = lay.dp * lay.cp
    for alone, pipeline, stages in (
        (True, True, {0}),
        (True, False, {0}),
        (False, True, {1}),
        (False, False, {1, 2, 3}),
    ):
        kind = ((replicas == 1) == alone) & ((lay.pp > 1) == pipeline)
        assert set(lay.zero[kind]) == stages, (alone, pipeline)
    # As many groups of either sort: their quotient is one, their product is not.
    assert set(lay.zero[(lay.dp == 2) & (lay.cp == 2) & (lay.pp == 1)]) == {1, 2, 3}
    # The rest of a node of four: two devices beside a tensor group of two, all four where there is none.
    for dp, cp, part in ((2, 2, 2), (4, 2, 4), (2, 4, 4)):
        assert set(lay.shard[(lay.dp == dp) & (lay.cp == cp) & (lay.zero == 3)]) == {0, part}, (dp, cp)


def test_micro_batches_are_powers_of_two_and_what_divides(make: Any) -> None:
    # Two groups of 21 samples: three and seven divide, four wastes three.
    lay = columns(make, 2, (2,), batch=42)
    shared = lay.take((lay.dp == 2) & (lay.zero == 1))
    assert sorted(set(shared.micro_batch)) == [1, 2, 3, 4, 7, 8, 16, 21]
    assert dict(zip(shared.micro_batch, shared.accumulation, strict=True))[4] == 6


def test_a_micro_batch_of_a_language_model_has_at_most_128_samples(make: Any) -> None:
    for share, divide in ((512, {1}), (500, {1, 2, 4, 5, 10, 20, 25, 50, 100, 125})):
        lay = columns(make, 8, batch=8 * share)
        assert set(lay.micro_batch[lay.dp == 8]) == {2**i for i in range(8)} | divide


def test_a_context_group_takes_several_samples_only_where_they_cannot_be_shared_out(make: Any) -> None:
    """Two groups of two devices, two samples at once: four of a batch go to as many groups, three do not."""
    for batch, several in ((4, False), (3, True)):
        lay = columns(make, 4, (4,), batch=batch, seq_len=32_768)
        of = (lay.dp == 2) & (lay.cp == 2)
        assert (2 in set(lay.micro_batch[of])) is several, batch


def test_only_language_models_have_stages(make: Any) -> None:
    plan = planned(make, 64)
    images = replace(plan, workload=replace(plan.workload, family="convnet"))
    assert set(candidates(plan, 8, (8,)).pp) == {1, 2, 4, 8}
    assert set(candidates(images, 8, (8,)).pp) == {1}
    assert max(candidates(images, 1, (1,)).micro_batch) == 64


def test_expert_groups_divide_the_experts_and_the_stage(make: Any) -> None:
    lay = columns(make, 24, experts=Experts(count=12, active=2, width=1024), batch=48)
    assert set(lay.ep) == {1, 2, 3, 4, 6, 12}
    stage = lay.tp * lay.dp * lay.cp
    assert (stage % lay.ep == 0).all()


def test_context_groups_leave_enough_of_the_sequence(make: Any) -> None:
    assert set(columns(make, 16, seq_len=4096).cp) == {1}
    assert set(columns(make, 16, seq_len=32_768).cp) == {1, 2, 4, 8}
    # Of 24,576 tokens, six parts have 4,096.
    assert set(columns(make, 24, seq_len=24_576).cp) == {1, 2, 3, 4, 6}


def test_a_stage_of_one_layer_has_no_virtual_ones(make: Any) -> None:
    lay = columns(make, 80, (8,), batch=80)
    assert set(lay.interleave[lay.pp == 80]) == {1}
    assert set(lay.interleave[(lay.pp == 10) & (lay.accumulation % 10 == 0)]) == {1, 2, 4, 8}
    assert set(lay.interleave[lay.accumulation % lay.pp > 0]) == {1}


def test_entries_of_one_kind_stand_together(make: Any) -> None:
    lay = columns(make, 48)
    kinds = np.stack([lay.tp, lay.cp, lay.pp, lay.dp, lay.ep, lay.zero, lay.shard])
    runs = 1 + int((kinds[:, 1:] != kinds[:, :-1]).any(axis=0).sum())
    assert runs == len(np.unique(kinds, axis=1).T)
