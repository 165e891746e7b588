"""A server on this machine whose answers a test writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Page = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by path; ``seen`` has what it was asked: method, path, headers, body."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                try:
                    outer.pages[self.path.partition("?")[0]](self)
                except OSError:
                    # The client has enough: that is what is tested.
                    self.close_connection = True

            do_GET = do_POST = _answer  # noqa: N815 - names that the base class looks for

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                # A client that does not trust the certificate hangs up.
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def page(self, path: str, content: bytes, status: int = 200, **headers: str) -> str:
        """Let it answer so; the address."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content_Length": str(len(content)), **headers}.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(content)

        self.pages[path] = answer
        return self.url + path

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own for each test."""
    made = Server()
    yield made
    made.close()
