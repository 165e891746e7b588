"""What the parent and its worker say to each other: a job, then events, one JSON document a line.

The parent writes one job, a line, to the worker's stdin; ``job`` in it says which. The worker answers on a descriptor
of its own, which the job names, with events; ``event`` in each says which. ``Error`` and ``Raised`` end any job, and
so does the event that its class names as ``last``.

A worker of a plugin's (another framework) speaks the same, and may be newer or older than its parent. So fields have
defaults where one can do without, a field that is not known is ignored, and **an event whose name is not here is
skipped**; whatever else is no event of these types is one DataError.
"""

from __future__ import annotations

from zenplan.worker.protocol.decoding import (
    AnyJob,
    decode_event,
    decode_job,
    decode_stop,
)
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
)
from zenplan.worker.protocol.federated import (
    Clients,
    Federated,
    Moved,
    Round,
)
from zenplan.worker.protocol.jobs import (
    ALONE,
    AT_ONCE,
    TOGETHER,
    WAYS,
    Count,
    DataParallel,
    Job,
    Measure,
    Replica,
    Rounds,
    WantedPoint,
)
from zenplan.worker.protocol.models import (
    Blocks,
    File,
    Kind,
    Model,
    Target,
)
from zenplan.worker.protocol.sending import (
    Events,
    described,
    lacks_memory,
    says,
)
from zenplan.worker.protocol.trained import (
    Artefact,
    Attribution,
    Explain,
    Explained,
    Export,
    Exported,
    Importance,
    Input,
    Score,
    Scored,
    Trained,
)
from zenplan.worker.protocol.training import (
    Changed,
    Checkpointed,
    Ended,
    Metric,
    Optimizer,
    Ready,
    Rehearsal,
    Rehearsed,
    Steps,
    Stop,
    Train,
    TrainedModel,
    Write,
    Written,
)

__all__ = [
    "ALONE",
    "AT_ONCE",
    "TOGETHER",
    "WAYS",
    "AnyJob",
    "Artefact",
    "Attribution",
    "Blocks",
    "Built",
    "Changed",
    "Checkpointed",
    "Clients",
    "Count",
    "Counted",
    "DataParallel",
    "Done",
    "Ended",
    "Error",
    "Event",
    "Events",
    "Explain",
    "Explained",
    "Export",
    "Exported",
    "Failed",
    "Federated",
    "File",
    "Importance",
    "Input",
    "Job",
    "Kind",
    "Machine",
    "Measure",
    "Metric",
    "Model",
    "Moved",
    "Optimizer",
    "Peak",
    "Raised",
    "Ready",
    "Reduced",
    "Rehearsal",
    "Rehearsed",
    "Replica",
    "Round",
    "Rounds",
    "Sampled",
    "Score",
    "Scored",
    "Stage",
    "Steps",
    "Stop",
    "Target",
    "Train",
    "Trained",
    "TrainedModel",
    "WantedPoint",
    "Write",
    "Written",
    "decode_event",
    "decode_job",
    "decode_stop",
    "described",
    "lacks_memory",
    "says",
]
