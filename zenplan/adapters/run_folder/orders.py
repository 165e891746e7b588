"""What others tell a run through its folder, which may be shared between machines: to end with a checkpoint."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from zenplan.adapters.run_folder.folder import STOP, put_json

# Where the folder is another machine's, looking takes a while.
_LOOK_EVERY_S: Final = 0.5


def order_stop(folder: Path) -> None:
    """Let the run in that folder end with a checkpoint. Raises ZenplanError: the order cannot be written."""
    put_json(folder, STOP, {"at": datetime.now(UTC).isoformat(), "host": socket.gethostname()})


@contextmanager
def stop_orders(folder: Path) -> Iterator[Callable[[], bool]]:
    """A function that says whether the run has been told to end since this began. One of before is forgotten.

    Args:
        folder: of the run, which this process writes.
    """
    path, next_s = folder / STOP, 0.0
    path.unlink(missing_ok=True)

    def ordered() -> bool:
        nonlocal next_s
        now = time.monotonic()
        if now < next_s:
            return False
        next_s = now + _LOOK_EVERY_S
        return path.exists()

    try:
        yield ordered
    finally:
        path.unlink(missing_ok=True)
