"""A server on loopback that answers as the cloud's documentation says, and zenplan's client of it.

The plugin is tested from the checkout, installed or not.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from zenplan import Http
from zenplan.adapters.http.client import HttpClient, Limits


@dataclass
class Answer:
    """What the server says: JSON of ``body``, or the bytes or pieces it is; less its last bytes where it is cut."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


class Server:
    """Answers by path; ``asked`` has each request's path with its query, and its headers."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.answers: dict[str, Callable[[str], Answer]] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def says(self, path: str, *answers: Answer) -> str:
        """These answers, one after another and then the last; the address to ask."""
        left = list(answers)
        self.answers[path] = lambda _: left.pop(0) if len(left) > 1 else left[0]
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Server = self.server.said  # type: ignore[attr-defined]  # ours
        server.asked.append((self.path, dict(self.headers)))
        found = server.answers.get(self.path.partition("?")[0], lambda _: Answer(status=404, body=b"not here"))
        answer = found(self.path)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        pieces: Iterable[bytes] = answer.body
        if isinstance(answer.body, bytes | dict | list):
            whole = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_header("Content-Length", str(len(whole)))
            pieces = [whole[: len(whole) - answer.cut]]
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as listening:
        said = Server(listening.server_port)
        listening.said = said  # type: ignore[attr-defined]  # for the handler
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield said
        listening.shutdown()
        thread.join()


@pytest.fixture
def http() -> Iterator[Http]:
    """The network that zenplan gives a plugin; it does not wait long between its tries."""
    with HttpClient(Limits(backoff_s=0.01)) as client:
        yield client


@pytest.fixture
def answer() -> type[Answer]:
    return Answer
