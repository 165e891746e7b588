"""Where fetched tables are: for whoever only wants to know whether there are any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# Another folder; empty, there is none.
VARIABLE: Final = "ZENPLAN_PRICE_CACHE"


def price_cache() -> Path | None:
    """Where this user's fetched tables are; None where there are to be none."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named).expanduser() if named.strip() else None
    import platformdirs

    return platformdirs.user_cache_path("zenplan", appauthor=False) / "prices"
