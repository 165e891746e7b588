"""Acme's accelerators, as a zenplan plugin."""

from __future__ import annotations

from collections.abc import Iterable

from zenplan import Accelerator, Source, hookimpl

# Where a figure was read: a data sheet's address or title, and the day. Peaks are dense, never sparse.
SHEET = Source(text="Acme-1 data sheet, https://example.com/acme-1.pdf", status="read", date="2026-05-24")


@hookimpl
def zenplan_accelerators() -> Iterable[Accelerator]:
    """One accelerator."""
    return (
        Accelerator(
            name="Acme-1-64GB",
            vendor="Acme",
            architecture="Acme-1",
            aliases=("acme-1",),
            memory_bytes=64e9,
            memory_bytes_per_s=2e12,
            peak_flop_per_s={"bf16": 400e12, "fp32": 50e12},
            node_devices=8,
            power_w=500.0,
            sources={"memory_bytes": SHEET, "memory_bytes_per_s": SHEET, "peak_flop_per_s": SHEET, "power_w": SHEET},
        ),
    )
