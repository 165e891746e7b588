"""A run over HTTP, for those who watch it from elsewhere: what its folder says, and an order to end.

It never disturbs the run: its thread reads the folder, and where it ends the run goes on.
"""

from __future__ import annotations

import hmac
import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import fchmod
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from zenplan.adapters.files.regular_file import read_text
from zenplan.adapters.files.whole_file import replacing
from zenplan.adapters.run_folder.folder import (
    ENDPOINT,
    LIVE,
    METRICS,
    MOST_BYTES,
    NOTICES,
    PREDICTION,
    RESULT,
    STATUS,
)
from zenplan.adapters.run_folder.lines import lines_after
from zenplan.adapters.run_folder.orders import order_stop
from zenplan.adapters.serving.app import encoded, refusal
from zenplan.adapters.serving.connections import quiet_config
from zenplan.adapters.serving.endpoint_place import EndpointPlace
from zenplan.adapters.serving.refusal import Refusal
from zenplan.errors import ZenplanError

# Connections at once, and seconds that one may be idle.
_MOST_AT_ONCE, _IDLE_S = 32, 30
# Whoever asked so lately is told the end, for which the run waits so long.
_LATELY_S, _LINGER_S, _LOOK_S = 10.0, 3.0, 0.02
_START_S, _CLOSE_S = 5.0, 3.0


@dataclass(slots=True)
class RunEndpoint:
    """The endpoint of a run that goes on.

    Attributes:
        folder: of the run; url: where it is reached.
    """

    folder: Path
    url: str = ""
    _failure: str = ""
    _asked_s: float = -math.inf
    _told_end: bool = False

    def failure(self) -> str:
        """Why it cannot be reached any more: said once; empty while it can."""
        found, self._failure = self._failure, ""
        return found

    # --- the routes

    def status(self, _: Request) -> Response:
        """How it stands, as it is shown, and what was predicted."""
        self._asked_s = time.monotonic()
        return encoded({"status": self._json(STATUS), "view": self._json(LIVE), "prediction": self._json(PREDICTION)})

    def metrics(self, request: Request) -> Response:
        """Lines that have come since."""
        return self._lines(METRICS, request)

    def notices(self, request: Request) -> Response:
        """The same of what was said."""
        return self._lines(NOTICES, request)

    def result(self, _: Request) -> Response:
        """What came out."""
        found = self._json(RESULT)
        if found is None:
            raise Refusal(404, "the run is not over", "GET /status")
        self._told_end = True
        return encoded(found)

    def stop(self, _: Request) -> Response:
        """End it with a checkpoint."""
        order_stop(self.folder)
        return encoded({"stopping": True}, 202)

    def _lines(self, name: str, request: Request) -> Response:
        lines, since = lines_after(self.folder / name, request.query_params.get("since", ""))
        return encoded({"lines": lines, "next": since})

    def _json(self, name: str) -> Any:
        if not (self.folder / name).exists():
            return None
        return json.loads(read_text(self.folder / name, name, MOST_BYTES, ""))

    # ---

    def linger(self) -> None:
        """Let whoever watches hear the end."""
        end = time.monotonic() + _LINGER_S
        self._told_end = False
        while not self._told_end and time.monotonic() < end and end - _LINGER_S - self._asked_s < _LATELY_S:
            time.sleep(_LOOK_S)

    def serve(self, server: uvicorn.Server, bound: Any) -> None:
        """In a thread of its own."""
        try:
            server.run(sockets=[bound])
            if not server.should_exit:
                self._failure = "the run cannot be watched over HTTP any more: its server has ended"
        except (OSError, RuntimeError, SystemExit) as error:
            self._failure = f"the run cannot be watched over HTTP any more: {error}"


@contextmanager
def watchable(place: EndpointPlace, folder: Path) -> Iterator[RunEndpoint]:
    """The run in that folder can be watched there, with the token that is in the folder, which its owner alone reads.

    Raises:
        UsageError: the port is taken. ZenplanError: the folder cannot be written.
    """
    bound, token = place.bound(), secrets.token_urlsafe(32)
    host, port = bound.getsockname()[:2]
    scheme = "http" if place.certificate is None else "https"
    found = RunEndpoint(folder, f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")
    server = uvicorn.Server(_config(_app(found, token), place))
    thread = threading.Thread(target=found.serve, args=(server, bound), name="zenplan-endpoint", daemon=True)
    with bound:
        _write_secret(folder / ENDPOINT, {"url": found.url, "token": token})
        try:
            thread.start()
            end = time.monotonic() + _START_S
            while not server.started and thread.is_alive() and time.monotonic() < end:
                time.sleep(_LOOK_S)
            yield found
            found.linger()
        finally:
            server.should_exit = True
            thread.join(_CLOSE_S)
            (folder / ENDPOINT).unlink(missing_ok=True)


def _write_secret(path: Path, values: Mapping[str, str]) -> None:
    """A file that nobody else may read, from its first byte on. Raises ZenplanError: it cannot be written."""
    try:
        with replacing(path) as file:
            fchmod(file.fileno(), 0o600)
            file.write(f"{json.dumps(values)}\n".encode())
    except OSError as error:
        raise ZenplanError(
            f"{path} cannot be written: {error.strerror}", "the token of the endpoint is kept there"
        ) from error


def _config(app: ASGIApp, place: EndpointPlace) -> uvicorn.Config:
    tls = (place.certificate, place.key) if place.certificate and place.key else None
    return quiet_config(
        app, tls, timeout_keep_alive=_IDLE_S, timeout_graceful_shutdown=1, limit_concurrency=_MOST_AT_ONCE
    )


def _app(endpoint: RunEndpoint, token: str) -> ASGIApp:
    async def refused(_: Request, error: Exception) -> Response:
        return refusal(error if isinstance(error, ZenplanError) else Refusal(500, "it cannot be done"))

    get: dict[str, Callable[[Request], Response]] = {
        "/status": endpoint.status,
        "/metrics": endpoint.metrics,
        "/notices": endpoint.notices,
        "/result": endpoint.result,
    }
    routes = [Route(path, each, methods=["GET"]) for path, each in get.items()]
    routes.append(Route("/stop", endpoint.stop, methods=["POST"]))
    return _Gate(Starlette(routes=routes, exception_handlers={ZenplanError: refused, ValueError: refused}), token)


@dataclass(frozen=True, slots=True)
class _Gate:
    """Lets in who bears the token."""

    app: ASGIApp
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
        if hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            await self.app(scope, receive, send)
            return
        found = refusal(Refusal(401, "a token is wanted", "Authorization: Bearer TOKEN"))
        found.headers["WWW-Authenticate"] = "Bearer"
        await found(scope, receive, send)
