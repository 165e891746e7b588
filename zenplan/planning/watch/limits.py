"""Rules that end a run before its money or its hours are gone: early enough that its checkpoint is still paid for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks
from zenplan.units import HOUR_S

# A checkpoint and a step have taken so much longer than the longest that was seen (assumed).
_CAUTION: Final = 1.5
# Until one was written, a checkpoint is taken to take so long (assumed).
_UNSEEN_CHECKPOINT_S: Final = 5.0

MAX_USD, MAX_HOURS = "max_usd", "max_hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What a run may take, all of it from its first start on.

    Attributes:
        usd, hours: None for no limit.
    """

    usd: float | None = None
    hours: float | None = None

    def __post_init__(self) -> None:
        checks.positive("limits", usd=self.usd, hours=self.hours)

    def ends_at_s(self, usd_per_h: float | None) -> tuple[float, str] | None:
        """The second of the run at which the first of them is reached, and which it is; None where none is.

        A limit of dollars where an hour has no known price is no limit.
        """
        found = []
        if self.usd is not None and usd_per_h:
            found.append((self.usd / usd_per_h * HOUR_S, MAX_USD))
        if self.hours is not None:
            found.append((self.hours * HOUR_S, MAX_HOURS))
        return min(found, default=None)


def must_stop(
    limits: RunLimits,
    elapsed_s: float,
    usd_per_h: float | None,
    step_s: float | None = None,
    checkpoint_s: float | None = None,
    ending_s: float = 0.0,
) -> str:
    """Which limit ends the run now; empty where it goes on.

    It is stopped while there is still time for the step that is in progress, for the checkpoint after it, and to leave.

    Args:
        limits: what it may take.
        elapsed_s: of the run so far, earlier starts of it included.
        usd_per_h: what an hour costs; None where it is not known.
        step_s: the longest of the last steps; None before the first.
        checkpoint_s: that the longest checkpoint took; None before the first.
        ending_s: that it takes to leave, once all is done.
    """
    end = limits.ends_at_s(usd_per_h)
    if end is None:
        return ""
    needed_s = _CAUTION * ((step_s or 0.0) + (_UNSEEN_CHECKPOINT_S if checkpoint_s is None else checkpoint_s))
    # Of a run of seconds, not all is kept back for what nobody has timed.
    reserve_s = min(needed_s, end[0] / 2.0) if checkpoint_s is None else needed_s
    reserve_s += min(ending_s, end[0] / 4.0)
    return end[1] if elapsed_s + reserve_s >= end[0] else ""
