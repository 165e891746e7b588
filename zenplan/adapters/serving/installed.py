"""Whether what serves is installed: it comes with the extra ``serve``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from zenplan.errors import UsageError

# Of any endpoint; and of one that answers with a model.
ENDPOINT: Final = ("starlette", "uvicorn", "httptools")
MODEL: Final = (*ENDPOINT, "uvloop", "prometheus_client")


def check_installed(libraries: tuple[str, ...], lacking: str) -> None:
    """Raises UsageError: one of them is not, and without it there is no such thing: "no endpoint is"."""
    if missing := next((each for each in libraries if not find_spec(each)), None):
        raise UsageError(f"{missing} is not installed, and {lacking} without", "pip install 'zenplan[serve]'")
