"""It takes a signal for itself.

Said: ValueError: signal only works in main thread
"""

from __future__ import annotations

import signal

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return []
