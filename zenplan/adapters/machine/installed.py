"""Which version of a distribution is installed, without importing it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

# A framework that comes under several names.
_DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


def installed_version(name: str) -> str | None:
    """Of ``python`` itself too; None where it is not installed."""
    if name == "python":
        return platform.python_version()
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
