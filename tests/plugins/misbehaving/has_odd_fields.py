"""A field of its data sheet is of another type.

Said: item 1 is left out: node_devices: a Count, not int
"""

from __future__ import annotations

from zenplan import Accelerator, hookimpl


def sheet(name: str, **more: object) -> Accelerator:
    return Accelerator(
        name=name,
        vendor="V",
        architecture="A",
        memory_bytes=64e9,
        memory_bytes_per_s=2e12,
        **{"peak_flop_per_s": {"bf16": 4e14}, **more},
    )


class Count(str):
    """A text that compares as a number does."""

    def __gt__(self, other: object) -> bool:
        return True

    def __lt__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


@hookimpl
def zenplan_accelerators() -> object:
    return [sheet("Odd-1", node_devices=Count("8")), sheet("Odd-2")]
