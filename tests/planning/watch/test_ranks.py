"""Which of several workers hangs, and which is slow."""

from __future__ import annotations

import pytest

from zenplan.planning.watch.ranks import SILENT_BESIDE_S, SILENT_S, SLOW, SLOW_S, RankWatch


def watch(*done: int, now_s: float = 0.0, busy_s: tuple[float | None, ...] = ()) -> RankWatch:
    """Of ranks that have done so many steps."""
    found = RankWatch()
    for rank, steps in enumerate(done):
        found.heard(rank, f"host{rank}", steps, busy_s[rank] if busy_s else None, now_s)
    return found


def test_of_nobody_there_is_nothing_to_say() -> None:
    assert RankWatch().hangs(1e6, 1.0) is None
    assert RankWatch().slow() is None


def test_one_that_is_silent_while_others_are_not_hangs() -> None:
    found = watch(3, 3, 3)
    for second in range(1, int(SILENT_S) + 1):
        for rank in (0, 2):
            found.heard(rank, "", 3 + second, None, float(second))
    assert found.hangs(SILENT_S, None) is None
    found.heard(0, "", 30, None, SILENT_S + 1.0)
    rank, how = found.hangs(SILENT_S + 1.0, None) or (-1, "")
    assert rank == 1
    assert "no sign of life" in how


@pytest.mark.parametrize("stage", ["start", "build", "compile", "write"])
def test_one_that_loads_a_library_is_silent_for_a_while(stage: str) -> None:
    """Keras imports TensorFlow where it saves a model, whatever trains it: half a minute on a busy machine."""
    found = watch(40, 40)
    found.stage = stage
    found.heard(1, "", 40, None, SILENT_BESIDE_S)
    assert found.hangs(SILENT_BESIDE_S, 0.1) is None
    found.heard(1, "", 40, None, SILENT_BESIDE_S + 1.0)
    rank, _ = found.hangs(SILENT_BESIDE_S + 1.0, 0.1) or (-1, "")
    assert rank == 0


def test_where_all_are_silent_the_parent_slept() -> None:
    """A laptop that was shut: nobody was heard, and nobody hangs."""
    assert watch(3, 3).hangs(1e6, 1.0) is None


def test_one_that_keeps_the_others_waiting_hangs() -> None:
    found = watch(7, 6)
    for second in range(500):
        for rank in (0, 1):
            found.heard(rank, "", 7 - rank, None, float(second))
        rank, how = found.hangs(float(second), 0.1) or (-1, "")
        assert (rank == 1) == (second > 120)
        assert rank == -1 or "step 7" in how


def test_the_longer_a_step_is_the_longer_it_may_take() -> None:
    found = watch(7, 6)
    assert found.hangs(499.0, 10.0) is None
    assert found.hangs(501.0, 10.0) == (1, "is at its part of step 7 for 500 s, and the others wait")


def test_where_all_are_at_the_same_step_they_do_something_else_together() -> None:
    """A checkpoint, or an evaluation, may take long."""
    assert watch(7, 7).hangs(1e5, 0.1) is None


def test_who_gets_on_is_not_behind() -> None:
    found = watch(7, 6)
    found.heard(1, "", 7, None, 119.0)
    found.heard(0, "", 8, None, 119.0)
    assert found.hangs(130.0, 0.1) is None


def reports(*seconds: float, count: int = 12) -> RankWatch:
    found = watch(*(0 for _ in seconds))
    for step in range(count):
        for rank, busy_s in enumerate(seconds):
            found.heard(rank, f"host{rank}", step, busy_s, float(step))
    return found


def test_one_that_is_slow_time_after_time_is_named() -> None:
    assert reports(1.0, 2.0, 1.1).slow() == (1, 2.0, pytest.approx(1.05))
    assert reports(1.0, 2.0).slow() == (1, 2.0, 1.0)


def test_a_little_or_for_a_moment_is_not_slow() -> None:
    assert reports(1.0, SLOW, 1.0).slow() is None
    assert reports(1.0, 2.0, count=int(SLOW_S)).slow() is None
    found = reports(1.0, 2.0)
    for second in range(12, 16):
        found.heard(1, "", second, 1.0, float(second))
    assert found.slow() is None


def test_of_long_steps_as_many_reports_are_waited_for() -> None:
    found = RankWatch()
    for step in range(5):
        assert found.slow() is None
        for rank, busy_s in enumerate((30.0, 60.0)):
            found.heard(rank, "", step, busy_s, 60.0 * step)
    assert found.slow() == (1, 60.0, 30.0)


def test_who_is_only_told_of_by_others_may_be_at_a_long_step() -> None:
    found = RankWatch()
    found.heard(1, "far", 3, 25.0, 0.0)
    for second in range(100):
        found.heard(0, "near", 3, None, float(second))
    assert found.hangs(100.0, 30.0) is None


def test_of_one_that_has_not_told_how_long_it_takes_nobody_is_slow() -> None:
    found = reports(1.0, 2.0)
    found.heard(2, "host2", 1, None, 0.0)
    assert found.slow() is None
    assert reports(1.0).slow() is None
    assert reports(0.0, 0.0).slow() is None


def test_those_that_begin_again_are_not_what_they_were() -> None:
    found = reports(1.0, 2.0)
    found.forget()
    assert found.slow() is None
    found.heard(0, "host0", 1, None, 100.0)
    assert found.hangs(100.0, 1.0) is None
    assert list(found.ranks) == [0]
