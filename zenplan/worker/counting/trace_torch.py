"""PyTorch's operations, one by one, below autograd: products and convolutions with their shapes."""

from __future__ import annotations

import math
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from zenplan.worker.counting.products import Product, Trace, abstract, convolution, product, specification


class _Products(TorchDispatchMode):  # type: ignore[misc,unused-ignore]
    """Notes what is multiplied while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Product] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.found.extend(_products(func.overloadpacket.__name__, args, result))
        return result


def trace(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Trace on PyTorch: on its meta device, or, where an operation has no such form, on ones."""
    call, tensors = abstract(operation, args, kwargs)
    found: list[Product] = []

    def noted(*given: Any) -> Any:
        with _Products() as products:
            result = call(*given)
        found[:] = products.found  # of the last try
        return result

    outputs = specification(noted, tensors)
    return Trace(outputs=outputs, products=tuple(found))


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
