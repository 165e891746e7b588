"""Rules of layers that compute no product: norms, activations, pooling, merging, reshaping, dropout, preprocessing.

Each is elementwise work over its tensors. Passes are those of an eager framework's kernels: a batch norm reads its input
twice and writes once, an activation reads and writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from zenplan.domain.model.operators import ElementwiseKind, Function, Operator
from zenplan.worker.counting.call import Call
from zenplan.worker.counting.registry import keras_name, rule

# Their gradient is found from what they return; that of others from what they were given.
FROM_OUTPUT = (
    "relu",
    "relu6",
    "leaky_relu",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "softmax",
    "log_softmax",
    "elu",
    "selu",
    "exp",
    "exponential",
    "softplus",
    "hard_tanh",
    "sqrt",
    "rsqrt",
    "reciprocal",
)


# What Keras calls them.
_FUNCTIONS = {
    "relu": Function.RELU,
    "gelu": Function.GELU,
    "silu": Function.SWISH,
    "swish": Function.SWISH,
    "hard_silu": Function.HARD_SWISH,
    "hard_swish": Function.HARD_SWISH,
    "sigmoid": Function.SIGMOID,
    "hard_sigmoid": Function.HARD_SIGMOID,
    "softmax": Function.SOFTMAX,
}
_MERGES = {"Add": ElementwiseKind.RESIDUAL, "Concatenate": ElementwiseKind.CONCATENATION}


def from_output(name: str) -> bool:
    """Whether the gradient of that function, or of the class of that name, is found from what it returns."""
    return name.lower().replace("_", "") in {n.replace("_", "") for n in FROM_OUTPUT}


def weights(layer: Any) -> float:
    """Trained weights of a layer."""
    return float(sum(math.prod(w.shape) for w in layer.trainable_weights))


def activation(function: Any, call: Call) -> Iterable[Operator]:
    """The activation that ends another layer: its input exists nowhere else."""
    name = getattr(function, "__name__", type(function).__name__).lower()
    if function is None or name == "linear":
        return ()
    result = call.outputs[0]
    inside = call.of_sample(result) if call.backward and not from_output(name) else 0.0
    saved = call.keep(result, from_output(name)) + inside
    kind, known = ElementwiseKind.ACTIVATION, _FUNCTIONS.get(name)
    return call.elementwise(kind, name, result, function=known, passes=2, saved=saved)


@rule("Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax")
def activation_layer(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads and writes; keeps what its gradient is found from."""
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", keras_name(layer)).lower()
    if name == "linear":
        return ()
    saved = call.keep(call.outputs[0] if from_output(name) else call.inputs[0])
    return call.elementwise(
        ElementwiseKind.ACTIVATION,
        name,
        call.outputs[0],
        function=_FUNCTIONS.get(name),
        passes=2,
        saved=saved,
        weights=weights(layer),
    )


@rule("BatchNormalization")
def batch_norm(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads for the statistics of the batch, reads and writes; a frozen one has its statistics."""
    source = call.inputs[0]
    passes = 3 if layer.trainable else 2
    return call.elementwise(
        ElementwiseKind.BATCH_NORM,
        "norm",
        source,
        passes=passes,
        saved=call.keep(source, layer.trainable),
        weights=weights(layer),
    )


@rule("LayerNormalization", "RMSNormalization", "GroupNormalization", "UnitNormalization")
def norm(layer: Any, call: Call) -> Iterable[Operator]:
    """One kernel that reads and writes where the statistics are those of a row; maps of a group are read twice."""
    source = call.inputs[0]
    passes = 3 if keras_name(layer) == "GroupNormalization" else 2
    return call.elementwise(
        ElementwiseKind.NORM, "norm", source, passes=passes, saved=call.keep(source), weights=weights(layer)
    )


@rule(
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
)
def dropout(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads and writes; keeps a mask of one byte an element, half of a 16-bit element.

    Noise that is multiplied with is kept itself; what is added, and what drops whole maps, keeps next to nothing.
    """
    if not (getattr(layer, "rate", 0) or getattr(layer, "stddev", 0)):
        return ()
    source = call.inputs[0]
    kept = {"Dropout": 0.5, "AlphaDropout": 0.5, "GaussianDropout": 1.0}.get(keras_name(layer), 0.0)
    saved = kept * call.of_sample(source) if call.backward else 0.0
    return call.elementwise(ElementwiseKind.DROPOUT, "dropout", source, passes=2, saved=saved)


@rule("Add", "Subtract", "Average", "Concatenate", "Multiply", "Maximum", "Minimum")
def merge(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads every input and writes; a product, and the greater of two, keep them."""
    name = keras_name(layer).lower()
    saved = sum(call.keep(t) for t in call.inputs) if name in ("multiply", "maximum", "minimum") else 0.0
    kind = _MERGES.get(keras_name(layer), ElementwiseKind.OTHER)
    return call.elementwise(kind, name, *call.inputs, call.outputs[0], saved=saved)


@rule(
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
)
def max_pooling(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads the input, which it keeps to find the greatest again, and writes the output."""
    return call.elementwise(
        ElementwiseKind.MAX_POOL, "pooling", call.inputs[0], call.outputs[0], saved=call.keep(call.inputs[0])
    )


@rule(
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
)
def mean_pooling(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads the input and writes the output; keeps nothing."""
    return _moved(layer, call, ElementwiseKind.MEAN_POOL)


@rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads the input and writes the output; keeps nothing."""
    return _moved(layer, call, ElementwiseKind.UPSAMPLING)


@rule(
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Permute",
    "RepeatVector",
)
def copied(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads the input and writes the output; keeps nothing."""
    return _moved(layer, call, ElementwiseKind.OTHER)


def _moved(layer: Any, call: Call, kind: ElementwiseKind) -> Iterable[Operator]:
    return call.elementwise(kind, keras_name(layer).lower(), *call.inputs, *call.outputs)


@rule("Flatten", "Reshape", "Identity", "InputLayer", "ActivityRegularization")
def view(layer: Any, call: Call) -> Iterable[Operator]:
    """Nothing moves."""
    return ()


@rule("Masking")
def masking(layer: Any, call: Call) -> Iterable[Operator]:
    """Reads to find the mask, reads and writes."""
    return call.elementwise(ElementwiseKind.OTHER, "mask", call.inputs[0], passes=3)


@rule("TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "HashedCrossing", "Discretization")
def on_host(layer: Any, call: Call) -> Iterable[Operator]:
    """Work of the processor, not of the accelerator."""
    return ()


@rule("DataLayer", "Normalization", "Rescaling", "CategoryEncoding", "BaseImagePreprocessingLayer")
def preprocessing(layer: Any, call: Call) -> Iterator[Operator]:
    """Reads the input and writes the output; an augmentation draws on it twice, with what it draws at random."""
    tensors = (*call.inputs, *call.outputs)
    augments = any(cls.__name__ == "BaseImagePreprocessingLayer" for cls in type(layer).__mro__)
    yield from call.elementwise(ElementwiseKind.OTHER, "preprocessing", *tensors, passes=4 if augments else 2)
