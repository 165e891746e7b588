"""A server on loopback, and what a price source asks it through: real HTTP, and no network."""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from zenplan.errors import DataError

_PIECE_BYTES = 1 << 16
_POLL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came in.

    Attributes:
        path: with its query.
        headers: by their names in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes out.

    Attributes:
        body: bytes or a text as they are; anything else as JSON.
        delay_s: before it.
        truncated: the half of the body is sent, with the length of the whole.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    truncated: bool = False

    @property
    def sent(self) -> bytes:
        """The body as bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


# A reply, its body alone, several of them one after another (the last for ever), or what makes one of a request.
Page = Reply | Callable[[Request], Any] | Sequence[Any] | Mapping[str, Any] | bytes | str


class Server:
    """Answers on a port of loopback, from ``with`` to its end.

    A page is found by path and query, else by the path alone, else by an empty one; without, there is 404.

    Args:
        pages: by path. A ``tuple`` is one reply after another; a ``list`` is JSON.

    Attributes:
        requests: that came, in their order.
    """

    def __init__(self, pages: Mapping[str, Any] | None = None) -> None:
        self.pages: dict[str, Any] = dict(pages or {})
        self.requests: list[Request] = []
        self._asked: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def host(self) -> str:
        """As in ``127.0.0.1:40123``."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """As in ``http://127.0.0.1:40123``."""
        return f"http://{self.host}"

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, request: Request) -> Reply:
        """What it answers."""
        path = request.path.partition("?")[0]
        key = next((each for each in (request.path, path, "") if each in self.pages), None)
        with self._lock:
            self.requests.append(request)
            turn = self._asked[key or ""] = self._asked.get(key or "", 0) + 1
        if key is None:
            return Reply(body={"error": "there is no such page"}, status=404)
        page = self.pages[key]
        if isinstance(page, tuple):
            page = page[min(turn, len(page)) - 1]
        if callable(page):
            page = page(request)
        return page if isinstance(page, Reply) else Reply(body=page)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            # Whoever asked may have gone: before the answer, or between one request and the next.
            with suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            reply = server.reply(Request(method=self.command, path=self.path, headers=headers, body=body))
            time.sleep(reply.delay_s)
            sent = reply.sent
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent[: len(sent) // 2] if reply.truncated else sent)
            self.close_connection = reply.truncated

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    return Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackHttp:
    """As of ``zenplan.Http``: whatever address is asked for, the server answers, at the address's path and query.

    Attributes:
        timeout_s: of a connection and of each piece.
    """

    server: Server
    timeout_s: float = 5.0

    def get_json(self, url: str, headers: Mapping[str, str] = {}, body: Mapping[str, Any] | None = None) -> Any:
        """As of ``Http``."""
        with self._answer(url, headers, body) as pieces:
            text = b"".join(pieces)
        try:
            return json.loads(text)
        except ValueError as error:
            raise DataError(f"{url} answers with what is no JSON") from error

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] = {}, most_bytes: float = math.inf
    ) -> Iterator[Iterable[bytes]]:
        """As of ``Http``, whatever its length."""
        with self._answer(url, headers, None) as pieces:
            yield pieces

    @contextmanager
    def _answer(
        self, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Iterator[Iterable[bytes]]:
        parts = urlsplit(url)
        path = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
        connection = http.client.HTTPConnection(self.server.host, timeout=self.timeout_s)
        try:
            sent = None if body is None else json.dumps(body).encode()
            connection.request("GET" if sent is None else "POST", path, sent, dict(headers))
            answer = connection.getresponse()
            if answer.status >= http.client.BAD_REQUEST:
                raise DataError(f"{url} answers with {answer.status}")
            yield _pieces(answer)
        except (OSError, http.client.HTTPException) as error:
            raise DataError(f"{url} does not answer: {type(error).__name__}") from error
        finally:
            connection.close()


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    wanted, got = answer.length, 0
    while piece := answer.read(_PIECE_BYTES):
        got += len(piece)
        yield piece
    if wanted is not None and got < wanted:
        raise http.client.IncompleteRead(b"", wanted - got)
