"""Where the user's store is: for whoever only wants to know whether there is one."""

from __future__ import annotations

from pathlib import Path


def store_path() -> Path:
    """Where the user's store is."""
    import platformdirs

    return platformdirs.user_data_path("zenplan", appauthor=False) / "calibrations.sqlite"
