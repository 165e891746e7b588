"""Rules of recurrent layers: the product with the input for all steps at once, then the state's, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from zenplan.domain.model.operators import Convolution, Operator, Recurrent
from zenplan.worker.counting.call import Call, Tensor
from zenplan.worker.counting.events import LOOP_KERNELS
from zenplan.worker.counting.registry import rule
from zenplan.worker.counting.rules_convolution import positions

# Products made of a state: gates and the candidate.
GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}


def _gates(name: str) -> int:
    return GATES[name.removesuffix("Cell")]


@rule("SimpleRNN", "GRU", "LSTM")
def recurrent(layer: Any, call: Call) -> Iterator[Operator]:
    """A library runs the whole sequence in one kernel a step."""
    source = call.inputs[0]
    yield from _products(layer.cell, call, source, steps=source.shape[1], kernels=1)


@rule("SimpleRNNCell", "GRUCell", "LSTMCell")
def cell(layer: Any, call: Call) -> Iterator[Operator]:
    """One step, in a loop of the framework's."""
    yield from _products(layer, call, call.inputs[0], steps=1, kernels=LOOP_KERNELS)


def _products(cell: Any, call: Call, source: Tensor, steps: int, kernels: int) -> Iterator[Operator]:
    columns = _gates(_kind(cell)) * cell.units
    # A GRU whose reset comes after the product has a bias for each of the two products.
    twice = cell.use_bias and bool(getattr(cell, "reset_after", False))
    yield call.product("input", source, columns, bias=cell.use_bias)
    yield Recurrent(
        name="state",
        steps=steps,
        inner=cell.units,
        columns=columns,
        rows=call.parts(source),
        kernels=kernels,
        bias=twice,
        trainable=call.learns,
        input_gradient=call.backward,
    )


def _kind(cell: Any) -> str:
    return next(cls.__name__ for cls in type(cell).__mro__ if cls.__name__.removesuffix("Cell") in GATES)


@rule("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def convolutional(layer: Any, call: Call) -> Iterator[Operator]:
    """A convolution of the input of every step, and one of the state in each."""
    cell, source = layer.cell, call.inputs[0]
    first = cell.data_format == "channels_first"
    steps, inputs = source.shape[1], source.shape[2 if first else -1]
    shape = call.outputs[0].shape
    result = Tensor(shape=(shape[0], *shape[2:]) if layer.return_sequences else shape)
    places = positions(call, result, cell.rank, cell.data_format)
    window, columns = math.prod(cell.kernel_size), 4 * cell.filters
    yield Convolution(
        name="input",
        positions=steps * places,
        window=window,
        kernel=tuple(cell.kernel_size),
        inputs=inputs,
        outputs=columns,
        input_elements=call.of_sample(source),
        output_elements=steps * places * columns,
        bias=cell.use_bias,
        saved=call.keep(source, call.learns),
        trainable=call.learns,
        input_gradient=source.learns,
    )
    yield Recurrent(
        name="state",
        steps=steps,
        inner=window * cell.filters,
        columns=columns,
        rows=places,
        kernels=LOOP_KERNELS,
        trainable=call.learns,
        input_gradient=call.backward,
    )
