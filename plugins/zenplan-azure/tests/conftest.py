"""A server on loopback that answers as the cloud's documentation says, and zenplan's own network.

The plugin is tested from the checkout, installed or not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from zenplan import Http
from zenplan.testing import Reply, Server, network

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as listening:
        yield listening


@pytest.fixture
def says(server: Server) -> Callable[..., str]:
    """What the server says at a path: a reply after another, and the last for ever. The address to ask is returned."""

    def page(path: str, *replies: Reply) -> str:
        left = list(replies)
        server.pages[path] = lambda _: left.pop(0) if len(left) > 1 else left[0]
        return server.url + path

    return page


@pytest.fixture
def http() -> Iterator[Http]:
    with network() as client:
        yield client
