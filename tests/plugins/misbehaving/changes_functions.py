"""It puts its own in the place of Python's and zenplan's functions.

Said: it changed functions of others, which is put back
"""

from __future__ import annotations

import builtins
import json

from zenplan import hookimpl
from zenplan.domain.hardware import catalogue


@hookimpl
def zenplan_accelerators() -> object:
    builtins.sorted = builtins.len = json.dumps = catalogue.plain = lambda *_, **__: 1 // 0
    return []
