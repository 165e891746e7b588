"""Following a call of a Keras model: what Keras asks, and what it does, while a tracker answers for its layers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from zenplan.worker.counting.tracker import Tracker


@contextmanager
def following(tracker: Tracker) -> Iterator[None]:
    """Have Keras ask the tracker for what a symbolic call returns; all is as it was afterwards, whatever happens."""
    layer_class, operation_class = keras.Layer, keras.Operation
    module: Any = sys.modules[layer_class.__module__]
    before = layer_class.symbolic_call, operation_class.symbolic_call, layer_class.add_loss, module.Node
    layer_class.symbolic_call = lambda self, *args, **kwargs: tracker.layer(self, args, kwargs)
    operation_class.symbolic_call = lambda self, *args, **kwargs: tracker.operation(self, args, kwargs)
    layer_class.add_loss = lambda self, loss: None  # it takes no symbolic ones
    # A node would tie our tensors to the model's graph for good.
    module.Node = lambda **_: None
    try:
        yield
    finally:
        layer_class.symbolic_call, operation_class.symbolic_call, layer_class.add_loss, module.Node = before
