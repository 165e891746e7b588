"""The compiled program of a training step, by its compiler's own count. Only jax tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zenplan.worker.counting.attempt import Attempt
from zenplan.worker.counting.load import weightless
from zenplan.worker.measuring.data import made_targets, symbolic_input
from zenplan.worker.measuring.ready import build_training, built_model, compile_model, outputs_of, usual_optimizer
from zenplan.worker.protocol import Events, Measure, WantedPoint


def has_program(model: keras.Model) -> bool:
    """Whether its step is one program, of a compiler that tells what it moves."""
    return keras.config.backend() == "jax" and model.jit_compile and not model.run_eagerly


def program_bytes(model: keras.Model, x: Any, y: Any) -> float | None:
    """Bytes that one training step reads and writes, as XLA counts them; None where it does not.

    It is compiled on shapes alone: nothing runs, and nothing is allocated. One that has been stepped on arrays of
    these shapes is not compiled again, since jax keeps what it lowered.

    Args:
        model: with its optimizer, loss and metrics built; its variables need no values.
        x, y: arrays or symbolic tensors, as for ``train_on_batch``.
    """
    import jax

    def shapes(nested: Any) -> Any:
        return keras.tree.map_structure(
            lambda t: jax.ShapeDtypeStruct(tuple(t.shape), keras.backend.standardize_dtype(t.dtype)), nested
        )

    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    # As Keras's own step asks for it: the state, then the data without weights of samples.
    state = tuple(shapes(list(group)) for group in groups)
    data = (shapes(x), None if y is None else shapes(y), None)
    step = jax.jit(model.train_step, donate_argnums=0)
    found = step.lower(state, data).compile().cost_analysis() or {}
    return float(found.get("bytes accessed", 0.0)) or None


def whole_program(
    point: WantedPoint, job: Measure, events: Events, look: Callable[[keras.Model], None]
) -> float | None:
    """``program_bytes`` of a point's model, which is built without values, so that it takes no memory.

    Where a builder does not let itself be called so, as one that makes an optimizer, its weights have values.

    Args:
        look: called with the model once its program is known.
    """
    # Its few numbers have values from the start, which nothing within the scope may have.
    optimizer = usual_optimizer()
    attempt = Attempt()
    try:
        with weightless(True), attempt:
            return _whole(point, job, events, optimizer, look)
    finally:
        # Keras would give these weights their values as soon as another model is built.
        keras.utils.clear_session(free_memory=False)
    return _whole(point, job, events, usual_optimizer(), look)


def _whole(
    point: WantedPoint,
    job: Measure,
    events: Events,
    optimizer: keras.optimizers.Optimizer,
    look: Callable[[keras.Model], None],
) -> float | None:
    import jax

    model = built_model(point.model, job.precision, events)
    x = symbolic_input(model, point.batch, point.model.input_shapes)
    outputs, own = outputs_of(model, x), bool(model.compiled)
    compile_model(model, outputs, job.compiled, optimizer)
    y = jax.eval_shape(lambda: made_targets(model, outputs))
    build_training(model, x, y, own)
    events.begin("compile")
    found = program_bytes(model, x, y)
    look(model)
    return found
