"""It has the system end the process a second later.

Said: it changed an alarm, which is put back
"""

from __future__ import annotations

import signal

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    signal.alarm(1)
    return []
