"""Its generator raises after the first item.

Said: OSError: [Errno 5] gone
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
    yield sheet("Half-1")
    raise OSError(5, "gone")
