"""Several workers of a run, as their parent sees them: one that hangs ends them all, one that is slow is named."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from zenplan import units
from zenplan.commands.train.asked import Asked
from zenplan.errors import FailureKind, ZenplanError
from zenplan.planning.watch.ranks import RankWatch
from zenplan.worker.protocol import Pulse

# Between two looks: they are many steps' reports.
_LOOK_EVERY_S: Final = 1.0
_LOST: Final = (FailureKind.KILLED, FailureKind.CRASHED, FailureKind.ENDED, FailureKind.NO_COLLECTIVES)


@dataclass(slots=True)
class Workers:
    """They.

    Attributes:
        watch: what is known of each.
        restarts: how often they began again; begun_s: when, by the monotonic clock; 0 where they did not.
    """

    watch: RankWatch = field(default_factory=RankWatch)
    restarts: int = 0
    begun_s: float = 0.0
    _named: int | None = None
    _looked_s: float = -_LOOK_EVERY_S

    def heard(self, pulse: Pulse) -> None:
        """One told of itself."""
        self.watch.heard(pulse.rank, pulse.host, pulse.done, pulse.busy_s, time.monotonic())

    def may_begin_again(self, error: ZenplanError, asked: Asked, begun: bool) -> bool:
        """Whether it is the loss of one of several workers of this machine that ended them, and not too often.

        Args:
            begun: whether they have come to train. Before, one that does not come, or hangs, would not the next time.
        """
        several = asked.job.workers > 1 and asked.ranks is None
        lost = error.kind in _LOST and (begun or error.kind is not FailureKind.NO_COLLECTIVES)
        return several and lost and self.restarts < asked.max_restarts

    def begin_again(self) -> None:
        """All of them."""
        self.restarts += 1
        self.begun_s = time.monotonic()
        self.watch.forget()

    def look(self, stage: str, step_s: float | None) -> str:
        """What there is to say of one that is slow; empty where there is nothing new, or it was looked at just now.

        Args:
            stage: that they are in.
            step_s: seconds of a step.

        Raises:
            ZenplanError: of the kind NO_COLLECTIVES: one hangs.
        """
        now = time.monotonic()
        if now - self._looked_s < _LOOK_EVERY_S:
            return ""
        self._looked_s, self.watch.stage = now, stage
        if found := self.watch.hangs(now, step_s):
            rank, how = found
            raise ZenplanError(
                f"rank {rank} on {self.watch.ranks[rank].host} {how}",
                "look at its machine; the last checkpoint is as it was",
                kind=FailureKind.NO_COLLECTIVES,
            )
        slow = self.watch.slow()
        if slow is None or slow[0] == self._named:
            return ""
        rank, own_s, others_s = slow
        self._named = rank
        host = self.watch.ranks[rank].host
        return (
            f"rank {rank} on {host} is slow: its own part of a step takes {units.duration(own_s)}, "
            f"that of the others {units.duration(others_s)}"
        )


def priced_on(asked: Asked, hosts: Sequence[str]) -> Asked:
    """The run at the price of all its machines: what was given is that of one."""
    if asked.usd_per_h is None or len(hosts) < 2:
        return asked
    return replace(asked, usd_per_h=asked.usd_per_h * len(hosts))
