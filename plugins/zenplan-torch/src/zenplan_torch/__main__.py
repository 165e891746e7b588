"""``python -m zenplan_torch``: the worker. One job, ``train``; others are refused."""

from __future__ import annotations

from importlib.util import find_spec

from zenplan import ZenplanError
from zenplan.errors import FailureKind
from zenplan.worker.measuring.machine import confined
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
            "pytorch trains models, and neither counts nor measures them",
            "--backend torch does both, of Keras models",
            kind=FailureKind.UNSUPPORTED,
        )
    if find_spec("torch") is None:
        raise ZenplanError("PyTorch is not installed", "pip install torch; https://pytorch.org says which build")
    wishes = Wishes(stdin.lines, stdin.patient)
    wishes.listen()
    # What is wrong with the data is said before PyTorch is imported, which starts threads.
    data = Prepared.read(job.data)
    threads = confined(job.threads)
    from zenplan_torch.trainee import made, prepare

    prepare(job.device, threads, job.precision)
    train(job, data, made, Memory("torch", job.device), wishes, events)


serve(do)
