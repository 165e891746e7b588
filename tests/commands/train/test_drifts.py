"""What is said of steps that are not as predicted, and when that is taken back."""

from __future__ import annotations

from zenplan.commands.train.drifts import Drifts
from zenplan.domain.range import Range
from zenplan.planning.watch.drift import Cause, Drift

PREDICTED = Range(low=0.9, mid=1.0, high=1.1)
SLOW = Drift(step_s=2.0, predicted=PREDICTED, cause=Cause.UNKNOWN, why="")
CONTENDED = Drift(step_s=2.0, predicted=PREDICTED, cause=Cause.CONTENDED, why="others")
FAST = Drift(step_s=0.5, predicted=PREDICTED, cause=Cause.UNKNOWN, why="")


def test_a_drift_is_said_once_and_taken_back_once() -> None:
    found = Drifts()
    said = [found.look(each, step, 100.0 * step) for step, each in enumerate([None, SLOW, SLOW, None, None, FAST], 1)]
    assert [bool(text) for text in said] == [False, True, False, True, False, True]
    assert "slower" in said[1]
    assert "within the predicted" in said[3]
    assert "faster" in said[5]
    assert "faster" in found.now


def test_a_run_that_comes_and_goes_is_not_told_of_each_time() -> None:
    found = Drifts()
    said = [found.look(SLOW if step % 2 else None, step, 5.0 * step) for step in range(1, 61)]
    assert sum(map(bool, said)) <= 7
    # Whatever was said last, the end says how it is.
    assert found.now == ""
    assert ("within" in found.end(60)) == ("slower" in [text for text in said if text][-1])
    assert found.end(60) == ""


def test_what_is_seen_in_the_last_steps_alone_is_no_note() -> None:
    for first, notes in ((320, 0), (315, 0), (310, 1), (100, 1)):
        found = Drifts()
        found.look(FAST, first, 0.0)
        assert found.end(320) == ""
        assert len(list(found.notes())) == notes
    found = Drifts()
    found.look(FAST, 318, 0.0)
    found.look(None, 320, 10.0)
    assert "within" in found.end(320)
    assert list(found.notes()) == []
    found = Drifts()
    for step, each in ((100, SLOW), (200, None), (319, FAST)):
        found.look(each, step, 100.0 * step)
    assert found.end(320) == ""
    assert [note.partition(" steps")[0] for note in found.notes()] == ["from step 100 to 200"]


def test_each_time_is_a_note_with_its_steps_and_many_are_counted() -> None:
    found = Drifts()
    assert list(found.notes()) == []
    for step, each in ((10, SLOW), (20, CONTENDED), (30, None), (40, FAST)):
        found.look(each, step, 0.0)
    one, two, three = found.notes()
    assert one.startswith("from step 10 to 20 ")
    assert two.startswith("from step 20 to 30 ")
    assert three.startswith("from step 40 on ")
    assert "contended" in two
    for step in range(50, 90, 2):
        found.look(None, step, 0.0)
        found.look(SLOW, step + 1, 0.0)
    *_, last = notes = list(found.notes())
    assert len(notes) == 6
    assert last.endswith("18 times more")
