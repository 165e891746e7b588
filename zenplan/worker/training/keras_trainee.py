"""A Keras model as what a run trains, on any backend."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.measuring import machine
from zenplan.worker.protocol import Events, Machine, Train
from zenplan.worker.training.checkpoints import Variable, replacing
from zenplan.worker.training.group import ALONE, Group, check_shards
from zenplan.worker.training.losses import loss_of
from zenplan.worker.training.models import built, in_floats, length_of
from zenplan.worker.training.optimizer import made, rate_variable
from zenplan.worker.training.parts import Parts
from zenplan.worker.training.prepared import Prepared
from zenplan.worker.training.stepper import Stepper


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasTrainee:
    """As of ``Trainee``.

    Attributes:
        parts: the model and what steps it.
        in_floats: makes what is saved of a model in int8; None where it is saved as it is.
    """

    parts: Parts
    stepper: Stepper
    backend: str
    machine: Machine
    length: int
    in_floats: Callable[[], keras.Model] | None = None

    @property
    def figures(self) -> Sequence[str]:
        """As of ``Trainee``."""
        return tuple(self.parts.loss.others)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """As of ``Trainee``."""
        return tuple(
            Variable(name=name, path=str(v.path), shape=self.parts.shape_of(v), kind=str(v.dtype))
            for name, v in self.parts.variables.items()
        )

    @property
    def trained(self) -> Set[str]:
        """As of ``Trainee``."""
        return {name for name, v in self.parts.variables.items() if v.trainable}

    def count(self) -> tuple[int, int]:
        """As of ``Trainee``."""
        model = self.parts.model
        return int(model.count_params()), sum(int(np.prod(v.shape)) for v in model.trainable_variables)

    def save(self, folder: Path) -> Path:
        """As of ``Trainee``: a ``.keras`` file, or its weights alone where its classes cannot be written."""
        path, model = folder / "model.keras", self.in_floats() if self.in_floats else self.parts.model
        try:
            with replacing(path) as aside, without_tensorflow():
                model.save(aside)
        except (NotImplementedError, TypeError, ValueError):
            path = folder / "model.weights.h5"
            with replacing(path) as aside:
                model.save_weights(aside)
        return path


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Keras asks of all that it writes whether it is of TensorFlow, and imports that to know, for seconds and 400 MB: where
    nobody has imported it nothing can be of it, and the same is written without."""
    lazy = keras.src.utils.module_utils.tensorflow
    before = lazy._available
    if "tensorflow" not in sys.modules:
        lazy._available = False
    try:
        yield
    finally:
        lazy._available = before


def keras_trainee(job: Train, data: Prepared, events: Events, group: Group = ALONE) -> KerasTrainee:
    """What the job trains.

    Args:
        group: of the workers that train it together.

    Raises:
        UsageError: it cannot be built, or does not go with the data.
    """
    with group.scope():
        model = built(job, data, events)
        length = length_of(model, job, data)
        divided = _divided(job, model, group)
        parts = _parts(job, data, model, divided)
    stepper: Any = stepper_of(parts, group, job.seed, divided)
    if group is not ALONE:
        check_shards(group, job, stepper.weights)
    return KerasTrainee(
        parts=parts,
        stepper=stepper,
        backend=keras.config.backend(),
        machine=machine.described(job.device, job.threads, parts.compiled),
        length=length,
        in_floats=partial(in_floats, model, job, data) if job.quantize else None,
    )


def _divided(job: Train, model: keras.Model, group: Group) -> Any:
    """The model with its weights divided over the workers, as ``Train.zero`` asks; None where each has all of them."""
    if not job.zero or group.size == 1:
        return None
    if keras.config.backend() != "torch":
        raise UsageError(
            f"Keras on {keras.config.backend()} does not divide optimizer states, gradients and weights over workers",
            "leave out --zero, or --backend torch",
        )
    from zenplan.worker.training.steps_sharded_torch import divided

    return divided(job, model)


def _parts(job: Train, data: Prepared, model: keras.Model, divided: Any) -> Parts:
    scaled = job.precision == "fp16"
    optimizer = made(job.optimizer, model, scaled, divided and divided.trained)
    return Parts(
        model=model,
        optimizer=optimizer,
        rate=rate_variable(optimizer),
        loss=loss_of(job.loss, data.card, model),
        clip_norm=job.optimizer.clip_norm,
        scaled=scaled,
        compiled=is_compiled(job, model),
        **({"shape_of": divided.shape_of} if divided else {}),
    )


def is_compiled(job: Train, model: keras.Model) -> bool:
    """As the job says, or as is usual: eager on PyTorch, else by XLA where the model's layers let themselves be."""
    if job.compiled is not None:
        return job.compiled
    backend = keras.config.backend()
    return backend == "jax" or (backend == "tensorflow" and bool(keras.src.trainers.trainer.model_supports_jit(model)))


def stepper_of(parts: Parts, group: Group = ALONE, seed: int = 0, divided: Any = None) -> Stepper:
    """The backend's way to train these.

    Args:
        group: of the workers that train them together; seed: of what each of those draws.
        divided: the model with its weights divided over them; None where each has all.
    """
    backend = keras.config.backend()
    if backend == "jax":
        from zenplan.worker.training.steps_jax import JaxStepper

        return JaxStepper(parts, group)
    if divided is not None:
        from zenplan.worker.training.steps_sharded_torch import ShardedStepper

        return ShardedStepper(parts, group, seed, divided)
    if backend == "torch":
        from zenplan.worker.training.steps_torch import TorchStepper

        return TorchStepper(parts, group, seed)
    if group is not ALONE:
        from zenplan.worker.training.group_tensorflow import MirroredGroup
        from zenplan.worker.training.steps_mirrored import MirroredStepper

        if isinstance(group, MirroredGroup):
            return MirroredStepper(parts, group)
    from zenplan.worker.training.steps_tensorflow import TensorFlowStepper

    return TensorFlowStepper(parts)
