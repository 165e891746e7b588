"""Where compiled programs are kept, so that what was compiled once is not compiled again."""

from __future__ import annotations

from pathlib import Path


def programs_folder() -> Path:
    """Of the user's cache. jax makes it, keys each program by all that it depends on, and reads none but its own."""
    import platformdirs

    return platformdirs.user_cache_path("zenplan", appauthor=False) / "programs"
