"""Names and reasons of it would move the cursor of a terminal.

Said: item 1 is left out: name must be on one line, without control characters
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


@hookimpl
def zenplan_accelerators() -> object:
    return [sheet("\x1b[2J\x1b[31mRed-1"), sheet("Fine-1")]
