from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.fit.attention import KERNELS
from zenplan.domain.fit.efficiency import Efficiency, Interval
from zenplan.domain.hardware.accelerator import Accelerator, Source
from zenplan.domain.hardware.cluster import PCIE_X16_BYTES_PER_S, Cluster
from zenplan.errors import DataError

SPREAD = Interval(new=0.1, known=0.1, basis="made up")


def efficiency(**changes: Any) -> Efficiency:
    names = ("matmul", "wide_matmul", "attention", "convolution", "memory", "link", "pcie", "staged", "network")
    shares = dict.fromkeys((*names, "feed"), 0.5)
    times = dict.fromkeys(
        ("fill_elements", "operator_s", "launch_s", "host_s", "contention", "variation", "link_hop_s", "network_hop_s"),
        0.0,
    )
    return Efficiency(
        **{
            "architecture": "A",
            "source": "s",
            "kernel": KERNELS["fa2"],
            "interval": SPREAD,
            **shares,
            **times,
            **changes,
        }
    )


def sheet(**changes: Any) -> Accelerator:
    return Accelerator(
        **{"name": "X", "vendor": "V", "architecture": "A", "memory_bytes": 1e9, "memory_bytes_per_s": 1e9, **changes}
    )


def cluster(used: int = 8, nodes: int = 1, network: float | None = 1e9, **of: Any) -> Cluster:
    return Cluster(
        accelerator=sheet(**of), efficiency=efficiency(), node_devices=used, nodes=nodes, network_bytes_per_s=network
    )


@pytest.mark.parametrize(
    ("link_devices", "usual", "used", "joined"),
    [
        (8, 8, 8, 8),
        (8, 8, 4, 4),  # a machine with half of a usual node
        (2, 8, 8, 2),  # bridges join pairs
        (1, 8, 8, 1),  # no link
        (72, 4, 4, 72),  # a link that spans machines
    ],
)
def test_what_the_link_joins(link_devices: int, usual: int, used: int, joined: int) -> None:
    one = cluster(used, link_devices=link_devices, node_devices=usual)
    assert one.linked_devices == joined


def test_devices_are_those_of_all_nodes() -> None:
    assert cluster(6, 3).devices == 18


def test_several_nodes_need_a_network() -> None:
    with pytest.raises(DataError, match="its network is not known"):
        cluster(8, 2, network=None)
    assert cluster(4, 2, network=None, link_devices=72, node_devices=4).devices == 8
    with pytest.raises(DataError, match="its network is not known"):
        cluster(4, 19, network=None, link_devices=72, node_devices=4)


def test_pcie_doubles_with_each_generation_and_is_the_third_where_unknown() -> None:
    rates = [cluster(pcie_generation=g).pcie_bytes_per_s for g in (3, 4, 5)]
    assert rates[1] / rates[0] == pytest.approx(2)
    assert rates[2] / rates[1] == pytest.approx(2)
    assert cluster().pcie_bytes_per_s == PCIE_X16_BYTES_PER_S[3]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_nothing_reaches_more_than_all(share: float) -> None:
    with pytest.raises(DataError, match="must be in"):
        efficiency(matmul=share)


@pytest.mark.parametrize(
    "changes",
    [
        {"memory_bytes": 0},
        {"link": "string"},
        {"peak_flop_per_s": {"bf17": 1.0}},
        {"peak_flop_per_s": {"bf16": 0.0}},
        {"name": ""},
        {"link_devices": 0},
    ],
)
def test_an_impossible_data_sheet(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        sheet(**changes)


def test_a_peak_that_is_not_on_the_sheet_is_unknown() -> None:
    one = sheet(peak_flop_per_s={"bf16": 1e12})
    assert (one.peak("bf16"), one.peak("fp8")) == (1e12, None)


def test_a_source_is_read_recalled_or_derived() -> None:
    with pytest.raises(DataError, match="status"):
        Source(text="t", status="guessed", date="2026-01-01")


def test_a_card_without_its_bridge_and_on_fewer_lanes() -> None:
    pair = cluster(used=2, link_devices=2, node_devices=2, pcie_generation=3)
    bare = replace(pair, linked=False, pcie_lanes=4)
    assert (pair.linked_devices, bare.linked_devices) == (2, 1)
    assert (pair.pcie_bytes_per_s, bare.pcie_bytes_per_s) == (15.75e9, 15.75e9 / 4)


def test_a_slice_is_joined_to_another_over_the_network() -> None:
    # Two slices of a TPU whose links could join 256.
    whole = cluster(8, 2, link_devices=256, node_devices=8)
    assert whole.linked_devices == 256
    assert replace(whole, slice_devices=8).linked_devices == 8
    assert replace(whole, slice_devices=512).linked_devices == 256
    with pytest.raises(DataError, match="its network is not known"):
        replace(whole, slice_devices=8, network_bytes_per_s=None)
