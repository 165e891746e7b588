"""Flower's server program that begins, ends early, or never comes: the run does not wait for one that is gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from zenplan import ZenplanError

from zenplan_flower import wire
from zenplan_flower.calls import served


def a_run(**more: Any) -> Any:
    run = SimpleNamespace(over=False, diverged_at=0, round=1, job=SimpleNamespace(steps=3), **more)

    def answer(call: wire.Call) -> wire.Answer:
        run.over = call.what == wire.DONE
        return wire.Answer()

    run.answer = answer
    return run


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(tmp_path / "worker"))
        found.listen()
        found.settimeout(0.05)
        yield found


def serve(listener: socket.socket, program: Callable[[str], None], begin_s: float = 30.0) -> str:
    thread = threading.Thread(target=program, args=(listener.getsockname(),))
    thread.start()
    try:
        return served(a_run(), listener, lambda: None, lambda: "", begin_s)
    finally:
        thread.join()


def test_one_that_says_that_it_is_done_ends_the_run(listener: socket.socket) -> None:
    def program(path: str) -> None:
        with wire.being_here(path):
            wire.ask(path, wire.Call(what=wire.DONE))

    assert serve(listener, program) == "finished"


def test_one_that_ends_before_the_run_does_is_an_error(listener: socket.socket) -> None:
    def program(path: str) -> None:
        with wire.being_here(path):
            wire.ask(path, wire.Call(what=wire.AVERAGED))

    with pytest.raises(ZenplanError, match="ended after round 1 of 3"):
        serve(listener, program)


def test_one_that_does_not_begin_is_an_error(listener: socket.socket) -> None:
    with pytest.raises(ZenplanError, match="did not begin"):
        serve(listener, lambda _: None, begin_s=0.1)
