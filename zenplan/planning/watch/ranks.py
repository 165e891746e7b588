"""Several workers of a run: which of them hangs, and which is slow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

# A worker tells each second that it lives; one that is silent for so long, while others are not, hangs.
SILENT_S: Final = 20.0
# And one that is behind for so long, or for so many steps' time, keeps the others waiting.
_BEHIND_S, _BEHIND_STEPS = 120.0, 50.0
# A worker is slow whose own part of a step takes so much longer than the others', in as many reports in a row.
SLOW: Final = 1.3
_REPORTS: Final = 5


@dataclass(slots=True)
class RankState:
    """What is known of a worker.

    Attributes:
        host: that it is on.
        heard_s: when it was heard of last; moved_s: when it had got on since the time before: of one clock.
        done: steps of which its own part is done.
        busy_s: seconds of its own part of a step, of the last reports.
    """

    host: str
    heard_s: float
    moved_s: float
    done: int = 0
    busy_s: deque[float] = field(default_factory=lambda: deque(maxlen=_REPORTS))


@dataclass(slots=True)
class RankWatch:
    """Of all workers, by rank."""

    ranks: dict[int, RankState] = field(default_factory=dict)

    def heard(self, rank: int, host: str, done: int, busy_s: float | None, now_s: float) -> None:
        """A worker told of itself, or was told of.

        Args:
            rank, host: which, and its machine.
            done: steps of which its own part is done.
            busy_s: seconds of its own part of a step; None where it told none.
            now_s: of one clock.
        """
        state = self.ranks.setdefault(rank, RankState(host, now_s, now_s))
        state.heard_s = now_s
        if done > state.done:
            state.done, state.moved_s = done, now_s
        if busy_s is not None:
            state.busy_s.append(busy_s)

    def forget(self) -> None:
        """They begin anew."""
        self.ranks.clear()

    def hangs(self, now_s: float, step_s: float | None) -> tuple[int, str] | None:
        """A worker that hangs, and how it is known; None where none does."""
        if not self.ranks:
            return None
        newest = max(state.heard_s for state in self.ranks.values())
        for rank, state in self.ranks.items():
            if newest - state.heard_s > SILENT_S:
                return rank, f"gives no sign of life for {newest - state.heard_s:.0f} s"
        most = max(state.done for state in self.ranks.values())
        patience_s = max(_BEHIND_S, _BEHIND_STEPS * (step_s or 0.0))
        for rank, state in self.ranks.items():
            if state.done < most and now_s - max(each.moved_s for each in self.ranks.values()) > patience_s:
                return rank, f"is at its part of step {state.done + 1:,} for {patience_s:.0f} s, and the others wait"
        return None

    def slow(self) -> tuple[int, float, float] | None:
        """The slowest worker: its rank, seconds of its own part of a step, and those of the others in the median; None
        where none is slow."""
        means = {rank: median(s.busy_s) for rank, s in self.ranks.items() if len(s.busy_s) == _REPORTS}
        if len(means) < 2 or len(means) < len(self.ranks):
            return None
        worst = max(means, key=lambda rank: means[rank])
        others = median(mean for rank, mean in means.items() if rank != worst)
        least = min(self.ranks[worst].busy_s)
        return (worst, means[worst], others) if least > SLOW * others > 0.0 else None
