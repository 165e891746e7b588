"""A program: loads gpuhunt's catalogues, and writes what it has of accelerators as JSON to stdout.

It runs in a process of its own, as gpuhunt waits for a server without end, and so would whoever called it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from gpuhunt import Catalog, GPUHuntError

_FIELDS = ("instance_name", "location", "price", "cpu", "memory", "gpu_count", "gpu_name", "gpu_memory", "spot")


class _Told(logging.Handler):
    """What gpuhunt would write to stderr: why catalogues were not loaded, and how many of their rows could not be read."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: dict[str, str] = {}
        self.unread: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        cloud = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        if record.exc_info and record.exc_info[1]:
            # The text may have an address with a password; the kind says enough.
            self.failed[cloud] = type(record.exc_info[1]).__name__
        elif record.levelno == logging.WARNING:
            self.unread[cloud] = self.unread.get(cloud, 0) + 1


def collected() -> dict[str, Any]:
    """By cloud its catalogue's version, its items with accelerators, and rows that could not be read; or why not."""
    # A folder of catalogues goes before those that are loaded.
    os.environ.pop("GPUHUNT_CATALOG_DIR", None)
    told = _Told()
    logger = logging.getLogger("gpuhunt")
    logger.addHandler(told)
    logger.propagate = False
    catalog = Catalog(auto_reload=False)
    try:
        catalog.load()
    except GPUHuntError:
        return {"loaded": {}, "failed": told.failed}
    loaded = {
        # Of a catalogue that is not loaded, a query has no items either, and says so in the log alone.
        cloud: {
            "version": of.version,
            "items": [
                {f: getattr(item, f) for f in _FIELDS} for item in catalog.query(provider=[cloud]) if item.gpu_count
            ],
            "unread": told.unread.get(cloud, 0),
        }
        for cloud, of in catalog.catalog.items()
    }
    return {"loaded": loaded, "failed": told.failed}


if __name__ == "__main__":
    json.dump(collected(), sys.stdout)
