"""What a request trains: a named model, a configuration, a size, a Keras model, or what its operators sum up to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from zenplan import units
from zenplan.commands.shared.tables import lowered
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.request import Request
from zenplan.errors import UnknownName, UsageError
from zenplan.protocols import WorkloadFamily

if TYPE_CHECKING:
    from zenplan.domain.training.adapter import Adapter

_KINDS: Final = ("params", "model", "config", "keras")
# Flags whose names are not those of the request's fields.
_FLAGS: Final = {"flop_per_sample": "--flops-per-sample"}
# An option, what it goes with, and what to do where it does not.
_GOES_WITH: Final = {
    "active_params": (("params", "model", "config"), "it says how a mixture of --params is cut"),
    "activations_per_sample": (("flop_per_sample",), "give it with --params and --flops-per-sample"),
    "image_size": (("model",), "it is for a named model of images, as in: --model resnet50"),
    "images": (("config", "model"), "it is for a language model that sees images, by its name or config.json"),
    "seq_len": (("params", "model", "config"), "it is for models of sequences"),
}
# Below it each weight is used about once for a sample, as in a stack of dense layers.
_DENSE_USES: Final = 1.5


def workload_of(request: Request, families: Sequence[WorkloadFamily]) -> Workload:
    """The workload of a request.

    Raises:
        UsageError: nothing or more than one thing says what to train, or an option does not go with it; UnknownName:
            there is no such model.
    """
    kind = _kind(request)
    for option, (kinds, hint) in _GOES_WITH.items():
        if getattr(request, option) is not None and kind not in kinds:
            raise UsageError(f"{_flag(option)} does not go with {_flag(kind)}", hint)
    if kind == "flop_per_sample":
        return _by_flop(request)
    if request.keras is not None:
        return request.keras
    options = (kind, "active_params", "image_size", "images", "seq_len")
    given = {name: getattr(request, name) for name in options}
    if kind == "model" and request.adapter is not None and request.given.get("model") is None:
        return _base(families, given, request.adapter)
    return lowered(families, given)


def _base(families: Sequence[WorkloadFamily], options: Mapping[str, Any], adapter: Adapter) -> Workload:
    """The model that an adapter is of: of its shape are those that were tuned from it.

    Raises:
        UsageError: it is not known by its name.
    """
    from zenplan.commands.shared.adapters import names_of

    for name in names_of(adapter.base):
        with contextlib.suppress(UnknownName):
            return lowered(families, {**options, "model": name})
    raise UsageError(
        f"the adapter is of '{next(names_of(adapter.base))}', which is not known by its name",
        "give the model's own config.json with --method lora, or --model NAME beside the adapter's",
    )


def keras_model(target: str, tell: Callable[[str, float], None]) -> Workload:
    """The Keras model that a function builds or a file describes, counted in a process of its own.

    Args:
        target: ``package.module:function`` or a ``.keras`` file.
        tell: told what is being done and the seconds since the start, now and then.

    Raises:
        ZenplanError: it cannot be built or counted; the message says why.
    """
    from zenplan.commands.shared.counting import keras_workload

    return given_model(keras_workload(target, tell=tell), target)


def given_model(counted: Workload, name: str) -> Workload:
    """A Keras model that was counted, with the fact that it was given."""
    fact = Fact(name="Keras model", value=name, origin=Origin.GIVEN, why="counted layer by layer")
    return replace(counted, facts=(fact, *counted.facts))


def _flag(option: str) -> str:
    return _FLAGS.get(option, f"--{option.replace('_', '-')}")


def _kind(request: Request) -> str:
    given = [name for name in _KINDS if getattr(request, name) is not None]
    if not given:
        raise UsageError(
            "nothing says what to train",
            "give one of --params 1e9, --model resnet50, --config config.json, --keras m:build",
        )
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(map(_flag, given))} contradict",
            "give one of --params 1e9, --model resnet50, --config config.json, --keras m:build",
        )
    if request.flop_per_sample is None:
        return given[0]
    if given != ["params"]:
        raise UsageError(f"--flops-per-sample does not go with {_flag(given[0])}", "it goes with --params")
    return "flop_per_sample"


def _by_flop(request: Request) -> Workload:
    """A model of which only the sums over its operators are known."""
    from zenplan.families.images.summary import summary

    flop, parameters = request.flop_per_sample or 0.0, request.params or 0.0
    uses = flop / (2.0 * parameters)
    kind = "mlp" if uses < _DENSE_USES else "convnet"
    known = (
        ("parameters", request.params),
        ("forward FLOP a sample", request.flop_per_sample),
        ("activations a sample", request.activations_per_sample),
    )
    facts = [Fact(name=name, value=units.count(value), origin=Origin.GIVEN) for name, value in known if value]
    facts.append(
        Fact(
            name="kind",
            value=kind,
            origin=Origin.ASSUMED,
            why=f"each parameter is used {units.significant(uses)} times for a sample",
        )
    )
    name = f"{units.count(parameters)} parameters, {units.count(flop)} FLOP a sample"
    found = summary(flop, request.activations_per_sample, parameters, kind=kind, name=name)
    return replace(found, unit="samples", input="", facts=(*facts, *found.facts))
