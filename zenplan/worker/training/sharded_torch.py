"""A Keras model whose weights are divided over the workers by PyTorch's FSDP2 (``fully_shard``): ZeRO stage 3.

Each layer that has a matrix is a unit: its weights are put together for its own forward and backward pass alone. What is
left belongs to the model as a whole. Keras calls a layer past PyTorch's hooks, so a unit is a module that stands in for the
layer's ``call``; in between a variable of the model has its shape and no numbers, so that nothing reads it by mistake.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard

from zenplan.errors import UsageError


class NotThere(RuntimeError):
    """A weight was used where it is not put together."""


class _Absent(torch.Tensor):  # type: ignore[misc]  # torch is not there for mypy
    """In place of a weight: its shape and kind, and an error for whoever uses it. Of a plain tensor without numbers Keras
    makes one with any."""

    path = ""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") not in ("__get__", "__set__", "requires_grad_"):
            path = next((each.path for each in args if isinstance(each, _Absent)), "its weight")
            raise NotThere(f"'{path}' is not put together here")
        return super().__torch_function__(function, types, args, kwargs or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How an array is divided over the workers.

    Attributes:
        shape: of the whole.
        laid: that shape, at least of one axis; axis: that is divided.
    """

    mesh: Any
    shape: tuple[int, ...]
    laid: tuple[int, ...]
    axis: int

    def whole(self, share: torch.Tensor) -> torch.Tensor:
        """The array that the workers have shares of. All of them ask for it."""
        stride = torch.empty(self.laid, device="meta").stride()
        found = DTensor.from_local(
            share.detach(), self.mesh, (Shard(self.axis),), run_check=False, shape=torch.Size(self.laid), stride=stride
        )
        return found.full_tensor().reshape(self.shape)

    def share(self, whole: torch.Tensor) -> torch.Tensor:
        """This worker's part of an array."""
        parts = whole.reshape(self.laid).chunk(self.mesh.size(), self.axis)
        rank = distributed.get_rank()
        return parts[rank] if rank < len(parts) else parts[0].narrow(self.axis, 0, 0)


class _Unit(torch.nn.Module):  # type: ignore[misc]  # torch is not there for mypy
    """Some of the model's variables, and the call for which they are put together."""

    def __init__(self, variables: Sequence[Any], call: Callable[..., Any], layers: Sequence[Any]) -> None:
        super().__init__()
        self.held = torch.nn.ParameterList([_parameter(v) for v in variables])
        self.variables, self.inner, self.layers = list(variables), call, list(layers)
        self.empty = [_without_numbers(v) for v in variables]

    def forward(self, args: Any, kwargs: Any, masks: Sequence[Any]) -> tuple[Any, list[Any]]:
        """What the layer returns, and the losses that it has added: what gradients flow from has to be told here."""
        for given, mask in zip(keras.tree.flatten((args, kwargs)), masks, strict=True):
            if mask is not None:
                # The module hands its arguments on as new tensors, without what Keras keeps on them.
                keras.src.backend.set_keras_mask(given, mask)
        for variable, weight in zip(self.variables, self.held, strict=True):
            variable._value = weight if variable.shape else weight.reshape(())
        try:
            result = self.inner(*args, **kwargs)
        finally:
            for variable, empty in zip(self.variables, self.empty, strict=True):
                variable._value = empty
        losses = [loss for layer in self.layers for loss in layer._losses]
        return keras.tree.map_structure(_no_view, result), losses

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """As the layer's ``call``."""
        masks = [keras.src.backend.get_keras_mask(each) for each in keras.tree.flatten((args, kwargs))]
        return self(args, kwargs, masks)[0]


@dataclass(slots=True, kw_only=True)
class Sharded:
    """A divided model.

    Attributes:
        root: that calls it.
        shares: of each of its weights a variable with this worker's part, by the id of the whole one; their layout is a
            ``Division``, which Keras hands on to what an optimizer keeps beside them.
        weights: as PyTorch has them divided, by the same ids.
    """

    model: keras.Model
    root: Any
    shares: Mapping[int, Any]
    weights: Mapping[int, Any]
    _replaced: Sequence[Any]

    @property
    def trained(self) -> list[Any]:
        """This worker's part of each variable that is trained."""
        return [self.shares[id(v)] for v in self.model.trainable_variables]

    @property
    def tensors(self) -> list[Any]:
        """Those whose gradients come with a step, in the order of ``trained``."""
        return [self.weights[id(v)] for v in self.model.trainable_variables]

    @property
    def held(self) -> list[Any]:
        """All arrays of the model, divided or not."""
        return [self.weights.get(id(v), v._value) for v in self.model.variables]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the model returns. Raises UsageError: it uses a weight where it is not put together."""
        try:
            return self.root.run(*args, **kwargs)
        except NotThere as error:
            # Keras has put more around it.
            named = re.search(r"'(.+)' is not put together", str(error))
            raise UsageError(
                f"model {self.model.name} uses {named[1] if named else 'a weight'} outside the call of the layer that has "
                "it, where ZeRO 3 has a part of it alone",
                "leave out --zero; or call the layer for what its weight is used for",
            ) from error

    def no_sync(self) -> AbstractContextManager[Any]:
        """Gradients of each micro-batch are divided at once: to keep them whole would take what was to be saved."""
        return nullcontext()

    def own(self, variable: Any) -> Any:
        """The variable that has this worker's part of one of the model's; one of an optimizer itself."""
        return self.shares.get(id(variable), variable)

    def shape_of(self, variable: Any) -> tuple[int, ...]:
        """Of the whole."""
        layout = self.own(variable)._layout
        return layout.shape if isinstance(layout, Division) else tuple(int(n) for n in variable.shape)

    def apart(self) -> None:
        """After a forward pass without a backward one: nothing is left put together, and what is changed now counts."""
        for module in self.root.modules():
            if isinstance(module, _Unit):
                module.reshard()

    def settle(self) -> None:
        """The model has its weights again, and its layers their calls. All workers ask for it."""
        for variable in self.model.variables:
            if (share := self.shares.get(id(variable))) is not None:
                variable._value = torch.nn.Parameter(
                    share._layout.whole(share.value), requires_grad=variable._value.requires_grad
                )
        for layer in self._replaced:
            layer.__dict__.pop("call", None)


def sharded(model: keras.Model, device: str) -> Sharded:
    """Divide a built model over the workers of the process group.

    Args:
        device: the kind that its weights are on, as PyTorch calls it.

    Raises:
        UsageError: something of it goes by whole weights between two calls.
    """
    weights = [v for layer in model._flatten_layers() for v in layer._trainable_variables]
    weights = list({id(v): v for v in weights}.values())
    _check_divisible(weights)
    mesh = init_device_mesh(device, (distributed.get_world_size(),))
    of_layers = dict(_units(model, weights))
    taken = {id(v) for variables in of_layers.values() for v in variables}
    every = list(model._flatten_layers())
    root = _Unit([v for v in weights if id(v) not in taken], model.__call__, every)
    units = []
    for layer, variables in of_layers.items():
        unit = _Unit(variables, layer.call, list(layer._flatten_layers()))
        layer.call = unit.run
        units.append(unit)
    root.units = torch.nn.ModuleList(units)
    for variable in weights:
        variable._value = _without_numbers(variable)
    for layer in every:
        # Keras's own list of its weights would keep them.
        if hasattr(layer, "_torch_params"):
            del layer._torch_params
    for module in (*units, root):
        fully_shard(
            module,
            mesh=mesh,
            reshard_after_forward=module is not root,
            shard_placement_fn=lambda w: Shard(_axis(w, mesh)),
        )
    # A weight that some samples do not reach has a gradient of zeros there.
    root.set_reduce_scatter_unused_params(True)
    held = {id(v): w for module in (*units, root) for v, w in zip(module.variables, module.held, strict=True)}
    return Sharded(
        model=model,
        root=root,
        shares={id(v): _share(v, held[id(v)], mesh) for v in weights},
        weights=held,
        _replaced=list(of_layers),
    )


def _check_divisible(weights: Sequence[Any]) -> None:
    for variable in weights:
        if variable.regularizer is not None or variable.constraint is not None:
            raise UsageError(
                f"{variable.path} has a regularizer or a constraint, which ZeRO 3 would apply to a part of it",
                "leave out --zero, or the regularizer: --weight-decay does the same as L2 for AdamW",
            )


def _units(model: keras.Model, weights: Sequence[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Layers with a matrix, of the model and of models within it, and their weights. One that is called several times, or
    shares a weight with another, belongs to the whole."""
    known = {id(v) for v in weights}
    found = {layer: [v for v in layer.variables if id(v) in known] for layer in _parts(model)}
    owners = Counter(id(v) for variables in found.values() for v in variables)
    for layer, variables in found.items():
        alone = len(layer._inbound_nodes) < 2 and all(owners[id(v)] == 1 for v in variables)
        if alone and any(len(v.shape) > 1 for v in variables):
            yield layer, variables


def _parts(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model) and len(layer._inbound_nodes) < 2:
            yield from _parts(layer)
        else:
            yield layer


def _axis(weight: torch.Tensor, mesh: Any) -> int:
    """The first that the workers divide evenly; the first of all where there is none."""
    return next((axis for axis, size in enumerate(weight.shape) if size and size % mesh.size() == 0), 0)


def _parameter(variable: Any) -> torch.nn.Parameter:
    value = variable._value
    if value.dim() and value.is_contiguous():
        return value
    # A number alone has no axis that could be divided.
    laid = value.detach().contiguous().reshape(value.shape or (1,))
    return torch.nn.Parameter(laid, requires_grad=value.requires_grad)


def _no_view(value: Any) -> Any:
    """A view that is changed in its place, as by ``+=``, would leave out what FSDP2 waits for in the backward pass."""
    return value.clone() if isinstance(value, torch.Tensor) and value.requires_grad and value._is_view() else value


def _without_numbers(variable: Any) -> torch.Tensor:
    value = variable._value
    found = torch.empty(value.shape, dtype=value.dtype, device="meta").as_subclass(_Absent)
    found.path = variable.path
    return found.requires_grad_(value.requires_grad)


def _share(variable: Any, weight: Any, mesh: Any) -> Any:
    """This worker's part of a variable as one of Keras's own, which changes where PyTorch's does."""
    local = torch.nn.Parameter(weight.detach().to_local(), requires_grad=weight.requires_grad)
    shape = tuple(int(n) for n in variable.shape)
    (placement,) = weight.placements
    division = Division(mesh=mesh, shape=shape, laid=tuple(weight.shape), axis=placement.dim)
    found = keras.Variable(
        local, dtype=variable.dtype, trainable=variable.trainable, name=variable.name, layout=division
    )
    found._path = variable.path
    return found
