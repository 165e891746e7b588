"""``python -m zenplan_flower``: the worker, in Flower's environment. It trains, among clients where the job says so."""

from __future__ import annotations

import os
from importlib.util import find_spec

from zenplan import ZenplanError
from zenplan.errors import FailureKind
from zenplan.worker.measuring.machine import confined, prepare
from zenplan.worker.measuring.memory import Memory
from zenplan.worker.protocol import AnyJob, Events, Train
from zenplan.worker.serving import Stdin, serve
from zenplan.worker.training.prepared import Prepared
from zenplan.worker.training.wishes import Wishes

_BACKENDS = ("jax", "torch", "tensorflow")


def do(job: AnyJob, events: Events, stdin: Stdin) -> None:
    """Train a model; the run ends by itself, by a line of stdin, by its end, or by SIGTERM."""
    if not isinstance(job, Train):
        raise ZenplanError(
            "flower trains models, and neither counts nor measures them",
            "--backend jax does both",
            kind=FailureKind.UNSUPPORTED,
        )
    wishes = Wishes(stdin.lines, stdin.patient)
    wishes.listen()
    # What is wrong with the data is said before Keras is imported, which starts threads.
    data = Prepared.read(job.data)
    threads = confined(job.threads)
    backend = _backend(os.environ.get("KERAS_BACKEND", ""))
    os.environ["KERAS_BACKEND"] = backend
    prepare(job.device, threads, job.precision)
    from zenplan.worker.training.keras_trainee import keras_trainee
    from zenplan.worker.training.run import train

    from zenplan_flower.federation import federate

    memory = Memory(backend, job.device)
    if job.federated is None:
        train(job, data, keras_trainee, memory, wishes, events)
    else:
        federate(job, data, memory, wishes, events)


def _backend(wanted: str) -> str:
    """The backend that Keras is to have here: the one that is wanted, or of ``flower``, which is none, any."""
    names = (wanted,) if wanted in _BACKENDS else _BACKENDS
    found = next((name for name in names if find_spec(name)), None)
    if found is None or not find_spec("keras"):
        missing = "keras" if found else " or ".join(names)
        raise ZenplanError(
            f"{missing} is not installed in Flower's environment",
            "'zenplan federate --how' prints the lines that add it",
        )
    return found


serve(do)
