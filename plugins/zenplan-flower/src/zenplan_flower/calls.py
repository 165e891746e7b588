"""What Flower's processes ask is answered, until the run is over or they are gone."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec
from zenplan import ZenplanError
from zenplan.worker.protocol import Train

from zenplan_flower import wire

# Flower's server program begins within seconds, or within minutes where the machine is busy.
_BEGIN_S = 600.0


class Answers(Protocol):
    """A run that goes on: as of ``Federation``."""

    @property
    def job(self) -> Train:
        """What is trained."""

    @property
    def round(self) -> int:
        """Of the newest average."""

    @property
    def over(self) -> bool:
        """Whether the server has said so."""

    @property
    def diverged_at(self) -> int:
        """Round whose average was no number; 0 while there was none."""

    def answer(self, call: wire.Call) -> wire.Answer:
        """What one of Flower's processes asks."""


def served(
    run: Answers, listener: socket.socket, check: Callable[[], None], stop: Callable[[], str], begin_s: float = _BEGIN_S
) -> str:
    """Answer until the run is over; why it ended.

    Args:
        check: raises ZenplanError where Flower's network is gone.
        begin_s: seconds that its server program may take to begin.

    Raises:
        ZenplanError: the network or the server program is gone, or the program does not begin.
    """
    server: socket.socket | None = None
    end = time.monotonic() + begin_s
    try:
        while not (run.over or run.diverged_at):
            if reason := stop():
                return reason
            check()
            if server is None and time.monotonic() > end:
                raise ZenplanError(
                    f"Flower's server program did not begin within {begin_s:g} s", "is the machine busy?"
                )
            if server is not None and wire.is_gone(server):
                raise ZenplanError(f"Flower's server program ended after round {run.round} of {run.job.steps}")
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(None)
                if _answered(run, connection) == wire.HERE:
                    server = connection
                else:
                    connection.close()
    finally:
        if server is not None:
            server.close()
    return "diverged" if run.diverged_at else "finished"


def _answered(run: Answers, connection: socket.socket) -> str:
    """What was asked; nothing where it broke off."""
    try:
        call = wire.receive_call(connection)
    except (ConnectionError, msgspec.ValidationError, msgspec.DecodeError):
        # A process of Flower's that died while it asked: its client is missed by the server.
        return ""
    if call.what != wire.HERE:
        answer = run.answer(call)
        with suppress(ConnectionError):
            wire.send(connection, answer)
    return call.what
