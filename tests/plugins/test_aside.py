"""Calls into a plugin beside a run: in their order, printed elsewhere, and never waited for."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from zenplan.plugins import guard


def test_calls_aside_are_made_in_their_order_and_printed_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []
    aside = guard.Aside("a plugin", 100)
    for number in range(20):
        aside.call(partial(seen.append, number))
    aside.call(lambda: sys.stdout.write("from aside\n"))
    aside.close(10.0)
    assert seen == list(range(20))
    assert aside.failure(10.0) == ""
    sys.stdout.write("from here\n")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("from here\n", "from aside\n")


def test_what_fails_aside_is_the_last_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    seen: list[int] = []
    aside = guard.Aside("a plugin", 100)
    aside.call(lambda: sys.exit(3))
    aside.call(partial(seen.append, 1))
    aside.close(10.0)
    aside.call(partial(seen.append, 2))
    assert aside.failure(10.0).startswith("SystemExit")
    assert seen == []


def test_what_hangs_aside_is_given_up_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    go_on, begun = threading.Event(), threading.Event()
    aside = guard.Aside("a plugin", 3)
    aside.call(lambda: begun.set() or go_on.wait(60))
    assert begun.wait(10)
    assert aside.failure(60.0) == ""
    time.sleep(0.05)
    assert "no answer" in aside.failure(0.01)
    start = time.monotonic()
    aside.close(30.0)
    assert time.monotonic() - start < 5.0
    go_on.set()


def test_what_does_not_keep_up_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    go_on = threading.Event()
    aside = guard.Aside("a plugin", 3)
    for _ in range(10):
        aside.call(lambda: go_on.wait(60))
    assert "keep up" in aside.failure(60.0)
    go_on.set()
    aside.close(0.0)


def test_a_call_that_ends_after_it_was_given_up_changes_nothing_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.chdir(tmp_path)
    go_on, begun = threading.Event(), threading.Event()
    others = set(threading.enumerate())
    outcome = guard.attempt(lambda: begun.set() or go_on.wait(60), 0.1, watched=True)
    assert outcome.given_up
    assert begun.wait(10)
    (left,) = set(threading.enumerate()) - others
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    go_on.set()
    left.join(10)
    assert Path.cwd() == tmp_path / "elsewhere"
