"""Its hook raises what Ctrl-C raises.

Said: KeyboardInterrupt
"""

from __future__ import annotations

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    raise KeyboardInterrupt
