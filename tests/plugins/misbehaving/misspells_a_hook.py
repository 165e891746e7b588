"""Its hook has a name that zenplan does not ask for.

Said: there is no such hook; did you mean zenplan_engines?
"""

from __future__ import annotations

from zenplan import hookimpl


@hookimpl
def zenplan_engine() -> list[object]:
    return []
