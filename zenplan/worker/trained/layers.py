"""Which layer of a model an exception is about."""

from __future__ import annotations

import re
import traceback

import keras

# A place in a graph, as TensorFlow and its converters write it: ``model_1/block_1/dense_1/MatMul``.
_PLACE = re.compile(r"[\w.\-]+(?:/[\w.\-]+)+")


def raising(error: BaseException) -> str:
    """The innermost layer whose code raised it; empty where none did."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        own = frame.f_locals.get("self")
        if isinstance(own, keras.Layer) and not isinstance(own, keras.Model):
            found = str(own.name)
    return found


def named(text: str, model: keras.Model) -> str:
    """The layer that the first place in a text lies in which is in one; empty where none is."""
    layers = model._flatten_layers(include_self=False)
    names = {str(each.name) for each in layers if not isinstance(each, keras.Model)}
    for place in _PLACE.findall(text):
        # From outside in: a layer of the model, and not what that is made of.
        for part in place.split("/"):
            # TensorFlow counts scopes of one name.
            plain = re.sub(r"_\d+$", "", part)
            if plain in names or part in names:
                return plain if plain in names else part
    return ""
