"""The routes: HTTP in, HTTP out."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zenplan.adapters.serving.refusal import Refusal, not_ready
from zenplan.adapters.serving.schema import GENERATE, PREDICT, schema_of
from zenplan.adapters.serving.service import Service
from zenplan.errors import ZenplanError

_JSON, _PROMETHEUS = "application/json", "text/plain; version=0.0.4; charset=utf-8"
_CLOSED = 499
# After these the rest of a body may still come, which nobody reads.
_CUT: Final = (408, 413)
# What is over the limit is read on for so long, so that the client hears the answer.
_READ_ON: Final = 4
_OPEN: Final = ("/health", "/ready")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What every request has to pass.

    Attributes:
        body_bytes: of a body at most; body_s: that it may take to come.
        token: that requests bear; empty for none.
    """

    body_bytes: int
    body_s: float
    token: str = ""


def app_of(service: Service, gate: Gate, tell: Callable[[str], None]) -> ASGIApp:
    """The application.

    Args:
        tell: told of faults, a line each.
    """
    routes = Routes(service, gate)

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)  # noqa: S101 (it is registered for no other)
        return refusal(error)

    async def of_starlette(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        hint = "GET / lists the routes"
        text = {404: "there is no such route", 405: "this route takes another method"}.get(status, "it cannot be done")
        found = refusal(Refusal(status, text, hint))
        found.headers.update(dict(getattr(error, "headers", None) or {}))
        return found

    async def fault(_: Request, error: Exception) -> Response:
        tell(f"a fault in zenplan: {type(error).__name__}")
        return refusal(Refusal(500, "a fault in zenplan", "please report it"))

    async def left(_: Request, _error: Exception) -> Response:
        return Response(status_code=_CLOSED)

    app = Starlette(
        routes=routes.table(),
        exception_handlers={Refusal: refused, HTTPException: of_starlette, ClientDisconnect: left, Exception: fault},
    )
    return Counted(app, service, gate)


def encoded(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


def refusal(error: ZenplanError) -> Response:
    """Why a request is not answered."""
    found = encoded({"error": error.message, **({"hint": error.hint} if error.hint else {})}, _status(error))
    if isinstance(error, Refusal) and error.retry_after_s is not None:
        found.headers["Retry-After"] = str(error.retry_after_s)
    if found.status_code in _CUT:
        found.headers["Connection"] = "close"
    return found


def _status(error: ZenplanError) -> int:
    return error.status if isinstance(error, Refusal) else 500


@dataclass(frozen=True, slots=True)
class Counted:
    """Around the routes: the token is looked at, and what comes of each request is counted."""

    app: ASGIApp
    service: Service
    gate: Gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As of ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        path, metrics = scope["path"], self.service.metrics
        metrics.in_flight += 1
        try:
            if self._allowed(scope):
                await self.app(scope, receive, noting)
            else:
                found = refusal(Refusal(401, "a token is wanted", "Authorization: Bearer TOKEN"))
                found.headers["WWW-Authenticate"] = "Bearer"
                await found(scope, receive, noting)
        except asyncio.CancelledError:
            metrics.cut += 1
            raise
        finally:
            metrics.in_flight -= 1
            route = path if path in ROUTES else "other"
            metrics.request(route, status, time.perf_counter() - begin, path in (PREDICT, GENERATE))

    def _allowed(self, scope: Scope) -> bool:
        if not self.gate.token or scope["path"] in _OPEN:
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(given, f"Bearer {self.gate.token}".encode())


ROUTES: Final = ("/", PREDICT, GENERATE, "/health", "/ready", "/metrics", "/drift", "/schema", "/example")
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Routes:
    """What is done at each."""

    service: Service
    gate: Gate

    def table(self) -> list[Route]:
        """All of them."""
        of_model = (GENERATE, self.generate) if self.service.writes else (PREDICT, self.predict)
        other = PREDICT if self.service.writes else GENERATE
        get: dict[str, Endpoint] = {
            "/": self.help,
            "/health": self.health,
            "/ready": self.ready,
            "/metrics": self.metrics,
            "/drift": self.drift,
            "/schema": self.schema,
            "/example": self.example,
        }
        posts = [
            Route(of_model[0], of_model[1], methods=["POST"]),
            Route(other, self.another, methods=["POST"]),
        ]
        return [*posts, *(Route(path, endpoint, methods=["GET"]) for path, endpoint in get.items())]

    async def help(self, _: Request) -> Response:
        """A line of what there is."""
        asked = GENERATE if self.service.writes else PREDICT
        line = f"{self.service.name}: POST {asked}; GET /schema /example /health /ready /metrics /drift\n"
        return PlainTextResponse(line)

    async def health(self, _: Request) -> Response:
        """The server is alive."""
        return encoded({"alive": True})

    async def ready(self, _: Request) -> Response:
        """Whether the model is warm."""
        if self.service.worker.serving is None:
            return refusal(not_ready())
        return encoded({"ready": True, "restarts": self.service.worker.restarts})

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        service = self.service
        drifts = service.monitor.drifts()
        return Response(service.metrics.text(service.worker, service.batcher.waiting, drifts), media_type=_PROMETHEUS)

    async def drift(self, _: Request) -> Response:
        """Of each feature."""
        monitor = self.service.monitor
        features = [
            {"name": each.name, "psi": each.index, "observations": each.seen, "drifted": each.drifted}
            for each in monitor.drifts()
        ]
        samples = min(monitor.seen, monitor.window)
        return encoded({"threshold": monitor.threshold, "samples": samples, "features": features})

    async def schema(self, _: Request) -> Response:
        """JSON schemas."""
        return encoded(schema_of(self.service.reader, self.service.bounds))

    async def example(self, _: Request) -> Response:
        """A body that can be posted."""
        return encoded(self.service.example)

    async def another(self, _: Request) -> Response:
        """A model of the other kind is wanted."""
        service = self.service
        asked = GENERATE if service.writes else PREDICT
        raise Refusal(404, f"this model {'writes text' if service.writes else 'predicts'}", f"POST {asked}")

    async def predict(self, request: Request) -> Response:
        """Classes or numbers."""
        body = await self._body(request)
        if _media_type(request).startswith("image/"):
            sample = await asyncio.to_thread(self.service.image, body)
            return encoded(await self.service.predicted([sample], self.service.bounds.top))
        return encoded(await self.service.predict(_decoded(request, body)))

    async def generate(self, request: Request) -> Response:
        """A text, at once or in pieces."""
        wanted, tokens = self.service.writing(_decoded(request, await self._body(request)))
        pieces = self.service.pieces(wanted, tokens)
        if wanted.stream:
            # The first is waited for: what is refused has its own status.
            first = await anext(pieces)
            return StreamingResponse(_events(first, pieces), media_type="text/event-stream")
        text, told = "", dict[str, Any]()
        async for piece, end in pieces:
            text, told = text + piece, end or {}
        return encoded({"text": text, **told})

    async def _body(self, request: Request) -> bytes:
        """The whole of it. Raises Refusal: it is too large, or too slow."""
        most, pieces, size = self.gate.body_bytes, list[bytes](), 0
        try:
            async with asyncio.timeout(self.gate.body_s):
                async for piece in request.stream():
                    size += len(piece)
                    if size <= most:
                        pieces.append(piece)
                    elif size > _READ_ON * most:
                        break
        except TimeoutError as error:
            raise Refusal(408, f"the body did not come within {self.gate.body_s:g} s", "send it faster") from error
        if size > most:
            raise Refusal(413, f"the body has more than {most} bytes", "ask in parts, or give --max-body more")
        return b"".join(pieces)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _decoded(request: Request, body: bytes) -> Any:
    kind = _media_type(request)
    if kind != _JSON:
        # A page of another site may send forms and plain text, and no JSON: a browser asks first.
        raise Refusal(415, "the body is not of application/json", "Content-Type: application/json")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON: {str(error)[:120]}") from error


async def _events(
    first: tuple[str, dict[str, Any] | None], pieces: AsyncIterator[tuple[str, dict[str, Any] | None]]
) -> AsyncIterator[bytes]:
    """Server-sent events: a piece of text each, and what it came to in the last."""
    yield _event(*first)
    try:
        async for piece, told in pieces:
            yield _event(piece, told)
    except Refusal as error:
        yield b"event: error\ndata: " + msgspec.json.encode({"error": error.message}) + b"\n\n"


def _event(piece: str, told: dict[str, Any] | None) -> bytes:
    return b"data: " + msgspec.json.encode({"text": piece, **(told or {})}) + b"\n\n"
