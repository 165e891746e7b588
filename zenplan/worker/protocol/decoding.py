"""Lines as jobs and events."""

from __future__ import annotations

from typing import cast, get_args

import msgspec

from zenplan import documents
from zenplan.errors import DataError
from zenplan.worker.protocol.data_parallel import Communicated, DataParallel
from zenplan.worker.protocol.events import (
    Built,
    Counted,
    Done,
    Error,
    Event,
    Failed,
    Machine,
    Peak,
    Raised,
    Sampled,
    Stage,
)
from zenplan.worker.protocol.federated import Clients, Moved, Round
from zenplan.worker.protocol.jobs import Count, Measure
from zenplan.worker.protocol.serving import Serve, Serving
from zenplan.worker.protocol.trained import (
    Compress,
    Compressed,
    Explain,
    Explained,
    Export,
    Exported,
    Importance,
    Score,
    Scored,
)
from zenplan.worker.protocol.training import (
    Changed,
    Checkpointed,
    Ended,
    Metric,
    Pulse,
    Ready,
    Rehearsed,
    Restarted,
    Steps,
    Stop,
    Train,
    Write,
    Written,
)

# Of a line that is no event, in the error that says so.
_SHOWN_BYTES = 60

AnyJob = Count | Measure | DataParallel | Train | Write | Score | Explain | Export | Compress | Serve


class _Unknown(msgspec.Struct):
    """An event of any name."""

    event: str


_Measured = Stage | Machine | Counted | Built | Peak | Sampled | Communicated | Failed | Done | Error | Raised
_Trained = Ready | Rehearsed | Pulse | Steps | Metric | Checkpointed | Changed | Restarted | Ended | Written
_Used = Scored | Explained | Importance | Exported | Compressed | Serving
_Federated = Clients | Round | Moved
_AnyEvent = _Measured | _Trained | _Used | _Federated
_NAMES = {kind.__struct_config__.tag for kind in get_args(_AnyEvent)}


def decode_event(line: bytes) -> Event | None:
    """The event that a worker wrote, its texts printable; None for one whose name is not known here.

    Raises:
        DataError: it is no event. The process that wrote it ran code that is not ours.
    """
    what = f"the worker wrote what is no event: {line[:_SHOWN_BYTES]!r}"
    try:
        return documents.decode(line, cast(type[Event], _AnyEvent), what, foreign=True)
    except DataError:
        if documents.decode(line, _Unknown, what).event in _NAMES:
            raise
        return None


def decode_job(line: str) -> AnyJob:
    """The job that the parent wrote."""
    return documents.decode(line, cast(type[AnyJob], AnyJob), "the job")


def decode_stop(line: str) -> Stop:
    """What the parent wrote while a training run goes on."""
    return documents.decode(line, Stop, "what is asked of a run")
