"""``python -m zenplan_ray``: the worker. One job, ``train``; others are refused."""

from __future__ import annotations

from importlib.util import find_spec

from zenplan import ZenplanError
from zenplan.errors import FailureKind
from zenplan.worker.protocol import AnyJob, Event, Events, Train
from zenplan.worker.serving import Stdin, serve
from zenplan.worker.training.prepared import Prepared

from zenplan_ray.cluster import cluster


def do(job: AnyJob, events: Events, stdin: Stdin) -> None:
    """Train a model; the run ends by itself, by a line of stdin, by its end, or by SIGTERM."""
    if not isinstance(job, Train):
        raise ZenplanError(
            "ray trains models, and neither counts nor measures them",
            "--backend torch does both",
            kind=FailureKind.UNSUPPORTED,
        )
    missing = [name for name in ("ray", "keras", "torch") if find_spec(name) is None]
    if missing:
        raise ZenplanError(f"{' and '.join(missing)} is not installed", "pip install zenplan-ray")
    # What is wrong with the data is said before a cluster is started.
    Prepared.read(job.data)
    last: Event | None = None
    # What goes wrong is told while Ray is there: a thread that waits for it may end this process as it goes.
    with cluster(job) as own, events:
        from zenplan_ray.driving import driven

        last = driven(job, events, stdin, own)
    if last is not None:
        # Once nothing of Ray is there any more.
        events.stage = last.stage
        events.send(last)


serve(do)
