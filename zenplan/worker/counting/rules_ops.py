"""Rules of ``keras.ops``: what a layer computes in its own ``call``, operation by operation.

Products and convolutions are those of their operands; all else is elementwise work over the tensors of the operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.worker.counting.call import Call, Tensor
from zenplan.worker.counting.einsum import contractions
from zenplan.worker.counting.rules_elementwise import from_output

# Nothing moves: the result lies where its operand does.
VIEWS = (
    "Reshape",
    "ExpandDims",
    "Squeeze",
    "Ravel",
    "StopGradient",
    "ConvertToTensor",
    "View",
    "GetItem",
    "BroadcastTo",
    "Unstack",
    "Split",
    "Cast",
)
# Sums and copies: their gradient needs no operand.
LINEAR = (
    "Add",
    "Subtract",
    "Negative",
    "Sum",
    "Mean",
    "Average",
    "Concatenate",
    "Stack",
    "Hstack",
    "Vstack",
    "Transpose",
    "Swapaxes",
    "Moveaxis",
    "Flip",
    "Roll",
    "Pad",
    "Repeat",
    "Tile",
    "Slice",
    "AveragePool",
    "Take",
    "TakeAlongAxis",
    "OneHot",
    "Rearrange",
    "ExtractPatches",
    "DepthToSpace",
    "SpaceToDepth",
    "Diag",
    "Tril",
    "Triu",
    "ZerosLike",
    "OnesLike",
    "FullLike",
    "Cumsum",
    "Arange",
)

_KINDS = {
    "Add": ElementwiseKind.RESIDUAL,
    "Concatenate": ElementwiseKind.CONCATENATION,
    "MaxPool": ElementwiseKind.MAX_POOL,
    "AveragePool": ElementwiseKind.MEAN_POOL,
}


def operation(op: Any, call: Call) -> Iterable[Operator]:
    """Operators of one operation.

    Args:
        op: a ``keras.Operation``; its settings are its attributes.
        call: with every operand among the inputs, weights too.
    """
    name = type(op).__name__
    if name in VIEWS:
        return ()
    return _PRODUCTS.get(name, _elementwise)(op, call)


# Work that is no product: its FLOP are in no sum.
FOURIER = "of a Fourier transform the FLOP, about 5·n·log2 n, are in no sum"
_FFT = ("FFT", "FFT2", "IFFT2", "RFFT", "IRFFT", "STFT", "ISTFT")
_DECOMPOSITIONS = (
    "Cholesky",
    "CholeskyInverse",
    "Det",
    "Eig",
    "Eigh",
    "Inv",
    "Logdet",
    "LuFactor",
    "Lstsq",
    "MatrixRank",
    "Pinv",
    "Qr",
    "Slogdet",
    "Solve",
    "SolveTriangular",
    "SVD",
)


def remark(op: Any) -> str:
    """What is to be said of how an operation is counted; mostly nothing."""
    name = type(op).__name__
    if name in _FFT:
        return FOURIER
    if name in _DECOMPOSITIONS:
        return f"of {name} the FLOP, of the order of n³, are in no sum"
    return ""


def _elementwise(op: Any, call: Call) -> Iterable[Operator]:
    name = type(op).__name__
    needed = () if name in LINEAR else call.outputs if from_output(name) else call.inputs
    saved = sum(call.keep(t) for t in needed)
    return call.elementwise(
        _KINDS.get(name, ElementwiseKind.OTHER), name.lower(), *call.inputs, *call.outputs, saved=saved
    )


def _contract(equation: str, call: Call, name: str) -> Iterator[Operator]:
    """The products of an equation; of one with a single operand, elementwise work."""
    tensors = list(call.inputs)
    if len(tensors) == 1:
        yield from call.elementwise(ElementwiseKind.OTHER, name, *tensors, *call.outputs)
        return
    for step in contractions(equation, [t.shape for t in tensors]):
        left, right, rows, columns = tensors[step.left], tensors[step.right], step.rows, step.columns
        if left.weight and not right.weight:  # a weight is what rows meet, wherever it is written
            left, right, rows, columns = right, left, columns, rows
        yield call.between(name, left, right, step.groups * rows / call.batch, step.inner, columns)
        tensors.append(Tensor(shape=step.result[1], learns=left.learns or right.learns))


def _matmul(op: Any, call: Call) -> Iterator[Operator]:
    left, right = (len(t.shape) for t in call.inputs)
    terms = ("k" if left == 1 else "...mk", "k" if right == 1 else "...kn")
    result = "..." + "m" * (left > 1) + "n" * (right > 1)
    return _contract(f"{terms[0]},{terms[1]}->{result}", call, "matmul")


def _dot(op: Any, call: Call) -> Iterator[Operator]:
    left, right = call.inputs
    inner = left.shape[-1] if left.shape else 1
    return _summed(call, inner, left, right)


def _vdot(op: Any, call: Call) -> Iterator[Operator]:
    """All of both, whatever their shapes."""
    left, right = call.inputs
    return _summed(call, left.size, left, right)


def _tensordot(op: Any, call: Call) -> Iterator[Operator]:
    left, right = call.inputs
    axes = op.axes if isinstance(op.axes, int) else op.axes[0]
    over = range(-axes, 0) if isinstance(axes, int) else axes
    inner = math.prod(left.shape[a] for a in over) if isinstance(over, Iterable) else left.shape[over]
    return _summed(call, inner, left, right)


def _summed(call: Call, inner: int, left: Tensor, right: Tensor) -> Iterator[Operator]:
    """Two operands summed over ``inner`` elements of each."""
    if left.weight and not right.weight:
        left, right = right, left
    yield call.between("product", left, right, left.size / inner / call.batch, inner, right.size / inner)


def _einsum(op: Any, call: Call) -> Iterator[Operator]:
    return _contract(op.subscripts, call, "einsum")


def _attention(op: Any, call: Call) -> Iterable[Operator]:
    query, key, value = call.inputs[:3]
    parts = round(call.parts(query))
    return call.attention(
        query,
        key,
        value,
        heads=query.shape[2] * parts,
        kv_heads=key.shape[2] * parts,
        key_dim=query.shape[3],
        value_dim=value.shape[3],
        queries=query.shape[1],
        keys=key.shape[1],
    )


def _convolve(op: Any, call: Call) -> Iterator[Operator]:
    """A window of the kernel at each position: (window…, inputs of a group, outputs)."""
    source, kernel = call.inputs[:2]
    *window, inputs, outputs = kernel.shape
    depthwise = type(op).__name__ == "DepthwiseConv"
    columns = 1 if depthwise else outputs
    inner = math.prod(window) * (1 if depthwise else inputs)
    made = call.outputs[0]
    rows = call.of_sample(made) / columns
    if type(op).__name__ == "ConvTranspose":  # (window…, outputs, inputs), for each position of the input
        made, columns, inner = source, math.prod(window) * inputs, outputs
        rows = call.of_sample(source) / outputs
    yield call.between("convolution", source, kernel, rows, inner, columns)


def _separable(op: Any, call: Call) -> Iterator[Operator]:
    source, depth, point = call.inputs[:3]
    middle, outputs = point.shape[-2:]
    rows = call.of_sample(call.outputs[0]) / outputs
    between = Tensor(shape=(round(rows * call.batch), middle), learns=source.learns or depth.learns)
    yield call.between("depthwise convolution", source, depth, rows * middle, math.prod(depth.shape[:-2]), 1)
    yield call.between("pointwise convolution", between, point, rows, middle, outputs)


_PRODUCTS: dict[str, Callable[[Any, Call], Iterable[Operator]]] = {
    "Matmul": _matmul,
    "Dot": _dot,
    "Inner": _dot,
    "Vdot": _vdot,
    "Tensordot": _tensordot,
    "Einsum": _einsum,
    "DotProductAttention": _attention,
    "Conv": _convolve,
    "ConvTranspose": _convolve,
    "DepthwiseConv": _convolve,
    "SeparableConv": _separable,
}
