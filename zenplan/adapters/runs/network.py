"""What tables write about networks, in words: ``NVLink3 + 8x200G HDR IB/node``, ``RoCE 1600 Gbps/node``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# Gbit/s of one adapter of an InfiniBand generation (InfiniBand Trade Association).
_GENERATIONS: Final = {"FDR": 56.0, "EDR": 100.0, "HDR": 200.0, "NDR": 400.0, "XDR": 800.0}
# What joins devices inside a node, or a rack: no network between nodes.
_INSIDE: Final = re.compile(r"\s*(nvlink|nvswitch|nvl\d|pcie|xgmi|infinity|ici\b)", re.IGNORECASE)
_TIMES: Final = r"(?:(?P<times>\d{1,6})\s*[x×]\s*)?"
# A capital B is bytes; the size of a memory (80GB) has no second in it and is no speed.
_SPEED: Final = re.compile(
    rf"{_TIMES}(?P<value>\d{{1,9}}(?:\.\d{{1,6}})?)\s*(?:(?P<bytes>GB/s|GBps|GBytes?/s)"
    r"|(?P<scale>[GgT])(?:[Bb]it/s|[Bb]its/s|b/s|bps|bit\b|bE\b|b\b|\b))"
)
_GENERATION: Final = re.compile(rf"{_TIMES}\b(?P<name>{'|'.join(_GENERATIONS)})\b")
_DEVICE: Final = r"(?:gpus?|devices?|accelerators?|tpus?)"
_EACH_DEVICE: Final = re.compile(rf"[^()]*?(?:/|\bper\b|\ba\b)\s*{_DEVICE}\b", re.IGNORECASE)
_IN_NODE: Final = re.compile(rf"(\d{{1,6}})\s*{_DEVICE}\s*(?:/|per|a)\s*node", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What a text says; None is unknown.

    Attributes:
        node_devices: devices in a node.
        device_gbit_per_s: 1e9 bit/s of one device, between nodes.
        node_gbit_per_s: 1e9 bit/s of a whole node.
    """

    node_devices: int | None = None
    device_gbit_per_s: float | None = None
    node_gbit_per_s: float | None = None

    def each_gbit_per_s(self, node_devices: int) -> float | None:
        """1e9 bit/s of one device, where a node has so many."""
        if self.device_gbit_per_s is not None or self.node_gbit_per_s is None:
            return self.device_gbit_per_s
        return self.node_gbit_per_s / node_devices


def network_of(text: str) -> Network:
    """What the words say about the network. A speed that is not said to be a device's is a node's."""
    node = _IN_NODE.search(text)
    node_devices = int(node[1]) or None if node else _known_machine(text)
    for part in re.split(r"[+;,]", text):
        found = None if _INSIDE.match(part) else _SPEED.search(part) or _GENERATION.search(part)
        speed = _gbit_per_s(found) if found else 0.0
        if found and speed and _EACH_DEVICE.match(part[found.end() :]):
            return Network(node_devices=node_devices, device_gbit_per_s=speed)
        if speed:
            return Network(node_devices=node_devices, node_gbit_per_s=speed)
    return Network(node_devices=node_devices)


def says_something(text: str) -> bool:
    """Whether any word of it is known: a speed, a node's devices, or what joins devices inside a node."""
    return network_of(text) != Network() or any(map(_INSIDE.match, re.split(r"[+;,]", text)))


def _known_machine(text: str) -> int | None:
    # Jean Zay: four V100 (NVLink 2) a node beside its four Omni-Path adapters (IDRIS).
    return 4 if re.search(r"NVLink ?2\b.*Omni-?Path", text, re.IGNORECASE) else None


def _gbit_per_s(found: re.Match[str]) -> float:
    """Number times speed, a speed, or a generation of InfiniBand."""
    named = found.groupdict()
    if "name" in named:
        each = _GENERATIONS[named["name"]]
    else:
        each = float(named["value"]) * (8.0 if named["bytes"] else 1000.0 if named["scale"] == "T" else 1.0)
    return each * float(named["times"] or 1)
