"""Devices of one process joined by TensorFlow: each has a copy of the model, under ``tf.distribute.MirroredStrategy``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import tensorflow as tf

from zenplan.errors import UsageError, ZenplanError
from zenplan.worker.protocol import Ranks, Train
from zenplan.worker.training.group import Pace, Share, numbers_of


@dataclass(frozen=True, kw_only=True)
class MirroredGroup:
    """As of ``Group``.

    Attributes:
        devices: names of those that are joined.
    """

    devices: tuple[str, ...]
    share: Share
    rank: int = 0
    size: int = 1
    pace: Pace = field(default_factory=Pace)

    @cached_property
    def strategy(self) -> Any:
        """What the model is built in, and steps are made in. It starts the devices: threads cannot be set after that."""
        return tf.distribute.MirroredStrategy(list(self.devices))

    def scope(self) -> AbstractContextManager[Any]:
        """As of ``Group``."""
        found: AbstractContextManager[Any] = self.strategy.scope()
        return found

    def told(self, text: str) -> str:
        """As of ``Group``."""
        return text

    def gathered(self, text: str) -> list[str]:
        """As of ``Group``."""
        return [text]

    def held(self, weights: Sequence[Any]) -> tuple[int, int]:
        """As of ``Group``; an array without a copy on each device is not counted."""
        mirrored = numbers_of([each for each in weights if len(copies(each)) == len(self.devices)])
        return mirrored, mirrored

    def divided(self, nested: Any) -> Any:
        """Arrays of a batch, each divided over the devices by the place of its rows."""
        count = len(self.devices)

        def part(context: Any) -> Any:
            number = context.replica_id_in_sync_group

            def of(array: Any) -> Any:
                each = len(array) // count
                return tf.constant(array[number * each : (number + 1) * each])

            return tf.nest.map_structure(of, nested)

        return self.strategy.experimental_distribute_values_from_function(part)


def copies(variable: Any) -> Sequence[Any]:
    """Of a variable, that of each device; of one that is not mirrored, itself."""
    return tuple(getattr(variable, "values", (variable,)))


@contextmanager
def joined(job: Train, ranks: Ranks | None) -> Iterator[MirroredGroup]:
    """Within it the devices know each other.

    Raises:
        UsageError: the engine cannot do what is asked. ZenplanError: there are too few devices.
    """
    if ranks is not None or job.workers > 1:
        raise UsageError(
            "Keras on tensorflow trains on the devices of one worker here",
            "--devices without --workers; --backend jax or torch does with several workers",
        )
    if job.tensor_parallel > 1:
        raise UsageError(
            "TensorFlow copies a model to each device, and does not divide its matrices",
            "leave out --tensor-parallel, or --backend jax",
        )
    kind = job.device.upper()
    there = tf.config.list_physical_devices(kind)
    if job.device == "cpu":
        # The processor as several devices, which share its threads.
        tf.config.set_logical_device_configuration(there[0], [tf.config.LogicalDeviceConfiguration()] * job.devices)
    elif len(there) < job.devices:
        raise ZenplanError(
            f"there are {len(there)} devices, and {job.devices} were asked for", "fewer --devices, or another machine"
        )
    devices = tuple(f"{kind}:{number}" for number in range(job.devices))
    yield MirroredGroup(devices=devices, share=Share(at_once=job.devices))
