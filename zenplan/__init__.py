"""zenplan: what a training run will take, in time, GPU-hours, dollars and memory, before you pay for it.

From Python: ``count_flop`` counts a Keras model, ``register_layer`` tells what a layer of your own computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zenplan.domain.model.count import ModelCount

__version__ = "0.1.0"


def count_flop(model: Any, batch: int | None = None, input_shapes: Sequence[Sequence[int]] | None = None) -> ModelCount:
    """What a Keras model computes, layer by layer; ``.forward_flop`` and ``.training_flop`` are the sums of a sample.

    Args:
        model: a built ``keras.Model``, on any backend. It is not run, and is left as it is.
        batch: samples that it is called with; None for 1, as few models depend on it.
        input_shapes: of one sample, one for each input, where the model's own have an open size.

    Raises:
        UsageError: the model was never built, or the shape of an input is open.
    """
    from zenplan.worker.counting.count import count_model

    return count_model(model, batch, input_shapes)


def register_layer(layer: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator of the function that counts a layer of your own, where its operations cannot be traced.

    The function gets the layer and the shapes of its inputs, without the batch; it answers with operators of
    ``zenplan.domain.model.operators`` for one sample, a multiply-add being 2 FLOP:

        @zenplan.register_layer(MyLayer)
        def operators(layer, input_shapes):
            (length, width), *_ = input_shapes
            yield MatMul(name="mix", rows=length, inner=width, columns=layer.units, split=Split.NONE)

    Args:
        layer: the class; its subclasses are counted alike.
    """
    from zenplan.worker.counting.registry import register_layer as register

    return register(layer)
