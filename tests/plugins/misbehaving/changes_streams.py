"""It puts its own in the place of stdout and stderr.

Said: it changed streams of sys, which is put back
"""

from __future__ import annotations

import io
import sys

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    sys.stdout = sys.stderr = io.StringIO()
    return []
