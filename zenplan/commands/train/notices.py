"""What there is to say once the model of a run is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from zenplan.domain.measured.training_run import RunStatus
from zenplan.worker.protocol import Ready, Train

_MOST_NAMED: Final = 3
# The event of a run that is gone on with: what was said before it is history.
AGAIN: Final = "again"


def of_before(before: RunStatus) -> tuple[str, str, Mapping[str, Any]]:
    """That a run is gone on with, and how it stood: the name of its event, its text and its values."""
    why = f" ({before.reason})" if before.reason not in ("", before.state) else ""
    text = f"start {before.starts + 1} of the run, which was {before.state}{why} at step {before.step:,} before"
    return AGAIN, text, {"starts": before.starts + 1, "before": before.state, "reason": before.reason}


def of_ready(event: Ready, job: Train) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each with the name of its event, its text and its values.

    Args:
        job: as it was asked for.
    """
    for each in event.passed:
        yield "passed", f"a checkpoint is not good, and passed over: {each}", {}
    if event.step:
        how = "bit for bit" if event.exact else f"not bit for bit: {'; '.join(event.differs)}"
        yield "resumed", f"goes on from step {event.step:,}, {how}", {"step": event.step, "exact": event.exact}
    if event.micro_batch != job.micro_batch:
        text = f"micro-batch {event.micro_batch:,}, as memory allows"
        yield "changed", text, {"what": "micro_batch", "value": event.micro_batch}
    if event.own:
        yield "replicas", _own(event, job), {"own": event.own}


def _own(event: Ready, job: Train) -> str:
    layers = sorted({path.rpartition("/")[0] for path in event.own})
    more = len(layers) - _MOST_NAMED
    named = ", ".join(layers[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return (
        f"{named}: each of {job.replicas} replicas goes by the statistics of its own part of a batch, so losses are not "
        "those of one replica; the mean of the statistics is kept and evaluated"
    )
