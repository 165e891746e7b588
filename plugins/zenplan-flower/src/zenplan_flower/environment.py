"""The environment that Flower is in: another than zenplan's, whose typer and rich are newer than Flower takes."""

from __future__ import annotations

import os
from pathlib import Path

from zenplan import UsageError

VARIABLE = "ZENPLAN_FLOWER_PYTHON"
_HINT = "'zenplan federate --how' prints the lines that make it; --python PATH names another"


def python() -> Path:
    """Its Python: the one that the variable names, else that of the folder which is meant for it.

    Raises:
        UsageError: there is none, or it has no Flower.
    """
    import platformdirs

    named = os.environ.get(VARIABLE, "")
    usual = platformdirs.user_data_path("zenplan", appauthor=False) / "flower" / "bin" / "python"
    found = Path(named) if named else usual
    if not (found.is_file() and os.access(found, os.X_OK)):
        what = f"{VARIABLE} names no program: {found}" if named else f"Flower's environment is not there: {found}"
        raise UsageError(what, _HINT)
    # The program of the server lies beside the environment's Python, which may be a link.
    if not (found.parent / "flower-superlink").is_file():
        raise UsageError(f"Flower is not installed in the environment of {found}", _HINT)
    return found.absolute()
