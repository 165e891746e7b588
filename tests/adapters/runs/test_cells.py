"""Words on networks, as published tables have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.runs.cells import Network, network_of

IN_WORDS = (
    # text, devices a node, Gbit/s of a device, Gbit/s of a node
    ("", None, None, None),
    ("NVLink (single node)", None, None, None),
    ("NVLink/NVSwitch", None, None, None),
    ("NVSwitch", None, None, None),
    ("NVL72 NVLink5", None, None, None),
    ("NVLink 600GB/s", None, None, None),
    ("NVLink3 + 8x200G HDR IB/node", None, None, 1600),
    ("NVLink3 + 8x200G HDR IB/node (Selene)", None, None, 1600),
    ("NVSwitch + 8x200G HDR IB", None, None, 1600),
    ("NVLink4 + 8x400G NDR IB/node (DGX H100)", None, None, 3200),
    ("NVLink + 4x100G RoCE/node", None, None, 400),
    ("NVLink3 + 4x200G HDR IB/node (800 Gbps in repo configs)", None, None, 800),
    ("NVLink5 + 400G/GPU", None, 400, None),
    ("NVLink4 + 400G/GPU NDR", None, 400, None),
    ("NVLink + RoCE 400G/GPU (Grand Teton)", None, 400, None),
    ("RoCE 1600 Gbps/node", None, None, 1600),
    ("NVLink in node; inter-node IB/RoCE (3200 Gbps/node class, not stated)", None, None, 3200),
    ("4x100G OmniPath/node (4 GPU/node)", 4, None, 400),
    ("NVLink2 + 4x100G OmniPath/node (4 GPU/node, Jean Zay)", 4, None, 400),
    ("NVLink2 + 4x100G OmniPath/node", 4, None, 400),
    ("NVLink3 + 4x100G OmniPath/node (Jean Zay)", None, None, 400),
    ("EFA 3.2 Tbps per node", None, None, 3200),
    ("50 GB/s per GPU", None, 400, None),
    ("100GbE", None, None, 100),
    ("8x HDR IB", None, None, 1600),
    ("EDR", None, None, 100),
    ("200 Gbit/s per device, 8 devices per node", 8, 200, None),
    ("A100 80GB, no network", None, None, None),
)


@pytest.mark.parametrize(("text", "node", "device", "whole"), IN_WORDS, ids=[t[0] or "nothing" for t in IN_WORDS])
def test_words_on_networks(text: str, node: int | None, device: float | None, whole: float | None) -> None:
    assert network_of(text) == Network(node_devices=node, device_gbit_per_s=device, node_gbit_per_s=whole)


def test_a_node_shares_its_network_among_its_devices() -> None:
    assert network_of("8x200G HDR IB/node").each_gbit_per_s(8) == 200
    assert network_of("4x100G OmniPath/node").each_gbit_per_s(8) == 50
    assert network_of("400G/GPU").each_gbit_per_s(8) == 400
    assert network_of("NVLink").each_gbit_per_s(8) is None


@given(st.text(alphabet="0123456789xG/ gpunodeTBbits(+;HDR.", max_size=40))
def test_any_words_are_read(text: str) -> None:
    found = network_of(text)
    assert found.node_devices is None or found.node_devices > 0
    each = found.each_gbit_per_s(8)
    assert each is None or each > 0
