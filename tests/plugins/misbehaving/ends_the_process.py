"""Its hook ends the process, past all that would be done at its end.

Said: it ended the process with 9
"""

from __future__ import annotations

import os

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    os._exit(9)
