"""The law of fused attention: its limits, what it grows with, and what kernels are known for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.fit.attention import KERNELS, AttentionKernel
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.operators import Attention
from zenplan.domain.precision import PRECISIONS
from zenplan.fitting.model import at_data_sheet
from zenplan.planning.physics.attention import TILE, fused_attention_s, query_rows, score_flop, scored_keys
from zenplan.planning.physics.columns import Hardware

CATALOGUE = Catalogue(accelerators=read_accelerators())


def attention(length: int = 4096, width: int = 128, causal: bool = True, window: int | None = None) -> Attention:
    return Attention(
        name="a",
        heads=16,
        kv_heads=16,
        key_dim=width,
        value_dim=width,
        queries=length,
        keys=length,
        causal=causal,
        window=window,
    )


def hardware(kernel: AttentionKernel | str, gpu: str = "H100-SXM5-80GB") -> Hardware:
    named = KERNELS[kernel] if isinstance(kernel, str) else kernel
    sheet = CATALOGUE.by_name(gpu)
    efficiency = replace(at_data_sheet(), kernel=named)
    alone = Cluster(accelerator=sheet, efficiency=efficiency, node_devices=1, nodes=1, network_bytes_per_s=None)
    return Hardware.of([alone], PRECISIONS["bf16"])


def fused(op: Attention, samples: Any, pieces: Any, hw: Hardware) -> tuple[Any, Any]:
    return fused_attention_s(op, query_rows(op), scored_keys(op), samples, pieces, hw)


def flop_per_s(op: Attention, hw: Hardware, samples: float = 4.0, pieces: float = 1.0) -> tuple[float, float]:
    """Forward and backward, counting what the mask leaves."""
    forward, backward = fused(op, np.array([samples]), np.array([pieces]), hw)
    ahead, back = score_flop(op)
    scores = samples * op.heads * op.queries * op.seen_keys
    return scores * ahead / float(forward[0]), scores * back / float(backward[0])


def test_a_backward_pass_has_five_products_of_two_widths() -> None:
    op = replace(attention(), key_dim=192, value_dim=128)
    # Scores and weighted sum; again, and of keys, queries and scores by their own widths (Dao et al. 2022, algorithm 4).
    assert score_flop(op) == (2 * (192 + 128), 2 * (3 * 192 + 2 * 128))


def test_whole_tiles_are_computed() -> None:
    assert scored_keys(attention(4096, causal=False)) == 4096
    causal = attention(4096)
    assert scored_keys(causal) == pytest.approx(causal.seen_keys + TILE / 2)
    window = attention(32_768, window=128)
    assert scored_keys(window) == pytest.approx(window.seen_keys + TILE)
    # A sequence within one tile has no more than its keys, and a window that holds all of it is none.
    assert scored_keys(attention(64)) == 64
    assert scored_keys(attention(1024, window=4096)) == scored_keys(attention(1024))


@pytest.mark.parametrize(
    ("kernel", "gpu", "length", "width", "causal", "forward"),
    [
        # Forward TFLOP/s as published: Shah et al. 2024, figure 5; NVIDIA/cudnn-frontend, Llama 3.1 on GB200.
        ("fa3", "H100-SXM5-80GB", 16_384, 128, False, 648),
        ("fa3", "H100-SXM5-80GB", 16_384, 64, False, 497),
        ("fa3", "H100-SXM5-80GB", 16_384, 256, False, 756),
        ("fa3", "H100-SXM5-80GB", 4096, 128, True, 579),
        ("fa2", "H100-SXM5-80GB", 16_384, 128, False, 370),
        ("fa2", "H100-SXM5-80GB", 16_384, 64, True, 299),
        ("cudnn-9", "H100-SXM5-80GB", 8192, 128, True, 529),
        ("cudnn-10", "GB200-186GB", 16_384, 128, False, 1697),
    ],
)
def test_known_kernels_within_a_seventh(
    kernel: str, gpu: str, length: int, width: int, causal: bool, forward: float
) -> None:
    reached, _ = flop_per_s(attention(length, width, causal), hardware(kernel, gpu), samples=16_384 / length * 4)
    assert reached / 1e12 == pytest.approx(forward, rel=0.145)


def test_a_later_kernel_is_faster_on_its_own_generation() -> None:
    op = attention(131_072)
    first, second, third = (flop_per_s(op, hardware(name))[0] for name in ("fa1", "fa2", "fa3"))
    assert first < second < third
    assert third > 1.5 * second


def test_ampere_instructions_are_no_faster_on_later_generations_but_by_clocks_and_multiprocessors() -> None:
    sheets = [CATALOGUE.by_name(name) for name in ("H100-SXM5-80GB", "B200-SXM-180GB")]
    rates = [float(hardware("fa2", s.name).attention_forward_flop_per_s[0]) for s in sheets]
    clocks = [s.clocks_per_s or 0 for s in sheets]
    assert rates[1] / rates[0] == pytest.approx(clocks[1] / clocks[0])


def test_a_kernel_of_one_generation_gives_way_on_another() -> None:
    # GeForce's Blackwell is not that of data centres.
    assert KERNELS["cudnn-10"].on(10).name == "cudnn-10"
    assert KERNELS["cudnn-10"].on(12).name == KERNELS["fa3"].on(8).name == "fa2"
    assert KERNELS["fa2"].on(12).name == "fa2"
    wide, narrow = (float(hardware("cudnn-10", gpu).attention_ramp_keys[0]) for gpu in ("B200-SXM-180GB", "RTX-5090"))
    assert (wide, narrow) == (KERNELS["cudnn-10"].ramp_keys, KERNELS["fa2"].ramp_keys)


def test_exponentials_limit_narrow_heads_and_twice_as_many_help() -> None:
    # Half the width is half the products but as many exponentials.
    wide, narrow = (flop_per_s(attention(16_384, width), hardware("fa3"))[0] for width in (128, 64))
    assert 0.5 * wide < narrow < wide
    without = replace(KERNELS["fa3"], softmax=0.0)
    wide, narrow = (flop_per_s(attention(16_384, width), hardware(without))[0] for width in (128, 64))
    assert narrow == pytest.approx(wide)
    # Blackwell Ultra has twice the special-function units.
    plain, ultra = (float(hardware("cudnn-10", gpu).softmax_per_s[0]) for gpu in ("GB200-186GB", "GB300-278GB"))
    assert ultra == pytest.approx(2 * plain)


@given(
    kernel=st.sampled_from(sorted(KERNELS)),
    length=st.integers(128, 65_536),
    width=st.sampled_from([64, 128, 256]),
    causal=st.booleans(),
)
def test_longer_sequences_take_longer_and_are_no_less_efficient(
    kernel: str, length: int, width: int, causal: bool
) -> None:
    hw = hardware(kernel)
    once, twice = attention(length, width, causal), attention(2 * length, width, causal)
    # The same tokens in sequences of twice the length.
    for short, long in zip(flop_per_s(once, hw, samples=8), flop_per_s(twice, hw, samples=4), strict=True):
        assert long >= short * (1 - 1e-9)
    seconds = [fused(op, np.array([4.0]), np.array([1.0]), hw)[0][0] for op in (once, twice)]
    assert seconds[1] > seconds[0]


def test_a_window_takes_as_long_at_any_length_of_as_many_tokens() -> None:
    hw = hardware("cudnn-9")
    seconds = [
        float(fused(attention(n, window=1024), np.array([131_072 / n]), np.array([1.0]), hw)[0][0])
        for n in (8192, 32_768, 131_072)
    ]
    assert seconds == pytest.approx([seconds[0]] * 3, rel=0.06)
    whole = fused(attention(131_072), np.array([1.0]), np.array([1.0]), hw)[0][0]
    # 65,536 keys on average, beside 1,024 and what the tiles lose.
    assert whole / seconds[-1] > 30


def test_few_tiles_leave_multiprocessors_idle() -> None:
    hw, one = hardware("fa3"), np.array([1.0])
    few = fused(replace(attention(512), heads=1), one, one, hw)[0][0]
    # 4 tiles on 132 multiprocessors take as long as one; 132 tiles take no two waves.
    more = fused(replace(attention(512), heads=16), one, one, hw)[0][0]
    assert few == pytest.approx(more)
    many = fused(replace(attention(512), heads=33), one, one, hw)[0][0]
    assert few < many < 2 * few


def test_a_context_group_begins_a_tile_for_each_part_of_the_keys() -> None:
    hw, op = hardware("fa3"), attention(131_072)
    whole, parted = (flop_per_s(op, hw, pieces=pieces)[0] for pieces in (1.0, 8.0))
    assert parted < whole
    # At this length that is next to nothing: 7 · 336 keys of 65,536.
    assert parted / whole == pytest.approx(1 / (1 + 7 * KERNELS["fa3"].ramp_keys / 65_900), rel=1e-2)


def test_time_is_linear_in_samples_where_tiles_are_many(make: Any) -> None:
    hw = make.hardware(make.cluster())
    once, again = (fused(attention(), np.array([n]), np.array([1.0]), hw)[0][0] for n in (8.0, 16.0))
    assert again == pytest.approx(2 * once)
