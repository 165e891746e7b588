"""What a tracker has to keep, as tests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

import pytest

from zenplan.domain.measured.tracked_run import TrackedRun
from zenplan.errors import UsageError
from zenplan.protocols import Tracker, Tracking
from zenplan.testing.border import taken

_STATES = ("finished", "stopped", "preempted", "failed")
_STEPS = 300


class TrackerContract:
    """The tests. Derive a class of a name that begins with ``Test``, and give it a tracker.

    Attributes:
        tracker: that is tested. Where what it needs is not there, and it says so, its tests are skipped.
        patience_s: for a run of some hundred steps.
    """

    tracker: ClassVar[Tracker]
    patience_s: ClassVar[float] = 60.0

    def _started(self, folder: Path, resumed: bool = False) -> Tracking:
        run = TrackedRun(
            id="abcd2345",
            name="a run ‒ of a test",
            backend="jax",
            folder=str(folder),
            resumed=resumed,
            settings={"batch": 8, "optimizer": "adamw", "learning_rate": 1e-3},
        )
        try:
            tracking: object = self.tracker.start(run)
        except UsageError as error:
            pytest.skip(f"{error.message}: {error.hint}")
        assert isinstance(tracking, Tracking), f"start returns a {type(tracking).__name__}, which has no log and finish"
        return tracking

    def test_it_is_a_tracker(self) -> None:
        """It has the members, and passes the border."""
        assert isinstance(self.tracker, Tracker)
        found = taken("zenplan_trackers", self.tracker)
        assert found.problems == ()
        assert [each.name for each in found.items] == [self.tracker.name]

    @pytest.mark.parametrize("state", _STATES)
    def test_it_follows_a_run(self, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Steps, evaluations and any end, in time, and without a word on stdout."""
        start = time.monotonic()
        tracking = self._started(tmp_path)
        for step in range(1, _STEPS + 1):
            tracking.log(step, {"loss": 3.0 / step, "step_s": 0.01, "wait_s": 0.0, "learning_rate": 1e-3})
            if step % 100 == 0:
                tracking.log(step, {"validation/loss": 3.1 / step, "validation/accuracy": 0.5})
        tracking.finish(state)
        assert time.monotonic() - start < self.patience_s
        assert capsys.readouterr().out == ""

    def test_a_run_that_is_resumed_goes_on(self, tmp_path: Path) -> None:
        """Steps after the checkpoint come once more, and that is no error."""
        first = self._started(tmp_path)
        for step in range(1, 21):
            first.log(step, {"loss": 3.0 / step})
        first.finish("preempted")
        second = self._started(tmp_path, resumed=True)
        for step in range(11, 31):
            second.log(step, {"loss": 3.0 / step})
        second.finish("finished")

    def test_it_takes_any_figure(self, tmp_path: Path) -> None:
        """Another name, zero, and numbers of any size that fp32 has."""
        tracking = self._started(tmp_path)
        tracking.log(1, {})
        tracking.log(2, {"a figure/of a newer zenplan": -1e37, "loss": 0.0, "step_s": 1e-12})
        tracking.finish("stopped")

    def test_two_runs_at_once_are_two(self, tmp_path: Path) -> None:
        """Each has what was logged to it."""
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        one, two = self._started(tmp_path / "one"), self._started(tmp_path / "two")
        assert one is not two
        for step in (1, 2):
            one.log(step, {"loss": 1.0})
            two.log(step, {"loss": 2.0})
        one.finish("finished")
        two.finish("failed")
