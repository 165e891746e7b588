"""How long to wait: for an answer, and between two tries."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any

from zenplan import units


class Sockets:
    """The sockets of a client, as httpcore tells of them: the time for a single read says nothing of the whole answer."""

    def __init__(self) -> None:
        self._streams: list[Any] = []

    def trace(self, expiry: Expiry, event: str, info: Mapping[str, Any]) -> None:
        """Of the request's extension ``trace``, once its call is bound; a socket that is opened too late is shut at once."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._streams.append(info["return_value"])
            if expiry.over:
                self.shut()

    def shut(self) -> None:
        """Nothing comes any more: whoever reads from one of them is told so at once."""
        for stream in self._streams:
            with suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class Expiry:
    """A time after which something is done, unless it is left before: a context.

    Args:
        seconds: from now.
        then: called in a thread of its own.
    """

    def __init__(self, seconds: float, then: Callable[[], None]) -> None:
        self._then = then
        self.over = False
        self._begin(seconds)

    def _begin(self, seconds: float) -> None:
        self.seconds, self._end = seconds, monotonic() + seconds
        self._timer = threading.Timer(seconds, self._expired)
        self._timer.daemon = True
        self._timer.start()

    def _expired(self) -> None:
        self.over = True
        self._then()

    @property
    def left_s(self) -> float:
        """Until then."""
        return self._end - monotonic()

    def begin_again(self, seconds: float) -> None:
        """That time from now instead."""
        self._timer.cancel()
        self._begin(seconds)

    def __enter__(self) -> Expiry:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def pause_s(number: int, backoff_s: float) -> float:
    """Before the next try: at random up to twice as long each time, so that not all come back at once.

    Args:
        number: of the try that came to nothing, from 1.
        backoff_s: the longest pause after the first.
    """
    return random.uniform(0.5, 1.0) * backoff_s * 2.0 ** (number - 1)  # noqa: S311 - nothing secret depends on it


def retry_after_s(text: str | None) -> float | None:
    """Seconds of a ``Retry-After``: a number or a date (RFC 9110, 10.2.3). None where it says nothing that can be read."""
    given = (text or "").strip()
    number = units.digits_of(given, int(units.YEAR_S))
    if number is not None or given == "0":
        return float(number or 0)
    try:
        then = parsedate_to_datetime(given)
    except ValueError:
        return None
    # A date without a zone is of Greenwich.
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())
