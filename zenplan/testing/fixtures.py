"""Fixtures for a price source's own tests. A plugin's ``conftest.py`` imports those that it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from zenplan.testing.network import network
from zenplan.testing.server import Reply, Server

if TYPE_CHECKING:
    from zenplan.protocols import Http


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback, without pages yet."""
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
    """zenplan's own network."""
    with network() as client:
        yield client
