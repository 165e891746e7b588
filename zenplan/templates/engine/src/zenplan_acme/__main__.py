"""``python -m zenplan_acme``: the worker. One job, ``train``; others are refused."""

from __future__ import annotations

from zenplan import ZenplanError
from zenplan.errors import FailureKind
from zenplan.worker.measuring.memory import Memory
from zenplan.worker.protocol import AnyJob, Events, Train
from zenplan.worker.serving import Stdin, serve
from zenplan.worker.training.prepared import Prepared
from zenplan.worker.training.run import train
from zenplan.worker.training.wishes import Wishes


def do(job: AnyJob, events: Events, stdin: Stdin) -> None:
    """Train a model; the run ends by itself, by a line of stdin, by its end, or by SIGTERM."""
    if not isinstance(job, Train):
        raise ZenplanError(
            "acme trains models, and neither counts nor measures them",
            "'zenplan plugins' lists other engines",
            kind=FailureKind.UNSUPPORTED,
        )
    wishes = Wishes(stdin.lines, stdin.patient)
    wishes.listen()
    # What is wrong with the data is said before a framework is imported, which takes its time.
    data = Prepared.read(job.data)
    from zenplan_acme.bigram import made

    train(job, data, made, Memory("acme", job.device), wishes, events)


serve(do)
