"""The training step on JAX: one compiled program, which gives its state's memory to the state that comes after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from zenplan.worker.training.group import ALONE, Group
from zenplan.worker.training.group_jax import JaxGroup, copies, whole
from zenplan.worker.training.parts import Parts, clipped
from zenplan.worker.training.prepared import Array
from zenplan.worker.training.stepper import Done, plain, restored


class JaxStepper:
    """State is held here: the model's own variables are emptied by the first step, and filled again by ``settle``.

    Over several devices it is laid out as the variables are, and stays so; a batch is divided over the replicas.
    """

    # A step is given to the device while the one before runs.
    ahead = True

    def __init__(self, parts: Parts, group: Group = ALONE) -> None:
        self.parts = parts
        self.group = group
        self._over = group if isinstance(group, JaxGroup) else None
        model, optimizer = parts.model, parts.optimizer
        self.trained = self._begun(model.trainable_variables)
        self.others = self._begun(model.non_trainable_variables)
        self.moments = self._begun(optimizer.variables)
        self._rate = next(i for i, v in enumerate(optimizer.variables) if v is parts.rate)
        self._scale = next(
            (i for i, v in enumerate(optimizer.variables) if v is getattr(optimizer, "dynamic_scale", 0)), 0
        )
        jit: Any = jax.jit if parts.compiled else lambda function, **_: function
        self._whole = jit(self._one, donate_argnums=(0, 1, 2))
        # One program for all micro-batches: the first one's gradients are added to zeros.
        self._zeros = jit(_zeros)
        self._add = jit(self._added, donate_argnums=(1, 5))
        self._apply = jit(self._applied, donate_argnums=(0, 1))
        self._evaluate = jit(self._sums)

    def step(self, micro_batches: Sequence[tuple[Any, Any]], rate: float) -> Done:
        """As of ``Stepper``."""
        lr = np.float32(rate)
        micro_batches = [self._placed(each) for each in micro_batches]
        self.group.pace.own_part_done()
        if len(micro_batches) == 1:
            (x, y) = micro_batches[0]
            self.trained, self.others, self.moments, loss, norm = self._whole(
                self.trained, self.others, self.moments, x, y, lr
            )
            return Done(loss, norm)
        sums = self._zeros(self.trained)
        for x, y in micro_batches:
            sums, self.others = self._add(self.trained, self.others, self.moments, x, y, sums)
        self.trained, self.moments, loss, norm = self._apply(
            self.trained, self.moments, sums, lr, np.float32(len(micro_batches))
        )
        return Done(loss, norm)

    def waiting(self, done: Done) -> bool:
        """As of ``Stepper``."""
        return not done.loss.is_ready()

    def wait(self, done: Done) -> None:
        """As of ``Stepper``."""
        done.loss.block_until_ready()
        self.group.pace.released()

    def numbers(self, values: Sequence[Any]) -> list[Any]:
        """As of ``Stepper``."""
        return list(jax.device_get(list(values)))

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """As of ``Stepper``."""
        x, y, weights = self._placed((x, y, weights))
        return self._evaluate(self.trained, self.others, x, y, weights)

    def read(self) -> Iterator[tuple[str, Array]]:
        """As of ``Stepper``."""
        values = self._values()
        for name, variable in self.parts.variables.items():
            value = values[id(variable)]
            yield name, plain(np.asarray(value) if self._over is None else whole(value))

    def write(self, arrays: Mapping[str, Array]) -> None:
        """As of ``Stepper``."""
        values = {}
        for name, variable in self.parts.variables.items():
            array = restored(arrays[name], jnp.dtype(variable.dtype))
            values[id(variable)] = jnp.array(array, copy=True) if self._over is None else self._over.laid_out(array)
        model, optimizer = self.parts.model, self.parts.optimizer
        self.trained = [values[id(v)] for v in model.trainable_variables]
        self.others = [values[id(v)] for v in model.non_trainable_variables]
        self.moments = [values[id(v)] for v in optimizer.variables]

    def settle(self) -> None:
        """As of ``Stepper``."""
        values = self._values()
        for variable in self.parts.variables.values():
            value = values[id(variable)]
            variable._value = value if self._over is None else jnp.array(whole(value))

    def copies(self) -> Iterator[tuple[str, Sequence[Array]]]:
        """As of ``Stepper``."""
        values = self._values()
        for variable in self.parts.variables.values():
            yield from ((str(variable.path), each) for each in copies(values[id(variable)]))

    def own(self) -> Sequence[str]:
        """As of ``Stepper``: one program has the whole batch."""
        return ()

    def _values(self) -> dict[int, Any]:
        model, optimizer = self.parts.model, self.parts.optimizer
        variables = [*model.trainable_variables, *model.non_trainable_variables, *optimizer.variables]
        return {id(v): a for v, a in zip(variables, [*self.trained, *self.others, *self.moments], strict=True)}

    # --- several devices

    def _begun(self, variables: Sequence[Any]) -> list[Any]:
        """Values that the state begins with."""
        values = [v.value for v in variables]
        return values if self._over is None else [self._over.laid_out(np.asarray(each)) for each in values]

    def _placed(self, batch: tuple[Any, ...]) -> Any:
        return batch if self._over is None else jax.tree.map(self._over.batch, batch)

    def _kept(self, values: list[Any]) -> list[Any]:
        """State that stays laid out as it is."""
        over = self._over
        if over is None:
            return values
        return [jax.lax.with_sharding_constraint(each, over.layout(each.shape)) for each in values]

    @property
    def weights(self) -> list[Any]:
        """Arrays of the model, wherever they are laid out."""
        return [*self.trained, *self.others]

    # --- what is compiled

    def _gradients(self, trained: Any, others: Any, moments: Any, x: Any, y: Any) -> tuple[Any, Any]:
        """Gradients and loss of a micro-batch, and the state that the model itself has changed."""
        model, loss_kind = self.parts.model, self.parts.loss
        # In fp16 the loss is multiplied by what the optimizer has found to keep gradients above zero.
        scale = moments[self._scale] if self.parts.scaled else 1.0

        def loss_of(weights: Any) -> tuple[Any, Any]:
            predicted, after, added = model.stateless_call(
                weights, others, x, return_losses=True, **self.parts.mode(training=True)
            )
            loss = loss_kind.mean(y, predicted)
            for each in added:
                loss = loss + keras.ops.cast(each, loss.dtype)
            return loss * scale, (loss, after)

        (_, (loss, after)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained)
        return (gradients, loss), after

    def _added(self, trained: Any, others: Any, moments: Any, x: Any, y: Any, sums: Any) -> tuple[Any, Any]:
        found, after = self._gradients(trained, others, moments, x, y)
        gradients, loss = jax.tree.map(jnp.add, sums, found)
        return (self._kept(gradients), loss), self._kept(after)

    def _applied(self, trained: Any, moments: Any, sums: Any, rate: Any, count: Any) -> tuple[Any, Any, Any, Any]:
        gradients, loss = jax.tree.map(lambda each: each / count.astype(each.dtype), sums)
        trained, moments, norm = self._changed(trained, moments, gradients, rate)
        return trained, moments, loss, norm

    def _one(self, trained: Any, others: Any, moments: Any, x: Any, y: Any, rate: Any) -> tuple[Any, ...]:
        (gradients, loss), after = self._gradients(trained, others, moments, x, y)
        trained, moments, norm = self._changed(trained, moments, gradients, rate)
        return trained, self._kept(after), moments, loss, norm

    def _changed(self, trained: Any, moments: Any, gradients: Any, rate: Any) -> tuple[Any, Any, Any]:
        scale = moments[self._scale] if self.parts.scaled else 1.0
        gradients, norm = clipped(self.parts, gradients, _global_norm, scale)
        moments = [rate if i == self._rate else each for i, each in enumerate(moments)]
        trained, moments = self.parts.optimizer.stateless_apply(moments, gradients, trained)
        return self._kept(trained), self._kept(moments), norm

    def _sums(self, trained: Any, others: Any, x: Any, y: Any, weights: Any) -> Any:
        predicted, _ = self.parts.model.stateless_call(trained, others, x, **self.parts.mode(training=False))
        return self.parts.loss.sums(y, predicted, weights)


def _zeros(trained: Any) -> tuple[Any, Any]:
    return jax.tree.map(jnp.zeros_like, trained), jnp.zeros((), jnp.float32)


def _global_norm(gradients: list[Any]) -> Any:
    return jnp.sqrt(sum(jnp.sum(jnp.square(each.astype(jnp.float32))) for each in gradients))
