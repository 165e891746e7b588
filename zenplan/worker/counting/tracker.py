"""Tracker: follows a model's call through its layers and operations, and notes what each of them computes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from zenplan.domain.model.operators import MatMul, Operator, Split
from zenplan.errors import DataError
from zenplan.worker.counting import rules_convolution, rules_products  # noqa: F401
from zenplan.worker.counting.attempt import Attempt
from zenplan.worker.counting.call import Call, Tensor
from zenplan.worker.counting.events import Event, scaled
from zenplan.worker.counting.products import Trace
from zenplan.worker.counting.registry import by_class, is_keras, known, registered
from zenplan.worker.counting.rules_ops import FOURIER, VIEWS, operation, remark
from zenplan.worker.counting.weights import low_rank, weights_watched
from zenplan.worker.counting.wrappers import LOOPS, OUTSIDE, WRAPPERS

# --- what is known of tensors


@dataclass(slots=True)
class Tensors:
    """The tensors of a call.

    Attributes:
        known: by id, each with itself, so that no other gets its id.
        kept: keys of those that are kept for the backward pass.
        owned: ids of weights that a product has counted as its own.
    """

    known: dict[int, tuple[Any, Tensor]] = field(default_factory=dict)
    kept: set[object] = field(default_factory=set)
    owned: set[int] = field(default_factory=set)

    def seen(self, tensor: Any, layer: Any) -> Tensor:
        """What is known of a tensor; of a new one, what it is.

        Args:
            tensor: symbolic, a variable, or an array of the backend's.
            layer: whose call it is met in; None for the model's.
        """
        if id(tensor) in self.known:
            return self.known[id(tensor)][1]
        if isinstance(tensor, keras.KerasTensor):
            return self.remember(tensor, False)
        # A weight, or what the backend made of weights before any symbolic tensor came in.
        variable = isinstance(tensor, keras.Variable)
        learns = tensor.trainable if variable else layer is not None and layer.trainable_weights
        found = Tensor(
            shape=tuple(tensor.shape), learns=bool(learns), weight=True, variable=id(tensor) if variable else 0
        )
        self.known[id(tensor)] = (tensor, found)
        return found

    def remember(self, tensor: Any, learns: bool, key: object = None) -> Tensor:
        """A symbolic tensor, which ``learns`` unless it has no gradient; ``key`` is that of the one it is a view of."""
        differentiable = "float" in str(tensor.dtype) or "complex" in str(tensor.dtype)
        found = Tensor(shape=tuple(tensor.shape), learns=learns and differentiable, key=key or object())
        self.known[id(tensor)] = (tensor, found)
        return found


# --- the tracker

_OUTSIDE = "counted from the backend's trace"
_OPEN_LOOP = "it has a loop of unknown length, of which nothing is counted: tell its turns, as in --loop 5"
_IN_LOOP = "in a loop of unknown length"
_NOT_TAKEN = "in a branch of a choice that is not counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Followed:
    """What came of running code on symbolic tensors: outputs, or why there are none and what was seen until then."""

    outputs: Any = None
    reason: str = ""
    partial: Sequence[Event] = ()


@dataclass(slots=True)
class Tracker:
    """What was seen of a model's call.

    Attributes:
        batch: samples in it.
        events: what was counted, in order.
        around: layers whose ``call`` is running, the outermost first, which is the model.
        times: how often what is seen now happens: the steps of a loop around it.
        sequential: whether these come one after the other.
        asleep: what is called is called for its shape only.
        loop: turns of a loop whose length is not known; None where nobody tells.
        unmeasured: what is seen now is in such a loop.
        tensors: those that were seen.
    """

    batch: int
    events: list[Event] = field(default_factory=list)
    around: list[Any] = field(default_factory=list)
    times: float = 1.0
    sequential: bool = False
    asleep: bool = False
    loop: int | None = None
    unmeasured: bool = False
    tensors: Tensors = field(default_factory=Tensors)

    def layer(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A layer is called: count it by what is known of it, or enter it. Returns symbolic outputs."""
        if self.asleep:
            return layer.compute_output_spec(*args, **kwargs)
        counter, rule = registered(layer), known(layer)
        if counter is not None:
            return self._registered(layer, counter, args, kwargs)
        if rule is not None:
            outputs = self.specification(layer, args, kwargs)
            call = self._call(layer, args, kwargs, outputs)
            found = tuple(rule(layer, call))
            if not found:
                self._same_place(call, outputs)
            self._note(layer, call, (*found, *low_rank(layer, self.batch)), whole=True)
            return outputs
        return self._enter(layer, by_class(layer, WRAPPERS), args, kwargs)

    def operation(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A ``keras.ops`` operation is called by the layer that is running."""
        if self.asleep:
            return op.compute_output_spec(*args, **kwargs)
        if isinstance(op, keras.Function):
            return op.call(*args, **kwargs)
        if type(op).__name__ in OUTSIDE:
            return self._outside(op, args, kwargs)
        if type(op).__name__ in LOOPS:
            followed = self._follow(lambda: LOOPS[type(op).__name__](self, op, *args, **kwargs))
            return self._outside(op, args, kwargs) if followed.reason else followed.outputs
        outputs = self.specification(op, args, kwargs)
        call = self._call(op, args, kwargs, outputs)
        if type(op).__name__ in VIEWS:
            self._same_place(call, outputs)
        owner = self.around[-1]
        method = "rule" if is_keras(type(owner)) else "traced"
        operators = tuple(operation(op, call))
        self._append(Event(layer=owner, path=self._path(), operators=operators, method=method, note=remark(op)))
        return outputs

    def of_weights(self, op: Any, args: tuple[Any, ...], result: Any) -> None:
        """The layer that is running multiplies what it has before any input: once a step, whatever the batch."""
        if self.asleep or not self.around:
            return
        call = self._call(op, args, {}, ())
        made = any(t.variable for t in call.inputs) or all(t.learns and len(t.shape) > 1 for t in call.inputs)
        if made:
            self._append(Event(layer=self.around[-1], path=self._path(), operators=tuple(operation(op, call))))
        learns = any(t.learns for t in call.inputs)
        self.tensors.known[id(result)] = (result, Tensor(shape=tuple(result.shape), learns=learns, weight=True))

    def also(self, operators: Iterable[Operator]) -> None:
        """What the layer that is running computes besides."""
        self._append(Event(layer=self.around[-1], path=self._path(), operators=tuple(operators)))

    def derived(self, shape: tuple[int, ...], source: Any, learns: bool = False, view: bool = False) -> Any:
        """A symbolic tensor that depends on what ``source`` depends on, or on weights that are trained.

        Args:
            shape: with the batch.
            source: the tensor it is made of.
            learns: whether weights that are trained went into it.
            view: it lies where ``source`` lies.
        """
        tensor, before = keras.KerasTensor(shape, dtype=source.dtype), self._seen(source)
        self.tensors.remember(tensor, learns or before.learns, before.key if view else None)
        return tensor

    def carried(self, nested: Any) -> Any:
        """What goes from one turn of a loop into the next: of the same shapes, and made by the layer around it."""
        learns = bool(self.around[-1].trainable_weights)
        return keras.tree.map_structure(
            lambda t: self.derived(tuple(t.shape), t, learns) if hasattr(t, "shape") else t, nested
        )

    @contextmanager
    def repeated(self, times: float, sequential: bool = True) -> Iterator[None]:
        """Within it, all happens ``times`` times, ``sequential``: one after the other."""
        before = self.times, self.sequential
        self.times, self.sequential = times * self.times, sequential or self.sequential
        try:
            yield
        finally:
            self.times, self.sequential = before

    @contextmanager
    def open_loop(self) -> Iterator[None]:
        """Within it, all is in a loop of unknown length: as often as the user tells, or else unknown."""
        if self.loop is None and not self.unmeasured:
            self._append(Event(layer=self.around[-1], path=self._path(), method="unknown", note=_OPEN_LOOP))
        before, self.unmeasured = self.unmeasured, self.unmeasured or self.loop is None
        try:
            with self.repeated(self.loop or 1):
                yield
        finally:
            self.unmeasured = before

    def dearest(self, branches: Sequence[Callable[[], Any]]) -> Any:
        """Of a choice, the branch with the most FLOP is counted; of the others, that their layers are there."""
        start, (kept, owned) = len(self.events), (set(self.tensors.kept), set(self.tensors.owned))
        tried: list[tuple[Any, list[Event], tuple[set[object], set[int]]]] = []
        for branch in branches:
            outputs = branch()
            tried.append((outputs, self.events[start:], (self.tensors.kept, self.tensors.owned)))
            del self.events[start:]
            self.tensors.kept, self.tensors.owned = set(kept), set(owned)
        flop = [sum(o.flop for event in events for o in event.operators) for _, events, _ in tried]
        outputs, events, (self.tensors.kept, self.tensors.owned) = tried[flop.index(max(flop))]
        if len(set(flop)) > 1:
            self.remark("of a choice, the branch with the most FLOP is counted")
        self.events += events
        counted = {id(e.layer) for e in (*events, *self.events[:start])} | {id(layer) for layer in self.around}
        for event in (e for _, others, _ in tried for e in others if id(e.layer) not in counted):
            self.events.append(replace(event, operators=(), calls=0, note=event.note or _NOT_TAKEN))
        return outputs

    def remark(self, text: str) -> None:
        """Say something of how the layer that is running was counted."""
        self._append(Event(layer=self.around[-1], path=self._path(), note=text))

    # --- entering

    def _enter(self, layer: Any, wrapper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run its ``call`` on symbolic tensors; where it cannot, have the backend trace it."""
        self.around.append(layer)
        path = self._path()
        followed = self._follow(
            lambda: wrapper(self, layer, args, kwargs) if wrapper else layer.call(*args, **kwargs),
            Event(layer=layer, path=path, calls=1),
        )
        self.around.pop()
        if followed.reason:
            return self._outside(layer, args, kwargs, followed.partial)
        self.events.append(Event(layer=layer, path=path, output_shape=_first_shape(followed.outputs)))
        return followed.outputs

    def _follow(self, run: Callable[[], Any], *first: Event) -> _Followed:
        """Run code on symbolic tensors. Where that fails, it leaves no trace but what it is known by."""
        start, kept, owned = len(self.events), set(self.tensors.kept), set(self.tensors.owned)
        self.events.extend(first)
        outputs, attempt = None, Attempt()
        with attempt:
            outputs = run()
        reason = attempt.reason or ("" if _symbolic(outputs) else "it returns no tensors")
        if not reason:
            return _Followed(outputs=outputs)
        partial = self.events[start:]
        del self.events[start:]
        self.tensors.kept, self.tensors.owned = kept, owned
        return _Followed(reason=reason, partial=partial)

    def _outside(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], partial: Sequence[Event] = ()) -> Any:
        """Code that only the backend can follow: its products. Where that fails too, what was seen until then.

        Args:
            op: a layer, or an operation of the one that is running.
            args, kwargs: of its call.
            partial: what a layer did before it met what Keras cannot follow.
        """
        is_layer = isinstance(op, keras.Layer)
        owner, path = (op, self._path(op)) if is_layer else (self.around[-1], self._path())
        attempt = Attempt()
        with attempt:
            trace = self.for_shape(lambda: traced(op, args, kwargs, self.loop))
        if not attempt.reason:
            # What a loop runs may use the weights of the layer around it.
            call = self._call(op, args, kwargs, trace.outputs, of=owner)
            method, note = ("unknown", _OPEN_LOOP) if trace.found.open_loops else ("traced", _OUTSIDE)
            note += f"; {FOURIER}" if trace.found.fourier else ""
            self._note(owner, call, operators_of(trace, call), whole=is_layer, method=method, note=note, path=path)
            return trace.outputs
        if not is_layer:
            raise DataError(attempt.reason)  # its layer may still be traced as a whole
        self.events.extend(partial)
        # A layer may know the shape of what it returns without running; else what is around it fails in turn.
        outputs = self.specification(op, args, kwargs)
        call = self._call(op, args, kwargs, outputs)
        self._note(owner, call, (), whole=not partial, method="unknown", note=attempt.reason, path=path)
        return outputs

    def _registered(self, layer: Any, counter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outputs = self.specification(layer, args, kwargs)
        call = self._call(layer, args, kwargs, outputs)
        shapes = [t.shape[1:] for t in call.inputs]
        attempt = Attempt()
        with attempt:
            operators = tuple(_checked(layer, counter(layer, shapes)))
        if attempt.reason:
            self._note(layer, call, (), whole=True, method="unknown", note=attempt.reason)
        else:
            parts = call.parts(call.inputs[0])
            self._note(layer, call, (scaled(o, parts, False) for o in operators), whole=True, method="registered")
        return outputs

    def specification(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call returns, as Keras works it out; it may call others for that, which count nothing.
        Where Keras leaves a size open, as the user may of an EinsumDense, the backend closes it."""

        def run() -> Any:
            outputs = op.compute_output_spec(*args, **kwargs)
            if any(None in t.shape for t in keras.tree.flatten(outputs) if isinstance(t, keras.KerasTensor)):
                outputs = keras.Operation.compute_output_spec(op, *args, **kwargs)
            return outputs

        return self.for_shape(run)

    def for_shape(self, run: Callable[[], Any]) -> Any:
        """Run what calls others for their shapes, or to build them: they count nothing."""
        before, self.asleep = self.asleep, True
        try:
            return run()
        finally:
            self.asleep = before

    # --- noting

    def _note(
        self,
        layer: Any,
        call: Call,
        operators: Iterable[Operator],
        *,
        whole: bool,
        method: str = "rule",
        note: str = "",
        path: tuple[str, ...] | None = None,
    ) -> None:
        shape = call.outputs[0].shape if call.outputs else None
        self._append(
            Event(
                layer=layer,
                path=self._path(layer) if path is None else path,
                whole=whole,
                operators=tuple(operators),
                output_shape=shape,
                calls=int(whole),
                method=method,
                note=note,
            )
        )

    def _append(self, event: Event) -> None:
        if self.unmeasured:
            event = replace(event, operators=(), method="unknown", note=event.note or _IN_LOOP)
        if self.times != 1:
            # What a cell's own rule calls a product sees the input alone, and waits for nothing.
            waits = self.sequential and not (is_keras(type(event.layer)) and event.kind.endswith("Cell"))
            operators = tuple(scaled(o, self.times, waits) for o in event.operators)
            event = replace(event, operators=operators)
        self.events.append(event)

    def _same_place(self, call: Call, outputs: Any) -> None:
        """Nothing was computed: the whole input lies where it lay, and is not kept twice; parts of it may each be."""
        if len(call.outputs) == 1 and call.inputs and call.outputs[0].size == call.inputs[0].size:
            self.tensors.remember(keras.tree.flatten(outputs)[0], call.outputs[0].learns, call.inputs[0].key)

    def _path(self, *more: Any) -> tuple[str, ...]:
        return tuple(layer.name for layer in (*self.around, *more)[1:])

    # --- tensors

    def _call(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any, of: Any = None) -> Call:
        """The call as its rule sees it; what it returns depends on weights from here on, if it does.

        Args:
            op: what is called.
            args, kwargs: of its call.
            outputs: symbolic.
            of: the layer whose weights it may use; itself, if it is one, where None.
        """
        is_layer = isinstance(op, keras.Layer)
        of = of or (op if is_layer else None)
        plain = {k: v for k, v in kwargs.items() if "mask" not in k} if is_layer else kwargs
        seen = [self._seen(t) for t in keras.tree.flatten((args, plain)) if hasattr(t, "shape")]
        learns = of is not None and bool(of.trainable_weights)
        backward = learns or any(t.learns for t in seen)
        if type(op).__name__ == "StopGradient":
            backward = False
        made = [
            self.tensors.remember(t, backward) for t in keras.tree.flatten(outputs) if isinstance(t, keras.KerasTensor)
        ]
        return Call(
            inputs=tuple(seen),
            outputs=tuple(made),
            arguments=self._arguments(op, args, kwargs) if is_layer else {},
            batch=self.batch,
            learns=learns,
            kept=self.tensors.kept,
            owned=self.tensors.owned,
        )

    def _arguments(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        bound = inspect.signature(op.call).bind(*args, **kwargs).arguments
        return {
            k: keras.tree.map_structure(lambda t: self._seen(t) if hasattr(t, "shape") else t, v)
            for k, v in bound.items()
        }

    def _seen(self, tensor: Any) -> Tensor:
        return self.tensors.seen(tensor, self.around[-1] if self.around else None)


def _symbolic(outputs: Any) -> bool:
    """Whether a call gave what symbolic tensors go on from."""
    return all(isinstance(t, keras.KerasTensor) for t in keras.tree.flatten(outputs) if t is not None)


def _first_shape(outputs: Any) -> tuple[int, ...] | None:
    return next((tuple(t.shape) for t in keras.tree.flatten(outputs) if t is not None), None)


def _checked(layer: Any, operators: Iterable[Any]) -> Iterator[Operator]:
    for operator in operators:
        if not isinstance(operator, Operator):
            raise DataError(f"what counts {layer.name} gave {operator!r}, which is no operator")
        yield operator


# --- following a call


@contextmanager
def following(tracker: Tracker) -> Iterator[None]:
    """Have Keras ask the tracker for what a symbolic call returns; all is as it was afterwards, whatever happens."""
    layer_class, operation_class = keras.Layer, keras.Operation
    module: Any = sys.modules[layer_class.__module__]
    build = layer_class._maybe_build
    before = layer_class.symbolic_call, operation_class.symbolic_call, layer_class.add_loss, module.Node
    layer_class.symbolic_call = lambda self, *args, **kwargs: tracker.layer(self, args, kwargs)
    operation_class.symbolic_call = lambda self, *args, **kwargs: tracker.operation(self, args, kwargs)
    layer_class.add_loss = lambda self, loss: None  # it takes no symbolic ones
    # A node would tie our tensors to the model's graph for good.
    module.Node = lambda **_: None
    layer_class._maybe_build = lambda self, spec: tracker.for_shape(lambda: build(self, spec))
    try:
        with weights_watched(tracker.of_weights):
            yield
    finally:
        layer_class._maybe_build = build
        layer_class.symbolic_call, operation_class.symbolic_call, layer_class.add_loss, module.Node = before


# --- the backend's own trace
#
# The backend's own trace of code that Keras cannot follow: raw JAX, PyTorch or TensorFlow in a layer's ``call``.
#
# What comes of it are products, by their three sizes; whose weights they use it does not tell. Loops are counted as
# often as they run where that number is fixed, or told.


def traced(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], loop: int | None = None) -> Trace:
    """Run ``operation.call`` on the backend's abstract tensors; whatever it raises goes on to the caller.

    Args:
        operation: a ``keras.Operation``, layers among them.
        args, kwargs: of its call, with a ``keras.KerasTensor`` of a closed shape for each tensor.
        loop: turns of a loop whose length is not known.
    """
    # Imported here: there is one backend in a process, and its walk needs its library.
    match keras.config.backend():
        case "jax":
            from zenplan.worker.counting.trace_jax import trace
        case "torch":
            from zenplan.worker.counting.trace_torch import trace
        case _:
            from zenplan.worker.counting.trace_tensorflow import trace
    return trace(operation, args, kwargs, loop)


def operators_of(trace: Trace, call: Call) -> Iterator[Operator]:
    """Its products as operators. A trace does not tell whose weights they have: the layer's, as far as it has any."""
    for index, product in enumerate(trace.found.products):
        yield MatMul(
            name="product",
            rows=product.rows / call.batch,
            inner=product.inner,
            columns=product.columns,
            split=Split.NONE,
            tied=True,
            trainable=call.backward,
            input_gradient=call.reached or (index > 0 and call.learns),
        )
