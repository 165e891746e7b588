"""Event: one call that was counted; and how the events of a model become its layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zenplan.domain.model.count import LayerCount
from zenplan.domain.model.operators import Convolution, Elementwise, Embedding, MatMul, Operator, Recurrent, Scan

# A step of a framework's loop: products, gates, states, each a kernel or two.
LOOP_KERNELS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A layer was called, or computed something in its own ``call``.

    Attributes:
        layer: a ``keras.Layer``.
        path: names of the layers around it, and its own.
        whole: the operators stand for the layers within it too, with all of their weights.
        calls: 1 for a call, 0 for an operation within one.
    """

    layer: Any
    path: tuple[str, ...]
    operators: tuple[Operator, ...] = ()
    output_shape: tuple[int | None, ...] | None = None
    whole: bool = False
    calls: int = 0
    method: str = "rule"
    note: str = ""

    @property
    def kind(self) -> str:
        """The name of the layer's class."""
        return type(self.layer).__name__


@dataclass(slots=True)
class _Layer:
    """What is known of a layer so far."""

    first: Event
    calls: int = 0
    output_shape: tuple[int | None, ...] = ()
    operators: list[Operator] = field(default_factory=list)
    whole: bool = False
    methods: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """One more event of it: of a second call, the weights are not counted again."""
        again = self.calls > 0 and event.calls > 0
        self.calls += event.calls
        if event.output_shape is not None:
            self.output_shape = event.output_shape
        self.whole |= event.whole
        self.methods.add(event.method)
        if event.note and event.note not in self.notes:
            self.notes.append(event.note)
        met: set[int] = set()
        for operator in event.operators:
            _add(self.operators, operator, again, met)


def _add(operators: list[Operator], new: Operator, again: bool, met: set[int]) -> None:
    """Append; of a layer's second call, what owns weights is put together with that of the first.

    ``met``: places of those that this call was put together with; of several alike, the first goes to the first.
    """
    if not again or not new.parameters:
        operators.append(new)
    elif isinstance(new, MatMul):
        operators.append(replace(new, tied=True))
    elif isinstance(new, Elementwise):
        operators.append(replace(new, weights=0.0))
    else:
        what = type(new), new.parameters
        index = next((i for i, o in enumerate(operators) if i not in met and (type(o), o.parameters) == what), None)
        if index is None:
            operators.append(new)
        else:
            met.add(index)
            operators[index] = _together(operators[index], new)


def _together(old: Any, new: Any) -> Operator:
    """Both of one weight: these nouns have no word for a weight that another owns."""
    if isinstance(old, Embedding):
        return replace(old, rows=old.rows + new.rows)
    if isinstance(old, Recurrent):
        return replace(old, steps=old.steps + new.steps)
    sizes = ("positions", "input_elements", "output_elements")
    both: Operator = replace(
        old,
        **{s: getattr(old, s) + getattr(new, s) for s in sizes},
        saved=old.saved_elements + new.saved_elements,
        input_gradient=old.input_gradient or new.input_gradient,
    )
    return both


def scaled(operator: Operator, times: float, sequential: bool) -> Operator:
    """The operator for ``times`` steps of a recurrent layer.

    Args:
        operator: of one step.
        times: steps.
        sequential: whether a product has to wait for the step before; not so one that sees the input alone.
    """
    if isinstance(operator, Recurrent):
        return replace(operator, steps=operator.steps * times)
    if isinstance(operator, MatMul):
        if not sequential or operator.tied:
            return replace(operator, rows=operator.rows * times)
        return Recurrent(
            name=operator.name,
            steps=times,
            inner=operator.inner,
            columns=operator.columns,
            rows=operator.rows,
            bias=operator.bias,
            trainable=operator.trainable,
            input_gradient=operator.input_gradient or operator.trainable,
            kernels=LOOP_KERNELS,
        )
    if isinstance(operator, Convolution):
        sizes = ("positions", "input_elements", "output_elements", "saved_elements")
        grown = {s.replace("saved_elements", "saved"): getattr(operator, s) * times for s in sizes}
        return replace(operator, **grown)
    if isinstance(operator, Elementwise):
        return replace(operator, elements=operator.elements * times, saved=operator.saved * times)
    if isinstance(operator, Embedding):
        return replace(operator, rows=operator.rows * times)
    if isinstance(operator, Scan):
        return replace(operator, heads=round(operator.heads * times), groups=round(operator.groups * times))
    heads = round(operator.heads * times), round(operator.kv_heads * times)
    return replace(operator, heads=heads[0], kv_heads=heads[1])


def layer_counts(model: Any, events: Sequence[Event]) -> Iterator[LayerCount]:
    """A count for each layer that was called, in the order of first calls; then those with weights that never were."""
    layers: dict[int, _Layer] = {}
    for event in events:
        layers.setdefault(id(event.layer), _Layer(first=event)).add(event)
    trained = {id(w) for w in model.trainable_weights}
    seen: set[int] = set()
    for each in layers.values():
        yield from _count(each, _fresh(each.first.layer, each.whole, seen), trained)
    for layer, path in _tree(model, ()):
        weights = _fresh(layer, False, seen)
        if weights:
            never = _Layer(first=Event(layer=layer, path=path), notes=["never called"])
            yield from _count(never, weights, trained)


def _count(each: _Layer, weights: list[Any], trained: set[int]) -> Iterator[LayerCount]:
    path = each.first.path
    if not path and not each.operators and not weights and not each.notes:
        return  # the model itself, which only calls its layers
    method = next((m for m in ("unknown", "traced", "registered") if m in each.methods), "rule")
    yield LayerCount(
        path=path,
        kind=each.first.kind,
        output_shape=each.output_shape,
        calls=each.calls,
        parameters=_sum(weights),
        trainable_parameters=_sum(w for w in weights if id(w) in trained),
        operators=tuple(each.operators),
        method=method,
        note="; ".join(each.notes),
    )


def _sum(weights: Iterable[Any]) -> float:
    return float(sum(math.prod(w.shape) for w in weights))


def _fresh(layer: Any, whole: bool, seen: set[int]) -> list[Any]:
    """Weights that no layer before has counted: its own, or, of a whole one, those within it too."""
    inner: set[int] = set()
    if not whole:
        inner = {id(w) for child in layer._layers for w in child.weights}
    fresh = {id(w): w for w in layer.weights if id(w) not in inner and id(w) not in seen}
    seen.update(fresh)
    return list(fresh.values())


def _tree(layer: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    yield layer, path
    for child in layer._layers:
        yield from _tree(child, (*path, child.name))
