"""Its hook returns what is no item, among them a class and a module.

Said: item 2 is left out: the class int
"""

from __future__ import annotations

import math

from zenplan import hookimpl


@hookimpl
def zenplan_engines() -> list[object]:
    return [math, int, None, "engine", {}, lambda: 1]
