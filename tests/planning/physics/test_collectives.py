import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.hardware.cluster import PCIE_X16_BYTES_PER_S
from zenplan.errors import DataError
from zenplan.planning.physics.collectives import all_reduce_s, dispatch_s, gather_s, send_s
from zenplan.planning.physics.columns import Hardware

LAZY = settings(max_examples=60, deadline=None, derandomize=True)


def of(*values: float) -> Any:
    return np.array(values, dtype=float)


def two_copies_s(hw: Hardware, size: Any, group: Any, stride: Any) -> Any:
    """Every row goes to two experts."""
    return dispatch_s(hw, size, 2.0, group, stride)


ALL = (gather_s, all_reduce_s, two_copies_s)


def ring_s(devices: int, size: float, rate: float, hop: float = 0.0) -> float:
    """A ring all-gather step by step: in each of n-1 steps every device passes on one n-th of the whole."""
    return sum(hop + size / devices / rate for _ in range(devices - 1))


@pytest.mark.parametrize("group", [2, 3, 4, 8])
def test_a_ring_within_a_node(make: Any, group: int) -> None:
    hw = make.hardware(make.cluster(efficiency={"link_hop_s": 5e-6}))
    expected = ring_s(group, 8e9, 100e9, hop=5e-6)
    assert gather_s(hw, of(8e9), of(group), of(1)) == pytest.approx(expected)
    assert all_reduce_s(hw, of(8e9), of(group), of(1)) == pytest.approx(2 * expected)


def test_eight_devices_gather_eight_gigabytes(make: Any) -> None:
    # Each receives 7 GB at 100 GB/s.
    assert gather_s(make.hardware(), of(8e9), of(8), of(1)) == pytest.approx(0.07)


def test_over_nodes_each_device_moves_its_shard(make: Any) -> None:
    hw = make.hardware(make.cluster(nodes=4, efficiency={"link_hop_s": 1e-6, "network_hop_s": 10e-6}))
    # 32 GB over 4 nodes of 8: in the node a ring of 8 over the link; between nodes the shards of 4 GB in
    # rings of 4, each device over its own 10 GB/s.
    expected = ring_s(8, 32e9, 100e9, hop=1e-6) + ring_s(4, 4e9, 10e9, hop=10e-6)
    assert gather_s(hw, of(32e9), of(32), of(1)) == pytest.approx(expected)


def test_a_group_with_one_device_in_each_node_uses_the_network_only(make: Any) -> None:
    hw = make.hardware(make.cluster(nodes=4))
    assert gather_s(hw, of(4e9), of(4), of(8)) == pytest.approx(ring_s(4, 4e9, 10e9))


def test_a_strided_group_is_near_as_far_as_the_node_reaches(make: Any) -> None:
    # Tensor groups of 2: a data-parallel group of 8 has 4 in each of two nodes.
    hw = make.hardware(make.cluster(nodes=2))
    expected = ring_s(4, 8e9, 100e9) + ring_s(2, 2e9, 10e9)
    assert gather_s(hw, of(8e9), of(8), of(2)) == pytest.approx(expected)


@pytest.mark.parametrize("stride", [1, 8, 64])
def test_alone_there_is_nothing_to_say(make: Any, stride: int) -> None:
    hw = make.hardware(make.cluster(nodes=8, efficiency={"link_hop_s": 1e-3, "network_hop_s": 1e-3}))
    for collective in ALL:
        assert collective(hw, of(1e9), of(1), of(stride)) == 0


def test_rows_go_to_the_devices_that_have_their_experts(make: Any) -> None:
    # Of 8 GB seven eighths go to others; with two experts a row, twice.
    assert dispatch_s(make.hardware(), of(8e9), 1, of(8), of(1)) == pytest.approx(0.07)
    assert dispatch_s(make.hardware(), of(8e9), 2, of(8), of(1)) == pytest.approx(0.14)


@pytest.mark.parametrize(
    ("copies", "far_gb"),
    # The other one of two nodes has the only expert of half of the rows, one of two of three quarters, one of
    # three of seven eighths.
    [(1, 8), (2, 12), (3, 14)],
)
def test_a_row_crosses_the_network_once_for_each_node(make: Any, copies: int, far_gb: float) -> None:
    hw = make.hardware(make.cluster(nodes=2))
    assert dispatch_s(hw, of(16e9), copies, of(16), of(1)) == pytest.approx(far_gb / 10)
    # A quick network leaves the copies within the nodes: seven eighths of 16 GB each, at 100 GB/s.
    quick = make.hardware(make.cluster(nodes=2, network_bytes_per_s=1e13))
    assert dispatch_s(quick, of(16e9), copies, of(16), of(1)) == pytest.approx(copies * 0.14)


@pytest.mark.parametrize("copies", [1, 2, 6])
def test_a_row_comes_once_to_each_device_counted_one_by_one(make: Any, copies: int) -> None:
    draws = list(itertools.product(range(4), repeat=copies))
    others = sum(len(set(draw) - {0}) for draw in draws) / len(draws)
    found = dispatch_s(make.hardware(), of(100e9), copies, of(4), of(1), once_a_device=True)
    assert found == pytest.approx(others)


@pytest.mark.parametrize("nodes", [2, 3, 4])
@pytest.mark.parametrize("copies", [1, 2, 4])
def test_nodes_that_a_row_meets_counted_one_by_one(make: Any, nodes: int, copies: int) -> None:
    hw = make.hardware(make.cluster(nodes=nodes, node_devices=1))
    draws = list(itertools.product(range(nodes), repeat=copies))
    others = sum(len(set(draw) - {0}) for draw in draws) / len(draws)
    assert dispatch_s(hw, of(10e9), copies, of(nodes), of(1)) == pytest.approx(others)


@pytest.mark.parametrize("nodes", [2, 4, 32])
def test_rows_leave_for_all_others_at_once(make: Any, nodes: int) -> None:
    cluster = make.cluster(nodes=nodes, efficiency={"link_hop_s": 1e-6, "network_hop_s": 10e-6})
    assert dispatch_s(make.hardware(cluster), of(0), 1, of(8 * nodes), of(1)) == pytest.approx(1e-6 + 10e-6)
    assert dispatch_s(make.hardware(cluster), of(0), 1, of(8), of(1)) == pytest.approx(1e-6)


def test_a_link_that_spans_nodes_needs_no_network(make: Any) -> None:
    # An NVL72 rack: 18 machines of 4 devices.
    rack = {"link_devices": 72, "node_devices": 4}
    cluster = make.cluster(sheet=rack, node_devices=4, nodes=18, network_bytes_per_s=None)
    hw = make.hardware(cluster)
    assert cluster.linked_devices == 72
    assert gather_s(hw, of(72e9), of(72), of(1)) == pytest.approx(ring_s(72, 72e9, 100e9))
    two = make.hardware(make.cluster(sheet=rack, node_devices=4, nodes=36))
    assert gather_s(two, of(72e9), of(144), of(1)) == pytest.approx(ring_s(72, 72e9, 100e9) + ring_s(2, 1e9, 10e9))


def test_beyond_the_link_a_node_falls_back_to_pcie(make: Any) -> None:
    # Bridges join pairs; PCIe 4.0 x16 has 31.5 GB/s in one direction.
    hw = make.hardware(make.cluster(sheet={"link_devices": 2}))
    assert gather_s(hw, of(2e9), of(2), of(1)) == pytest.approx(ring_s(2, 2e9, 100e9))
    assert gather_s(hw, of(4e9), of(4), of(1)) == pytest.approx(ring_s(4, 4e9, 31.5e9))
    # Neighbours that are two apart are not on one bridge.
    assert gather_s(hw, of(2e9), of(2), of(2)) == pytest.approx(ring_s(2, 2e9, 31.5e9))


def test_without_a_link_there_is_pcie(make: Any) -> None:
    card = {"link": "pcie", "link_bytes_per_s": None, "link_devices": 1, "pcie_generation": None}
    hw = make.hardware(make.cluster(sheet=card, efficiency={"pcie": 0.5}))
    # Unknown generations count as the third, of 15.75 GB/s.
    assert gather_s(hw, of(8e9), of(8), of(1)) == pytest.approx(ring_s(8, 8e9, 0.5 * 15.75e9))


def test_devices_that_do_not_reach_each_other_go_by_the_host(make: Any) -> None:
    card = {"link": "pcie", "link_bytes_per_s": None, "link_devices": 1}
    shares = {"efficiency": {"pcie": 0.5, "staged": 0.1}}
    rates = [
        make.hardware(make.cluster(sheet={**card, "peer_access": reach}, **shares)).pcie_bytes_per_s[0]
        for reach in (True, False)
    ]
    assert rates == [pytest.approx(0.5 * PCIE_X16_BYTES_PER_S[4]), pytest.approx(0.1 * PCIE_X16_BYTES_PER_S[4])]


@pytest.mark.parametrize(("devices", "share"), [(2, 4), (4, 2), (8, 1), (16, 1)])
def test_fewer_devices_have_more_of_the_hosts_memory_each(make: Any, devices: int, share: float) -> None:
    card = {"link": "pcie", "link_bytes_per_s": None, "link_devices": 1, "peer_access": False}
    hw = make.hardware(make.cluster(node_devices=devices, sheet=card, efficiency={"staged": 0.1}))
    assert float(hw.pcie_bytes_per_s[0]) == pytest.approx(share * 0.1 * PCIE_X16_BYTES_PER_S[4])


def test_a_machines_own_link_goes_before_the_data_sheets(make: Any) -> None:
    hw = make.hardware(make.cluster(link_bytes_per_s=50e9))
    assert gather_s(hw, of(8e9), of(8), of(1)) == pytest.approx(0.14)


def test_a_send_goes_by_what_lies_between(make: Any) -> None:
    hw = make.hardware(make.cluster(nodes=2, efficiency={"link_hop_s": 1e-6, "network_hop_s": 10e-6}))
    # Stages that fit in one node of eight, and stages that lie across two.
    assert send_s(hw, of(1e9), of(8)) == pytest.approx(1e-6 + 0.01)
    assert send_s(hw, of(1e9), of(16)) == pytest.approx(10e-6 + 0.1)


def test_nodes_without_a_known_network_are_no_cluster(make: Any) -> None:
    with pytest.raises(DataError, match="network is not known"):
        make.cluster(nodes=2, network_bytes_per_s=None)
    make.cluster(nodes=1, network_bytes_per_s=None)


SIZES = st.floats(1e3, 1e12)
GROUPS = st.integers(0, 9).map(lambda i: 2**i)
STRIDES = st.integers(0, 6).map(lambda i: 2**i)


@LAZY
@given(size=SIZES, more=st.floats(1, 100), group=GROUPS, stride=STRIDES)
def test_more_bytes_never_take_less_time(make: Any, size: float, more: float, group: int, stride: int) -> None:
    hw = make.hardware(make.cluster(nodes=64, efficiency={"link_hop_s": 5e-6, "network_hop_s": 15e-6}))
    for collective in ALL:
        less, longer = (collective(hw, of(s), of(group), of(stride)) for s in (size, size * more))
        assert 0 <= less <= longer * (1 + 1e-12)


@LAZY
@given(size=SIZES, group=GROUPS, stride=STRIDES, link=st.floats(1, 10), network=st.floats(1, 10))
def test_more_bandwidth_never_takes_longer(
    make: Any, size: float, group: int, stride: int, link: float, network: float
) -> None:
    def on(link_rate: float, network_rate: float) -> Any:
        sheet = {"link_bytes_per_s": link_rate}
        return make.hardware(make.cluster(sheet=sheet, nodes=64, network_bytes_per_s=network_rate))

    slow, fast = on(100e9, 10e9), on(100e9 * link, 10e9 * network)
    for collective in ALL:
        before, after = (collective(hw, of(size), of(group), of(stride)) for hw in (slow, fast))
        assert after <= before * (1 + 1e-12)
