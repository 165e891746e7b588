"""Models whose shape is a Hugging Face configuration, by name: the configuration that their makers published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from zenplan.domain import checks
from zenplan.domain.model.workload import LANGUAGE, PreTraining, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError
from zenplan.families.transformer.family import Reader
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.presets import INSTEAD, called


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedConfiguration:
    """A published model.

    Attributes:
        name: as people type it, in small letters. aliases: other names that people type.
        config: the keys of its ``config.json`` that say its shape.
        parameters: as its reference library counts them.
        unit: what a token or a sample is, or what of its training is left out; empty where nothing has to be said.
        source: whose shape it is. library: who counted its parameters.
        date: when the source was read, ISO 8601.
        written: tokens that its decoder writes, where they are fewer than its encoder reads; 0 for as many.
        pretraining: how its makers trained it, of a language model; None where nobody has looked.
    """

    name: str
    config: Mapping[str, Any]
    parameters: float
    source: str
    library: str
    date: str
    aliases: tuple[str, ...] = ()
    unit: str = ""
    written: int = 0
    pretraining: PreTraining | None = None

    def __post_init__(self) -> None:
        checks.named("configuration", name=self.name, source=self.source, library=self.library, date=self.date)
        checks.positive(f"configuration {self.name}", parameters=self.parameters)


class ConfigurationFamily:
    """Named configurations. A ``WorkloadFamily``."""

    name = "configuration"

    def __init__(self, models: Callable[[], Mapping[str, NamedConfiguration]], reader: Reader) -> None:
        """``models`` reads those that are known, by name, in the order of the listing; ``reader`` makes a workload of a
        configuration."""
        self._read = models
        self._reader = reader

    @cached_property
    def _models(self) -> Mapping[str, NamedConfiguration]:
        return self._read()

    def presets(self) -> Iterable[str]:
        """Names that ``--model`` takes; others of them are not listed."""
        return tuple(self._models)

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """The workload of a model.

        Args:
            options: ``model``, its name; ``seq_len`` of a language model, ``images`` of one that sees them,
                ``image_size`` of one that only sees.

        Raises:
            UsageError: an option is wrong, or the model has no such one; UnknownName: no such model.
        """
        given = {key: value for key, value in options.items() if value is not None}
        text = str(given.pop("model", ""))
        name, _, changes = text.partition(":")
        model = self._models[called(name, self._models, INSTEAD)]
        if changes:
            raise UsageError(f"{model.name} has no parameter '{changes}'", "change its config.json, and give --config")
        load = self._lowered(model, given)
        published = Origin.PUBLISHED
        why = f"{model.source} (read {model.date})"
        facts = [
            Fact(name="model", value=text, origin=Origin.GIVEN),
            Fact(name="configuration", value=str(model.config.get("model_type")), origin=published, why=why),
            Fact(name="parameters as published", value=f"{model.parameters:,.0f}", origin=published, why=model.library),
        ]
        if model.unit:
            facts.append(Fact(name="unit", value=load.unit, origin=Origin.DERIVED, why=model.unit))
        return replace(load, name=model.name, facts=(*facts, *load.facts), pretraining=model.pretraining)

    def _lowered(self, model: NamedConfiguration, given: Mapping[str, Any]) -> Workload:
        size, length = given.get("image_size"), given.get("seq_len")
        usual = model.pretraining.seq_len if model.pretraining else None
        config = model.config if size is None else _with_size(model, size)
        load, shape = self._reader(config, length or usual, given.get("images"))
        if model.written and shape is not None:
            shape = replace(shape, seq_len=min(model.written, shape.seq_len))
            load = lower(shape, model.name, load.facts)
        language = load.family in LANGUAGE
        if length is not None and not language:
            raise UsageError(f"{model.name} has no --seq-len", "leave it out")
        if not language:
            return replace(load, image_size=size or _part_with_size(model.config).get("image_size"))
        if length is not None:
            told = Fact(name="sequence length", value=str(length), origin=Origin.GIVEN)
        elif usual is not None and model.pretraining is not None:
            told = Fact(name="sequence length", value=str(usual), origin=Origin.PUBLISHED, why=model.pretraining.source)
        else:
            return load
        return replace(load, facts=(*load.facts, told))


def _part_with_size(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("vision_config")
    return inner if isinstance(inner, Mapping) else config


def _with_size(model: NamedConfiguration, size: int) -> Mapping[str, Any]:
    """The configuration for images of another size.

    Raises:
        UsageError: it has none.
    """
    if "image_size" not in _part_with_size(model.config):
        raise UsageError(f"{model.name} has no --image-size", "leave it out")
    if "vision_config" in model.config:
        return {**model.config, "vision_config": {**model.config["vision_config"], "image_size": size}}
    return {**model.config, "image_size": size}
