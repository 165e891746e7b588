"""Its data sheet has the name of one of zenplan's own.

Said: zenplan has one named H100-SXM5-80GB itself
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
    return [sheet("H100-SXM5-80GB")]
