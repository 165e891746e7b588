"""It prints, which goes to stderr: stdout is the answer.

Said:
"""

from __future__ import annotations

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    print("hello from a hook")  # noqa: T201 - that is what it is for
    return []
