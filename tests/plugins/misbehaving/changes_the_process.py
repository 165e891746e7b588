"""It changes the locale, the folder, the environment, warnings and the limit of recursion.

Said: it changed the working folder, the locale, variables of the environment, filters of warnings, the limit of recursion
"""

from __future__ import annotations

import locale
import os
import sys
import warnings

from zenplan import hookimpl


@hookimpl
def zenplan_accelerators() -> object:
    os.chdir("/")
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) != "C.UTF-8" else "C")
    os.environ["HOME"] = "/nowhere"
    warnings.filterwarnings("error", message="all of it")
    sys.setrecursionlimit(200)
    return []
