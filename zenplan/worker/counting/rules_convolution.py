"""Rules of convolutions, in any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from zenplan.domain.model.operators import Convolution, Operator
from zenplan.worker.counting.call import Call, Tensor
from zenplan.worker.counting.registry import rule
from zenplan.worker.counting.rules_elementwise import activation


def positions(call: Call, tensor: Tensor, rank: int, data_format: str) -> float:
    """Positions of a feature map, for one sample."""
    space = tensor.shape[1 : rank + 1] if data_format == "channels_last" else tensor.shape[-rank:]
    return call.parts(tensor) * math.prod(space)


def _channels(tensor: Tensor, layer: Any) -> int:
    return tensor.shape[-1 if layer.data_format == "channels_last" else -1 - layer.rank]


def _convolution(layer: Any, call: Call, name: str, at: Tensor, **sizes: Any) -> Convolution:
    """A convolution of the layer's input; ``at`` is the map whose positions have a window."""
    source, result = call.inputs[0], call.outputs[0]
    return Convolution(
        name=name,
        positions=positions(call, at, layer.rank, layer.data_format),
        input_elements=call.of_sample(source),
        trainable=call.learns,
        **{
            "window": math.prod(layer.kernel_size),
            "kernel": tuple(layer.kernel_size),
            "output_elements": call.of_sample(result),
            "bias": layer.use_bias,
            "saved": call.keep(source, call.learns),
            "input_gradient": source.learns,
            **sizes,
        },
    )


@rule("Conv1D", "Conv2D", "Conv3D")
def convolution(layer: Any, call: Call) -> Iterator[Operator]:
    """A window of the input at every position of the output."""
    inputs = _channels(call.inputs[0], layer)
    yield _convolution(
        layer, call, "convolution", call.outputs[0], inputs=inputs, outputs=layer.filters, groups=layer.groups
    )
    yield from activation(layer.activation, call)


@rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def transposed(layer: Any, call: Call) -> Iterator[Operator]:
    """A window of the output for every position of the input."""
    inputs = _channels(call.inputs[0], layer)
    yield _convolution(layer, call, "transposed convolution", call.inputs[0], inputs=inputs, outputs=layer.filters)
    yield from activation(layer.activation, call)


@rule("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(layer: Any, call: Call) -> Iterator[Operator]:
    """Each channel on its own."""
    inputs = _channels(call.inputs[0], layer)
    yield _convolution(
        layer,
        call,
        "depthwise convolution",
        call.outputs[0],
        inputs=inputs,
        groups=inputs,
        outputs=inputs * layer.depth_multiplier,
    )
    yield from activation(layer.activation, call)


@rule("SeparableConv1D", "SeparableConv2D")
def separable(layer: Any, call: Call) -> Iterator[Operator]:
    """A depthwise one, then one of a 1 × 1 window; what goes between them is kept too."""
    inputs, result = _channels(call.inputs[0], layer), call.outputs[0]
    middle = inputs * layer.depth_multiplier
    between = positions(call, result, layer.rank, layer.data_format) * middle
    yield _convolution(
        layer,
        call,
        "depthwise convolution",
        result,
        inputs=inputs,
        groups=inputs,
        outputs=middle,
        output_elements=between,
        bias=False,
    )
    yield Convolution(
        name="pointwise convolution",
        positions=between / middle,
        window=1,
        kernel=(1,) * layer.rank,
        inputs=middle,
        outputs=layer.filters,
        input_elements=between,
        output_elements=call.of_sample(result),
        bias=layer.use_bias,
        saved=between if call.learns else 0.0,
        trainable=call.learns,
        input_gradient=call.backward,
    )
    yield from activation(layer.activation, call)
