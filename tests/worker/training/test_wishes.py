"""What a run is asked for while it goes on."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Event

import pytest

from zenplan.documents import encode
from zenplan.errors import DataError
from zenplan.worker.protocol import Stop
from zenplan.worker.training.wishes import GONE, Wishes


def wishes(*lines: str | None) -> Wishes:
    queue = SimpleQueue[str | None]()
    for line in lines:
        queue.put(line)
    return Wishes(queue, Event())


def test_the_first_reason_counts() -> None:
    assert wishes().look() == ""
    found = wishes(encode(Stop(checkpoint_every=30)))
    assert (found.look(), found.every, found.evaluate_every) == ("", 30, None)
    found = wishes(encode(Stop(checkpoint_every=30)), encode(Stop(evaluate_every=0)))
    assert (found.look(), found.every, found.evaluate_every) == ("", 30, 0)
    found = wishes(encode(Stop(reason="max_usd")), encode(Stop(reason="max_hours")), None)
    assert found.look() == "max_usd"
    assert found.look() == "max_usd"
    assert found.gone


def test_the_end_of_stdin_is_a_reason() -> None:
    found = wishes(None)
    assert (found.look(), found.gone) == (GONE, True)


def test_the_end_of_stdin_is_waited_for_only_while_there_is_something_to_save() -> None:
    found = wishes()
    assert not found.patient.is_set()
    found.begin()
    assert found.patient.is_set()


def test_what_is_no_wish_is_told() -> None:
    with pytest.raises(DataError, match="what is asked of a run"):
        wishes("stop").look()
