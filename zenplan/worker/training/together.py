"""How the workers of a run are joined, by the backend that trains it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from zenplan.errors import UsageError
from zenplan.worker.protocol import Events, Train
from zenplan.worker.training.group import ALONE, Group, check_ranks


@contextmanager
def joined(job: Train, events: Events) -> Iterator[Group]:
    """Within it this worker knows the others, and the parent hears that it lives.

    Raises:
        UsageError: the backend cannot train as it is asked to.
        ZenplanError: of the kind NO_COLLECTIVES: a worker has not come, or is gone.
    """
    ranks = check_ranks(job)
    if ranks is None and job.workers * job.devices == 1:
        yield ALONE
        return
    backend = keras.config.backend()
    if backend == "jax":
        from zenplan.worker.training import group_jax

        with group_jax.joined(job, ranks) as devices, devices.pace.told(devices.rank, events):
            yield devices
    elif backend == "torch" and ranks is not None:
        from zenplan.worker.training import group_torch

        with group_torch.joined(job, ranks) as workers, workers.pace.told(workers.rank, events):
            yield workers
    elif backend == "tensorflow":
        from zenplan.worker.training import group_tensorflow

        with group_tensorflow.joined(job, ranks) as mirrored, mirrored.pace.told(mirrored.rank, events):
            yield mirrored
    else:
        raise UsageError(
            f"Keras on {backend} does not train on {job.workers} workers of {job.devices} devices here",
            "--backend jax does; --backend torch does with one device a worker",
        )
