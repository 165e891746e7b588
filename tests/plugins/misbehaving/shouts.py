"""It answers with a text of ten million letters.

Said: ValueError: xxxx
"""

from __future__ import annotations

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    raise ValueError("x" * 10_000_000)
