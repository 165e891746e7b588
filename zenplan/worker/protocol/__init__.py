"""What the parent and its worker say to each other: a job, then events, one JSON document a line.

The parent writes one job, a line, to the worker's stdin; ``job`` in it says which. The worker answers on a descriptor
of its own, which the job names, with events; ``event`` in each says which. ``Error`` and ``Raised`` end any job, and
so does the event that its class names as ``last``.

A worker of a plugin's (another framework) speaks the same, and may be newer or older than its parent. So fields have
defaults where one can do without, a field that is not known is ignored, and **an event whose name is not here is
skipped**; whatever else is no event of these types is one DataError. The names ``step``, ``metric`` and ``checkpoint``
are kept for a job that trains.
"""

from __future__ import annotations

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
    Reduced,
    Sampled,
    Stage,
    decode_event,
)
from zenplan.worker.protocol.jobs import (
    ALONE,
    AT_ONCE,
    TOGETHER,
    WAYS,
    AnyJob,
    Count,
    DataParallel,
    Job,
    Measure,
    Replica,
    Rounds,
    WantedPoint,
    decode_job,
)
from zenplan.worker.protocol.models import Blocks, File, Model, Target
from zenplan.worker.protocol.sending import Events, described, says

__all__ = [
    "ALONE",
    "AT_ONCE",
    "TOGETHER",
    "WAYS",
    "AnyJob",
    "Blocks",
    "Built",
    "Count",
    "Counted",
    "DataParallel",
    "Done",
    "Error",
    "Event",
    "Events",
    "Failed",
    "File",
    "Job",
    "Machine",
    "Measure",
    "Model",
    "Peak",
    "Raised",
    "Reduced",
    "Replica",
    "Rounds",
    "Sampled",
    "Stage",
    "Target",
    "WantedPoint",
    "decode_event",
    "decode_job",
    "described",
    "says",
]
