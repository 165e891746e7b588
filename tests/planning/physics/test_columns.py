"""Layouts and clusters as columns: each entry is what its noun is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zenplan.domain.precision import PRECISIONS
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.planning.physics.columns import kept_up

LAYOUTS = (
    Layout(dp=6, cp=2, zero=3, shard=4, micro_batch=5, accumulation=7, recompute=Recompute.FULL),
    Layout(dp=8, zero=3, shard=1, recompute=Recompute.HALF, sequence=False, even=True),
    Layout(pp=3, tp=2, interleave=2, accumulation=6, recompute=Recompute.SELECTIVE),
    Layout(dp=2, ep=2),
)


def test_a_layout_comes_back_as_it_went_in(make: Any) -> None:
    columns = make.columns(*LAYOUTS)
    assert tuple(columns.at(i) for i in range(len(LAYOUTS))) == LAYOUTS
    turned = columns.take(np.array([3, 1]))
    assert (turned.at(0), turned.at(1)) == (LAYOUTS[3], LAYOUTS[1])


def test_what_follows_from_a_layout(make: Any) -> None:
    columns = make.columns(*LAYOUTS)
    assert list(columns.replicas) == [12, 8, 1, 2]
    assert list(columns.samples) == [6 * 5 * 7, 8, 6, 2]
    # ZeRO divides over a group where there is one, be it of a single device; else over all replicas.
    assert list(columns.shards) == [4, 1, 1, 2]
    assert list(columns.full) == [1.0, 0.5, 0.0, 0.0]
    assert list(columns.selective) == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(("share", "kept"), [(None, 1.0), (0.8, 1.0), (0.96, 1.2), (0.4, 0.5)])
def test_a_device_keeps_up_what_its_best_product_does(make: Any, share: float | None, kept: float) -> None:
    """The coefficients are of an accelerator whose best product keeps up 80 % of the peak."""
    assert kept_up(make.sheet(sustained_share=share)) == pytest.approx(kept)
    assert kept_up(make.sheet(sustained_share=share), "fp8") == pytest.approx(kept)


def test_plain_cores_are_not_held_down_by_power(make: Any) -> None:
    assert kept_up(make.sheet(vendor="NVIDIA", sustained_share=0.4), "fp32") == 1.0
    assert kept_up(make.sheet(vendor="AMD", sustained_share=0.4), "fp32") == 0.5  # matrix cores too


def test_a_precision_needs_a_peak_for_products_and_one_for_the_rest(make: Any) -> None:
    bf16, fp8 = PRECISIONS["bf16"], PRECISIONS["fp8"]
    assert make.sheet().can_run(fp8)
    assert not make.sheet(peak_flop_per_s={"bf16": 1e14}).can_run(fp8)
    assert not make.sheet(peak_flop_per_s={"fp8": 1e14}).can_run(fp8)
    assert not make.sheet(peak_flop_per_s={"fp8": 1e14}).can_run(bf16)


@pytest.mark.parametrize(("capability", "row_bytes"), [(None, 128), ("7.5", 16), ("8.0", 128), ("9.0", 128)])
def test_rows_are_longer_since_compute_capability_8(make: Any, capability: str | None, row_bytes: float) -> None:
    assert list(make.hardware(make.cluster(sheet={"compute_capability": capability})).row_bytes) == [row_bytes]


def test_a_cluster_as_a_row(make: Any) -> None:
    shares = {"matmul": 0.5, "wide_matmul": 0.6, "attention": 0.7, "convolution": 0.8, "memory": 0.9, "link": 0.4}
    fixed = {"network": 0.2, "operator_s": 1e-6, "launch_s": 2e-6, "host_s": 3e-6, "contention": 0.1, "variation": 0.02}
    cluster = make.cluster(efficiency={**shares, **fixed}, nodes=2)
    of = make.hardware(cluster, precision="fp8")
    assert (float(of.matmul_flop_per_s[0]), float(of.other_flop_per_s[0])) == pytest.approx(
        (0.5 * 200e12, 0.6 * 100e12)
    )
    attention = (float(of.attention_forward_flop_per_s[0]), float(of.attention_backward_flop_per_s[0]))
    assert attention == pytest.approx((0.7 * 100e12, 0.7 * 100e12))
    assert float(of.convolution_flop_per_s[0]) == pytest.approx(0.8 * 100e12)
    assert float(of.memory_bytes_per_s[0]) == pytest.approx(0.9e12)
    assert float(of.link_bytes_per_s[0]) == pytest.approx(0.4 * 100e9)
    assert float(of.network_bytes_per_s[0]) == pytest.approx(0.2 * 10e9)
    assert (float(of.linked[0]), float(of.near[0]), float(of.devices[0])) == (8, 8, 16)
    assert (float(of.operator_s[0]), float(of.launch_s[0]), float(of.host_s[0])) == (1e-6, 2e-6, 3e-6)
    assert float(of.contention[0]) == 0.1
    assert float(of.variation[0]) == 0.02


def test_what_is_missing_is_no_limit_or_the_next_slower(make: Any) -> None:
    """One node has no network to wait for; without a fast link, devices talk over PCIe."""
    alone = make.hardware(make.cluster(network_bytes_per_s=None))
    assert np.isinf(alone.network_bytes_per_s).all()
    apart = {"link": "pcie", "link_bytes_per_s": None, "link_devices": 1}
    plain = make.hardware(make.cluster(sheet=apart, efficiency={"pcie": 0.5}))
    assert float(plain.link_bytes_per_s[0]) == float(plain.pcie_bytes_per_s[0]) > 0
