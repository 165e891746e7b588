"""The training step on TensorFlow: one function, traced once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zenplan.worker.training.parts import Parts, clipped
from zenplan.worker.training.prepared import Array
from zenplan.worker.training.stepper import Done, plain, restored


class TensorFlowStepper:
    """State is in the model's own variables."""

    # On processors a function returns when it is done.
    ahead = False

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._trained = list(parts.model.trainable_variables)
        self._tensors = [v.value for v in self._trained]
        self._whole = self._traced(self._one)
        # One program for all micro-batches: the first one's gradients are added to zeros.
        self._begin = self._traced(self._zeros)
        self._add = self._traced(self._added)
        self._apply = self._traced(self._applied)
        self._evaluate = self._traced(self._sums)

    def step(self, micro_batches: Sequence[tuple[Any, Any]], rate: float) -> Done:
        """As of ``Stepper``."""
        lr = tf.constant(rate, tf.float32)
        if len(micro_batches) == 1:
            loss, norm = self._whole(*self._placed(micro_batches[0]), lr)
            return Done(loss, norm)
        sums = self._begin()
        for each in micro_batches:
            sums = self._add(*self._placed(each), sums)
        loss, norm = self._apply(sums, lr, tf.constant(len(micro_batches), tf.float32))
        return Done(loss, norm)

    def waiting(self, done: Done) -> bool:
        """As of ``Stepper``."""
        return False

    def wait(self, done: Done) -> None:
        """As of ``Stepper``."""
        # On a GPU the function returns before it is done; reading its loss waits for it.
        done.loss = done.loss.numpy()

    def numbers(self, values: Sequence[Any]) -> list[Any]:
        """As of ``Stepper``."""
        return [np.asarray(value) for value in values]

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """As of ``Stepper``."""
        return self._evaluate(*self._placed((x, y, weights)))

    def read(self) -> Iterator[tuple[str, Array]]:
        """As of ``Stepper``."""
        for name, variable in self.parts.variables.items():
            yield name, plain(variable.value.numpy())

    def write(self, arrays: Mapping[str, Array]) -> None:
        """As of ``Stepper``."""
        for name, variable in self.parts.variables.items():
            variable.value.assign(restored(arrays[name], variable.value.dtype.as_numpy_dtype))

    def settle(self) -> None:
        """As of ``Stepper``."""

    def copies(self) -> Iterator[tuple[str, Sequence[Array]]]:
        """As of ``Stepper``."""
        yield from ()

    def own(self) -> Sequence[str]:
        """As of ``Stepper``."""
        return ()

    # --- what is traced

    def _traced(self, function: Callable[..., Any]) -> Any:
        return tf.function(function, jit_compile=self.parts.compiled, autograph=False)

    def _placed(self, batch: tuple[Any, ...]) -> Any:
        return keras.tree.map_structure(tf.constant, batch)

    def _of_all(self, gradients: list[Any], loss: Any) -> tuple[list[Any], Any]:
        """Means over the devices."""
        return gradients, loss

    def _zeros(self) -> Any:
        return [tf.zeros_like(t) for t in self._tensors], tf.zeros(())

    def _gradients(self, x: Any, y: Any) -> Any:
        parts = self.parts
        with tf.GradientTape() as tape:
            loss = parts.loss.mean(y, parts.call(x, training=True))
            for each in parts.model.losses:
                loss += tf.cast(each, loss.dtype)
            scaled = parts.optimizer.scale_loss(loss) if parts.scaled else loss
        found = tape.gradient(scaled, self._tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        # Of an embedding it is a list of rows, which each operation after would treat in a way of its own.
        return [tf.convert_to_tensor(each) for each in found], loss

    def _added(self, x: Any, y: Any, sums: Any) -> Any:
        gradients, loss = self._gradients(x, y)
        return [a + b for a, b in zip(sums[0], gradients, strict=True)], sums[1] + loss

    def _applied(self, sums: Any, rate: Any, count: Any) -> Any:
        gradients, loss = sums
        return self._changed([g / tf.cast(count, g.dtype) for g in gradients], loss / count, rate)

    def _one(self, x: Any, y: Any, rate: Any) -> Any:
        gradients, loss = self._gradients(x, y)
        return self._changed(gradients, loss, rate)

    def _changed(self, gradients: Any, loss: Any, rate: Any) -> Any:
        parts = self.parts
        gradients, loss = self._of_all(gradients, loss)
        parts.rate.value.assign(rate)
        scale = parts.optimizer.dynamic_scale.value if parts.scaled else 1.0
        gradients, norm = clipped(parts, gradients, tf.linalg.global_norm, scale)
        parts.optimizer.apply(gradients, self._trained)
        return loss, norm

    def _sums(self, x: Any, y: Any, weights: Any) -> Any:
        return self.parts.loss.sums(y, self.parts.call(x, training=False), weights)
