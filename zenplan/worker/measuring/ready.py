"""A model made ready to be stepped: built in its precision, compiled with an optimizer and a loss, with data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from zenplan.errors import UsageError
from zenplan.worker.counting.attempt import Attempt
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.counting.load import configured_model, imported_model, with_inputs
from zenplan.worker.measuring.data import made_inputs, made_targets
from zenplan.worker.protocol import Events, File, Model, Target

# Of Keras, where a layer says nothing else: what is computed in, and fp32 weights.
POLICIES = {"fp32": "float32", "tf32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}
_LEARNING_RATE = 1e-4


@dataclass(slots=True, kw_only=True)
class Ready:
    """A model and what it is stepped with.

    Attributes:
        x, y: arrays of the backend, made once; symbolic tensors where the model has no values.
        warm: wall-clock and processor seconds of the last step that warmed it up, where it counts as one that is timed.
    """

    key: str
    model: keras.Model
    x: Any
    y: Any
    warm: tuple[float, float] | None = None

    def step(self) -> None:
        """One training step."""
        self.model.train_on_batch(self.x, self.y)


def set_policy(precision: str) -> None:
    """Let layers be made in that precision. Raises UsageError: Keras does not train in it."""
    if precision not in POLICIES:
        raise UsageError(f"Keras does not train in {precision}", f"known: {', '.join(POLICIES)}")
    keras.config.set_dtype_policy(POLICIES[precision])


def built_model(wanted: Model, precision: str, events: Events) -> keras.Model:
    """The model of a point.

    A builder that sets a policy of its own keeps it, and so does a file in which one is set.

    Args:
        precision: one of ``POLICIES``.

    Raises:
        UsageError: what ``load`` says, or the same model was stepped before.
    """
    # For each anew: the last builder may have set another.
    set_policy(precision)
    if isinstance(wanted, Target):
        model = imported_model(wanted.target, events, wanted.arguments)
        if model.train_function is not None:
            raise UsageError(
                f"{wanted.target} is one model for several points", "name a function that builds a new one"
            )
    elif isinstance(wanted, File):
        events.begin("read")
        model = configured_model(in_policy(read_keras_config(wanted.path), POLICIES[precision]), events)
    else:
        from zenplan.worker.proxies.proxy import proxy_model

        events.begin("build")
        model = proxy_model(wanted.name, wanted.blocks)
    shapes = wanted.input_shapes
    if shapes and not getattr(model, "inputs", None):
        with_inputs(model, shapes)
    return model


def compile_model(model: keras.Model, outputs: Any, compiled: bool | None, optimizer: Any) -> None:
    """Give it the optimizer and the usual losses, unless its builder compiled it; and the compiler as asked.

    Args:
        outputs: of the model, symbolic.
        compiled: by XLA or torch.compile; None for what its builder or Keras chooses.
        optimizer: for a model that has none; None for AdamW.
    """
    if not model.compiled:
        model.compile(
            optimizer=optimizer or usual_optimizer(),
            loss=usual_losses(outputs),
            jit_compile="auto" if compiled is None else compiled,
        )
    elif compiled is not None:
        model.run_eagerly = model.run_eagerly and not compiled
        model.jit_compile = compiled


def usual_optimizer() -> keras.optimizers.Optimizer:
    """AdamW, the optimizer that plans are made with."""
    return keras.optimizers.AdamW(_LEARNING_RATE)


def usual_losses(outputs: Any) -> Any:
    """For each output its loss, nested as the model returns them: of classes, or of numbers.

    Args:
        outputs: symbolic, of closed shapes with the batch first.
    """
    return keras.tree.map_structure(_usual_loss, outputs)


def _usual_loss(output: Any) -> keras.losses.Loss:
    if len(output.shape) > 1 and output.shape[-1] > 1:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=not is_softmax(output))
    return keras.losses.MeanSquaredError()


def is_softmax(output: Any) -> bool:
    """Whether the layer that it comes from, as far as Keras knows it, ends in a softmax."""
    history = getattr(output, "_keras_history", None)
    if history is None:
        return False
    layer = history.operation
    inside = getattr(getattr(layer, "_functional", layer), "outputs", None)
    if inside:
        return is_softmax(inside[history.tensor_index])
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    return isinstance(layer, keras.layers.Softmax) or activation == "softmax"


def outputs_of(model: keras.Model, x: Any) -> Any:
    """What the model returns for symbolic inputs: symbolic tensors of closed shapes."""
    with keras.StatelessScope():
        return model(x)


def build_training(model: keras.Model, x: Any, y: Any, own_loss: bool) -> None:
    """Build the optimizer's, the loss's and the metrics' state, as the first step would.

    Raises:
        UsageError: a loss or a metric of the builder's own does not take made-up targets.
    """
    if model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    if not own_loss:
        model._symbolic_build(data_batch=(x, y, None))
        return
    attempt = Attempt()
    with attempt:
        model._symbolic_build(data_batch=(x, y, None))
    if attempt.reason:
        raise UsageError(
            f"the loss or a metric of model {model.name} fails on made-up targets: {attempt.reason}",
            "leave the model uncompiled: a usual loss is taken then",
        )


def with_data(key: str, model: keras.Model, symbolic: Any, compiled: bool | None) -> Ready:
    """A built model, compiled and with arrays to step it on.

    Args:
        symbolic: of ``symbolic_input``.
        compiled: as of ``compile_model``.
    """
    outputs, own = outputs_of(model, symbolic), bool(model.compiled)
    compile_model(model, outputs, compiled, None)
    x, y = made_inputs(model, symbolic), made_targets(model, outputs)
    build_training(model, x, y, own)
    return Ready(key=key, model=model, x=x, y=y)


def in_policy(config: dict[str, Any], policy: str) -> dict[str, Any]:
    """The configuration with that policy in each layer, if the file has Keras's usual one in all of them."""
    if any(each["config"]["name"] != "float32" for each in _policies(config)):
        return config
    for each in _policies(config):
        each["config"]["name"] = policy
    return config


def _policies(config: Any) -> Iterator[dict[str, Any]]:
    """The policies that the layers of a file are saved with."""
    if isinstance(config, list):
        for each in config:
            yield from _policies(each)
    elif isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            yield config
        else:
            for each in config.values():
                yield from _policies(each)
