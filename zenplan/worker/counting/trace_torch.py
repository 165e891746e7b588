"""PyTorch's operations, one by one, below autograd: products and convolutions with their shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import keras
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from zenplan.errors import DataError
from zenplan.worker.counting.products import (
    Found,
    Product,
    Trace,
    abstract,
    convolution,
    dearest,
    product,
    specification,
    together,
    turns_between,
)

_BY_VALUE = "what it runs depends on the values of its inputs: only loops and choices of keras.ops can be followed"
# What makes a number of Python's out of a tensor.
_READS = ("_local_scalar_dense", "is_nonzero", "equal")


class _Products(TorchDispatchMode):  # type: ignore[misc,unused-ignore]
    """Notes what is multiplied while it is active.

    Attributes:
        found: of all until now.
        given: tensors that are the inputs, or come of them. Their values are not those of a run: what is decided by
            them is not known.
    """

    def __init__(self, inputs: Sequence[Any]) -> None:
        super().__init__()
        self.found: list[Found] = []
        self.given = WeakIdKeyDictionary(dict.fromkeys(inputs))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__
        if any(isinstance(t, torch.Tensor) and t in self.given for t in keras.tree.flatten((args, kwargs))):
            if name in _READS:
                raise DataError(_BY_VALUE)
            self.given.update((t, None) for t in keras.tree.flatten(result) if isinstance(t, torch.Tensor))
        self.found.append(Found(products=tuple(_products(name, args, result)), fourier=name.startswith("_fft_")))
        return result

    def apart(self, run: Callable[[], Any]) -> tuple[Any, Found]:
        """What is run, and its products, which are not noted."""
        before, self.found = self.found, []
        try:
            return run(), together(self.found)
        finally:
            self.found = before


def trace(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], loop: int | None = None) -> Trace:
    """Trace on PyTorch: on its meta device, or, where an operation has no such form, on ones.

    Args:
        operation, args, kwargs: as of ``abstract``.
        loop: turns of a loop whose length is not known.
    """
    call, tensors = abstract(operation, args, kwargs)
    found: list[Found] = []

    def noted(*given: Any) -> Any:
        with _Products(given) as products, _turned(products, loop):
            result = call(*given)
        found[:] = [together(products.found)]  # of the last try
        return result

    try:
        outputs = specification(noted, tensors)
    except DataError as error:
        raise DataError(_BY_VALUE) from error  # without the words that Keras has put around it
    return Trace(outputs=outputs, found=found[0])


@contextmanager
def _turned(seen: _Products, loop: int | None) -> Iterator[None]:
    """Within it, Keras's loops run one turn for all, and its choices each branch: by Keras, as the values decide."""
    core = keras.src.backend.core

    def while_loop(cond: Any, body: Any, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
        several = isinstance(loop_vars, tuple | list)
        state = keras.tree.map_structure(core.convert_to_tensor, tuple(loop_vars) if several else (loop_vars,))
        _, before = seen.apart(lambda: cond(*state))
        result, inside = seen.apart(lambda: body(*state))
        turns = loop if maximum_iterations is None else maximum_iterations
        seen.found.append(together((before, inside)).repeated(turns))
        return tuple(result) if several else result

    def fori_loop(lower: Any, upper: Any, body_fun: Any, init_val: Any) -> Any:
        turns = turns_between(lower, upper)
        result, inside = seen.apart(lambda: body_fun(lower, init_val))
        seen.found.append(inside.repeated(loop if turns is None else turns))
        return result

    def scan(f: Any, init: Any, xs: Any = None, length: int | None = None, **options: Any) -> Any:
        entries = keras.tree.map_structure(core.convert_to_tensor, xs)
        turns = length if length is not None else keras.tree.flatten(entries)[0].shape[0]
        first = None if xs is None else keras.tree.map_structure(lambda x: x[0], entries)
        (carry, made), inside = seen.apart(lambda: f(keras.tree.map_structure(core.convert_to_tensor, init), first))
        seen.found.append(inside.repeated(turns))
        made = carry if made is None else made
        return carry, keras.tree.map_structure(lambda y: torch.stack([y] * turns), made)

    def switch(index: Any, branches: Any, *operands: Any) -> Any:
        each = [seen.apart(partial(branch, *operands)) for branch in branches]
        seen.found.append(dearest(found for _, found in each))
        return each[0][0]

    def cond(pred: Any, true_fn: Any, false_fn: Any) -> Any:
        return switch(pred, (true_fn, false_fn))

    with ExitStack() as stack:
        for own in (while_loop, fori_loop, scan, switch, cond):
            stack.enter_context(patch.object(core, own.__name__, own))
        yield


def _products(name: str, args: Any, result: Any) -> list[Product]:
    if name in ("mm", "bmm", "mv", "dot", "_int_mm"):
        return [product(result.shape, args[0].shape[-1])]
    if name in ("addmm", "baddbmm", "addmv"):
        return [product(result.shape, args[1].shape[-1])]
    if name in ("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution"):
        source, kernel, transposed = args[0].shape, args[1].shape, bool(args[6]) if len(args) > 6 else False
        over = source if transposed else result.shape
        return [convolution(over, over[1], math.prod(kernel) / kernel[0])]
    if name.startswith("_scaled_dot_product"):
        query, key, value = (a.shape for a in args[:3])
        scores = (*query[:-1], key[-2])
        return [product(scores, query[-1]), product((*query[:-1], value[-1]), key[-2])]
    return []
