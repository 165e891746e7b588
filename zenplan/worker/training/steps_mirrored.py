"""The training step on TensorFlow over several devices, each of which has a copy of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from zenplan.worker.training.group_tensorflow import MirroredGroup, copies
from zenplan.worker.training.parts import Parts
from zenplan.worker.training.prepared import Array
from zenplan.worker.training.stepper import Done, plain
from zenplan.worker.training.steps_tensorflow import TensorFlowStepper

# Between the seeds of two devices.
_APART: Final = 1_000_003


class MirroredStepper(TensorFlowStepper):
    """State is in the model's own variables, of which each device has a copy.

    Each takes its rows of a micro-batch, and gradients are averaged before weights are changed. Dropout draws other
    numbers on each device. What layers keep of batches, such as means, is of each device's rows; its mean is kept.
    """

    def __init__(self, parts: Parts, group: MirroredGroup) -> None:
        self.group = group
        self._own: set[str] = set()
        self._alike = True
        # Keras's optimizer would sum over the devices what is a mean over them by then.
        optimizer = getattr(parts.optimizer, "inner_optimizer", parts.optimizer)
        optimizer._all_reduce_sum_gradients = list
        # The forward and the backward pass alone are compiled: XLA has no sum over devices on processors.
        inner = super()._gradients
        self._inner: Any = tf.function(inner, jit_compile=True, autograph=False) if parts.compiled else inner
        super().__init__(parts)
        self._draw_apart()

    def step(self, micro_batches: Sequence[tuple[Any, Any]], rate: float) -> Done:
        """As of ``Stepper``."""
        self._alike = False
        done = super().step(micro_batches, rate)
        self.group.pace.own_part_done()
        return Done(self._first(done.loss), self._first(done.norm))

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """As of ``Stepper``."""
        self._make_alike()
        return self.group.strategy.reduce(tf.distribute.ReduceOp.SUM, super().evaluate(x, y, weights), axis=None)

    def read(self) -> Iterator[tuple[str, Array]]:
        """As of ``Stepper``."""
        self._make_alike()
        yield from super().read()

    def write(self, arrays: Mapping[str, Array]) -> None:
        """As of ``Stepper``."""
        super().write(arrays)
        self._alike = True
        self._draw_apart()

    def copies(self) -> Iterator[tuple[str, Sequence[Array]]]:
        """As of ``Stepper``."""
        self._make_alike()
        seeds = {id(v) for v in self._seeds}
        for variable in self.parts.variables.values():
            if id(variable) not in seeds:
                yield str(variable.path), [plain(each.numpy()) for each in copies(variable.value)]

    def own(self) -> Sequence[str]:
        """As of ``Stepper``."""
        return tuple(sorted(self._own))

    @property
    def weights(self) -> list[Any]:
        """Variables of the model."""
        return [v.value for v in self.parts.model.variables]

    # --- several devices

    @property
    def _seeds(self) -> list[Any]:
        return [v for v in self.parts.model.non_trainable_variables if v.path.endswith("/seed_generator_state")]

    def _draw_apart(self) -> None:
        """Seeds of the devices are other ones: else what dropout leaves out of their rows would be the same."""
        for variable in self._seeds:
            first, *others = copies(variable.value)
            for number, each in enumerate(others, 1):
                each.assign(first.numpy() + np.array([number * _APART, 0]))

    def _make_alike(self) -> None:
        """What layers keep of the batches, and each device has its own of, becomes the mean of all."""
        if self._alike:
            return
        for variable in self.parts.statistics:
            first, *others = [each.numpy() for each in copies(variable.value)]
            if any(not np.array_equal(first, each) for each in others):
                self._own.add(str(variable.path))
                variable.value.assign(np.mean([first, *others], axis=0, dtype=np.float64).astype(first.dtype))
        self._alike = True

    def _first(self, value: Any) -> Any:
        return None if value is None else self.group.strategy.experimental_local_results(value)[0]

    def _traced(self, function: Callable[..., Any]) -> Any:
        run = self.group.strategy.run
        return tf.function(lambda *given: run(function, args=given), autograph=False)

    def _placed(self, batch: tuple[Any, ...]) -> Any:
        return self.group.divided(batch)

    def _of_all(self, gradients: list[Any], loss: Any) -> tuple[list[Any], Any]:
        mean = tf.distribute.ReduceOp.MEAN
        *gradients, loss = tf.distribute.get_replica_context().all_reduce(mean, [*gradients, loss])
        return gradients, loss

    def _gradients(self, x: Any, y: Any) -> Any:
        return self._inner(x, y)
