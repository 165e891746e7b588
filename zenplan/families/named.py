"""A family of named models: each name has a function that makes its workload, and the options are its parameters.

``resnet50`` is a name; ``resnet:depth=101,classes=10`` is a name and what to change. A parameter is any argument of
the function that has a default; its default says of which type it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from zenplan import units
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError
from zenplan.families.transformer.presets import called, plain

Builder = Callable[..., Workload]

# The most of any parameter, and of those that say how often something is built: an operator, a block of its own.
_MOST = 1e12
_MOST_BUILT = {**dict.fromkeys(("layers", "cross_layers", "depth", "relations"), 1000), "degrees": 100}

# Options of the command line that are parameters of many models, and what people call them there.
_FLAGS = {"image_size": "--image-size", "seq_len": "--seq-len"}


class NamedFamily:
    """Models by name. A ``WorkloadFamily``."""

    def __init__(self, name: str, models: Mapping[str, Builder]) -> None:
        """``models``: name to its function, whose arguments all have defaults; in the order of the listing."""
        self.name = name
        self._models = models

    def presets(self) -> Iterable[str]:
        """Names that ``--model`` takes."""
        return tuple(self._models)

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """The workload of a model.

        Args:
            options: ``model``, a name with or without ``:parameter=value,...``; ``image_size`` and ``seq_len``
                where the model has them. What is None counts as not given.

        Raises:
            UsageError: an option is wrong, or the model has no such parameter; UnknownName: no such model.
        """
        given = {key: value for key, value in options.items() if value is not None}
        text = given.pop("model", None)
        if not isinstance(text, str):
            raise UsageError(f"a model of the family {self.name} needs its name", "'zenplan workloads' lists them")
        name, _, changes = text.partition(":")
        found = called(name, self._models)
        parameters = _parameters(self._models[found])
        values = _values(found, parameters, changes)
        for key, value in given.items():
            if key not in parameters:
                raise UsageError(f"{found} has no {_FLAGS.get(key, key)}", _known(parameters))
            values[key] = value
        workload = self._models[found](**values)
        size = values.get("image_size", parameters.get("image_size"))
        return replace(workload, image_size=size, facts=(*_facts(text, parameters, values), *workload.facts))


def name_of(model: str) -> str:
    """The name in a text like ``resnet:depth=101``, as names are compared."""
    return plain(model.partition(":")[0])


def _parameters(builder: Builder) -> dict[str, Any]:
    """Name to default."""
    return {p.name: p.default for p in inspect.signature(builder).parameters.values()}


def _known(parameters: Mapping[str, Any]) -> str:
    return f"it has {', '.join(parameters)}" if parameters else "it has no parameters"


def _values(model: str, parameters: Mapping[str, Any], text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if key not in parameters or not equals:
            raise UsageError(f"{model} has no parameter '{part}'", _known(parameters))
        if key in values:
            raise UsageError(f"{key} of {model} is given twice", "give each parameter once")
        most = _MOST_BUILT.get(key, _MOST)
        values[key] = _parsed(f"{key} of {model}", value.strip(), parameters[key], most)
    return values


def _parsed(what: str, text: str, default: Any, most: float) -> Any:
    """The text as what its default is: a yes or no, a whole number, a number (up to ``most``), or the text itself."""
    if isinstance(default, bool):
        if text.lower() not in ("yes", "no", "true", "false"):
            raise UsageError(f"{what} is yes or no, not '{text}'", f"write it as in: {'no' if default else 'yes'}")
        return text.lower() in ("yes", "true")
    if isinstance(default, int):
        return units.parse_whole(text, what, most, default)
    return units.parse_count(text, what, most) if isinstance(default, float) else text


def _facts(text: str, parameters: Mapping[str, Any], values: Mapping[str, Any]) -> Iterable[Fact]:
    """The name, and each parameter: as given, or the model's own."""
    yield Fact(name="model", value=text, origin=Origin.GIVEN)
    for key, default in parameters.items():
        origin = Origin.GIVEN if key in values else Origin.PUBLISHED
        why = "" if key in values else "the model's own"
        shown = values.get(key, default)
        yield Fact(name=key.replace("_", " "), value=str(shown) or "none", origin=origin, why=why)


# --- imported when it is used


class LazyFamily:
    """A ``NamedFamily`` that is made when it is first used. A ``WorkloadFamily``."""

    def __init__(self, name: str, models: Callable[[], Mapping[str, Builder]]) -> None:
        """``models`` imports the functions and gives them by name, in the order of the listing."""
        self.name = name
        self._models = models

    @cached_property
    def _family(self) -> NamedFamily:
        return NamedFamily(self.name, self._models())

    def presets(self) -> Iterable[str]:
        """Names that ``--model`` takes."""
        return self._family.presets()

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """The workload of a model; as in ``NamedFamily.lower``."""
        return self._family.lower(options)
