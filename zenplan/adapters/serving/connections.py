"""Connections of a server: a socket that is bound, what does not wait for headers for ever, and what prints nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zenplan.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_HEADERS_S: Final = 10.0
_LATE: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 48\r\n\r\n{"error":"the headers did not come within 10 s"}'
)


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound.

    Raises:
        UsageError: it cannot be.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
        except OSError:
            found.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"nothing can be served on {host}:{port}: {why}", "another --port, or 0 for any") from error
    return found


class Protocol(HttpToolsProtocol):
    """uvicorn's, that does not wait for headers for ever."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """As of asyncio."""
        super().connection_made(transport)
        self._late = self.loop.call_later(_HEADERS_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """As of asyncio."""
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._late = self.loop.call_later(_HEADERS_S, self._give_up)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """As of uvicorn."""
        self._in_time()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """As of asyncio."""
        self._in_time()
        super().connection_lost(exc)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.write(_LATE)
            self.transport.close()


def quiet_config(
    app: ASGIApp, tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None, **limits: Any
) -> uvicorn.Config:
    """Of a server whose program alone writes on the terminal.

    Args:
        app: that answers.
        tls: certificate and key; None for plain HTTP.
        limits: as of ``uvicorn.Config``.
    """
    certificate, key = tls or (None, None)
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        **limits,
    )
