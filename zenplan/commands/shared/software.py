"""What a plan is run with: a kind of software, or a stack by its name; given, or usual for what is trained."""

from __future__ import annotations

from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import Precision
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.software import Software
from zenplan.domain.training.request import Request
from zenplan.domain.training.stack import STACKS, Stack, stack_for
from zenplan.errors import UnknownName, UsageError

# What a model runs in where nothing says so, and why: large language models, Keras's, all others.
_LANGUAGE = (Software.FUSED, "as in Megatron-LM; plain PyTorch is --software eager, torch.compile compiled")
_PLAIN = (Software.EAGER, "as in plain PyTorch; torch.compile is --software compiled, JAX jax")
_KERAS = {
    "torch": (Software.EAGER, "as Keras on PyTorch, where nothing is compiled unless asked"),
    "jax": (Software.JAX, "as Keras on JAX"),
    "tensorflow": (Software.XLA, "as Keras on TensorFlow"),
}


def software_of(
    request: Request, workload: Workload, method: str, precision: Precision
) -> tuple[Software, Stack | None, Fact]:
    """The kind of software, the stack where it has a name, and the fact that says both.

    Raises:
        UsageError: nobody knows it, or it cannot do what is asked for.
    """
    name, why = request.software, ""
    if name in STACKS:
        stack = STACKS[name]
        _check(stack, request, method, precision)
        return _named(stack, workload, method, Origin.GIVEN)
    if name is None:
        # Who trains adapters has other software than who trains from nothing, but for a model of Keras.
        usual = stack_for(method, precision.name) if method != "full" and not workload.backend else None
        if usual is not None:
            return _named(usual, workload, method, Origin.ASSUMED)
        name, why = _KERAS.get(workload.backend, _PLAIN)
        if workload.unit == "tokens" and workload.usual is None:
            name, why = _LANGUAGE
    if name not in tuple(Software):
        raise UnknownName("software", name, (*STACKS, *Software))
    origin = Origin.GIVEN if request.software else Origin.ASSUMED
    return Software(name), None, Fact(name="software", value=str(name), origin=origin, why=why)


def _check(stack: Stack, request: Request, method: str, precision: Precision) -> None:
    """Raises UsageError: the stack cannot do what is asked for; the hint names those that can."""
    most = stack.most_devices
    if method not in stack.methods:
        lacks = f"does not train with {method}, but with {', '.join(stack.methods)}"
    elif precision.name not in stack.precisions:
        lacks = f"does not train in {precision.name}, but in {', '.join(stack.precisions)}"
    elif not stack.trains(method, precision.name):
        lacks = f"does not train with {method} in {precision.name}"
    elif most is not None and request.gpus is not None and request.gpus > most:
        lacks = f"runs on {most} devices at most, not on {request.gpus:,}"
    else:
        return
    able = [
        s.name
        for s in STACKS.values()
        if s.trains(method, precision.name) and (s.most_devices is None or request.gpus is None)
    ]
    # A kind of software names no product, and is not restricted.
    hint = ", ".join(able or Software)
    raise UsageError(f"{stack.name} {lacks}", f"try --software {hint}")


def _named(stack: Stack, workload: Workload, method: str, origin: Origin) -> tuple[Software, Stack, Fact]:
    kind = stack.kind
    if stack.backend_kind and workload.backend:
        kind, _ = _KERAS[workload.backend]
    speed = f"timed as software of the kind {kind}"
    if not stack.fitted:
        speed += ", the nearest that was fitted, with a wider interval"
    many = ""
    if stack.usual_devices is not None:
        many = f", on {stack.usual_devices} device unless --gpus asks for more, up to {stack.most_devices}"
    why = f"{stack.what}: layouts that it can run ({stack.layouts(method)}){many}; {speed}"
    return kind, stack, Fact(name="software", value=stack.name, origin=origin, why=why)
