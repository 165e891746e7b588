"""Several workers of a run: which of them hangs, and which is slow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

# A worker tells each second that it lives; one that is silent for so long, while others are not, hangs. Beside its steps it
# may be silent for longer: while a library is loaded, native code may let no other thread of the process go on.
SILENT_S, SILENT_BESIDE_S = 20.0, 120.0
_STEPS: Final = ("rehearse", "train")
# And one that is behind for so long, or for so many steps' time, keeps the others waiting.
_BEHIND_S, _BEHIND_STEPS = 120.0, 50.0
# A worker is slow whose own part of a step takes so much longer than the others', in three of four reports, of so many
# seconds and no fewer reports: another program that takes a core for a moment is no straggler.
SLOW: Final = 1.3
SLOW_S: Final = 10.0
_REPORTS: Final = 5


def silence_of(stage: str) -> float:
    """Seconds after which a worker that is silent in that stage hangs."""
    return SILENT_S if stage in _STEPS else SILENT_BESIDE_S


@dataclass(slots=True)
class RankState:
    """What is known of a worker.

    Attributes:
        host: that it is on.
        heard_s: when it told last that it lives; None of one that others tell of.
        moved_s: when it had got on since the time before, of the same clock.
        done: steps of which its own part is done.
        busy_s: the last reports, their time and the seconds of its own part of a step.
    """

    host: str
    moved_s: float
    heard_s: float | None = None
    done: int = 0
    busy_s: deque[tuple[float, float]] = field(default_factory=deque)

    def told(self, now_s: float, busy_s: float) -> None:
        """One more report."""
        self.busy_s.append((now_s, busy_s))
        while len(self.busy_s) > _REPORTS and self.busy_s[1][0] <= now_s - SLOW_S:
            self.busy_s.popleft()

    def parts_s(self) -> list[float]:
        """Seconds of its own part of a step, the shortest first; none while there are too few reports."""
        enough = len(self.busy_s) >= _REPORTS and self.busy_s[-1][0] - self.busy_s[0][0] >= SLOW_S
        return sorted(busy_s for _, busy_s in self.busy_s) if enough else []


@dataclass(slots=True)
class RankWatch:
    """Of all workers, by rank.

    Attributes:
        stage: that they are in.
    """

    ranks: dict[int, RankState] = field(default_factory=dict)
    stage: str = "train"

    def heard(self, rank: int, host: str, done: int, busy_s: float | None, now_s: float) -> None:
        """A worker told of itself, or was told of.

        Args:
            rank, host: which, and its machine.
            done: steps of which its own part is done.
            busy_s: seconds of its own part of a step, which the workers tell each other; None where it told itself that
                it lives.
            now_s: of one clock.
        """
        state = self.ranks.setdefault(rank, RankState(host, now_s))
        if busy_s is None:
            state.heard_s = now_s
        if done > state.done:
            state.done, state.moved_s = done, now_s
        if busy_s is not None:
            state.told(now_s, busy_s)

    def forget(self) -> None:
        """They begin anew."""
        self.ranks.clear()

    def hangs(self, now_s: float, step_s: float | None) -> tuple[int, str] | None:
        """A worker that hangs, and how it is known; None where none does."""
        if not self.ranks:
            return None
        # They tell each other of themselves between steps, which may be long: that says nothing of who lives.
        heard = {rank: state.heard_s for rank, state in self.ranks.items() if state.heard_s is not None}
        newest, silent_s = max(heard.values(), default=now_s), silence_of(self.stage)
        for rank, heard_s in heard.items():
            if newest - heard_s > silent_s:
                return rank, f"gives no sign of life for {newest - heard_s:.0f} s"
        most = max(state.done for state in self.ranks.values())
        patience_s = max(_BEHIND_S, _BEHIND_STEPS * (step_s or 0.0))
        for rank, state in self.ranks.items():
            if state.done < most and now_s - max(each.moved_s for each in self.ranks.values()) > patience_s:
                return rank, f"is at its part of step {state.done + 1:,} for {patience_s:.0f} s, and the others wait"
        return None

    def slow(self) -> tuple[int, float, float] | None:
        """The slowest worker: its rank, seconds of its own part of a step, and those of the others in the median; None
        where none is slow."""
        parts = {rank: state.parts_s() for rank, state in self.ranks.items()}
        if len(parts) < 2 or not all(parts.values()):
            return None
        medians = {rank: median(each) for rank, each in parts.items()}
        worst = max(medians, key=lambda rank: medians[rank])
        others = median(each for rank, each in medians.items() if rank != worst)
        most = parts[worst][len(parts[worst]) // 4]
        return (worst, medians[worst], others) if most > SLOW * others > 0.0 else None
