"""The transformer family: a preset's name, a configuration or a size, to a workload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from zenplan import units
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError
from zenplan.families.transformer import presets, sizing
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.presets import Preset
from zenplan.families.transformer.shape import TransformerShape, with_seq_len

# A decoded configuration, the tokens of a sequence (None for its own) and its images (None for what is usual) to the
# workload, and the shape of its language model, where it is one.
Reader = Callable[[Any, int | None, int | None], tuple[Workload, TransformerShape | None]]

_KINDS = ("model", "config", "params")
_OPTIONS = (*_KINDS, "active_params", "seq_len", "images")
_FAMILY = "decoder-only transformer"
_HINT = "name a model, give its config.json, or say how many parameters"


class TransformerFamily:
    """Decoders, encoders and encoder-decoders, dense and mixtures of experts. A ``WorkloadFamily``."""

    name = "transformer"

    def __init__(self, presets: Callable[[], Mapping[str, Preset]], reader: Reader) -> None:
        """``presets`` reads those that are known, by name, in the order in which they are listed; ``reader`` makes a
        workload of a configuration."""
        self._read = presets
        self._reader = reader

    @cached_property
    def _presets(self) -> Mapping[str, Preset]:
        return self._read()

    def presets(self) -> Iterable[str]:
        """Names that ``--model`` takes."""
        return tuple(self._presets)

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """The workload that the options describe, with a fact for each thing given or inferred.

        Args:
            options: exactly one of ``model`` (a preset's name), ``config`` (a decoded ``config.json``) and
                ``params`` (a count); beside it ``active_params`` (with ``params``), ``images`` (with
                ``config``) and ``seq_len``. What is None counts as not given.

        Raises:
            UsageError: an option is unknown, wrong or does not go with another; UnknownName: no such model.
        """
        given = {key: value for key, value in options.items() if value is not None}
        kind = _kind_of(given)
        seq_len = given.get("seq_len")
        if "active_params" in given and kind != "params":
            raise UsageError(f"active parameters do not go with a {kind}", "they say how a mixture of --params is cut")
        if "images" in given and kind != "config":
            raise UsageError(f"images do not go with {kind}", "give the config.json of a model that sees them")
        if kind == "model":
            return self._of_preset(given["model"], seq_len)
        if kind == "config":
            return self._of_config(given["config"], seq_len, given.get("images"))
        return _of_size(given["params"], given.get("active_params"), seq_len)

    def _of_config(self, config: Any, seq_len: Any, images: Any) -> Workload:
        load, shape = self._reader(config, seq_len, images)
        kind = load.name
        why = _size(shape) if shape is not None else ""
        facts = (Fact(name="model configuration", value=kind, origin=Origin.GIVEN, why=why), *load.facts)
        if seq_len is not None:
            facts += (_given_length(seq_len),)
        return replace(load, name=_config_name(config, kind), facts=facts)

    def _of_preset(self, name: Any, seq_len: Any) -> Workload:
        if not isinstance(name, str):
            raise UsageError("the model's name is not a text", "'zenplan workloads' lists the names")
        preset = presets.find(self._presets, name)
        why = f"{preset.source} ({preset.status} {preset.date})"
        published = units.count(preset.parameters)
        facts: tuple[Fact, ...] = (
            Fact(name="model", value=preset.name, origin=Origin.GIVEN),
            Fact(name="shape", value=_size(preset.shape), origin=Origin.PUBLISHED, why=why),
            Fact(name="parameters as published", value=published, origin=Origin.PUBLISHED, why=why),
        )
        shape, told = _at_length(preset, seq_len)
        return replace(lower(shape, preset.name, (*facts, *told)), pretraining=preset.pretraining)


def _at_length(preset: Preset, given: Any) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The preset's shape at the length that was given, else at that of its training."""
    if given is not None:
        shape, grown = with_seq_len(preset.shape, given)
        return shape, (_given_length(given), *grown)
    published = preset.pretraining
    if published is not None and published.seq_len is not None:
        shape, grown = with_seq_len(preset.shape, published.seq_len)
        value, origin, why = str(published.seq_len), Origin.PUBLISHED, published.source
        return shape, (Fact(name="sequence length", value=value, origin=origin, why=why), *grown)
    value, why = str(preset.shape.seq_len), f"that of its training is not published; {preset.source}"
    return preset.shape, (Fact(name="sequence length", value=value, origin=Origin.ASSUMED, why=why),)


def _kind_of(given: Mapping[str, Any]) -> str:
    unknown = [key for key in given if key not in _OPTIONS]
    if unknown:
        raise UsageError(f"a transformer has no option '{unknown[0]}'", f"it has {', '.join(_OPTIONS)}")
    kinds = [kind for kind in _KINDS if kind in given]
    if not kinds:
        raise UsageError("nothing says which model to train", _HINT)
    if len(kinds) > 1:
        raise UsageError(f"{' and '.join(kinds)} are given; only one can hold", _HINT)
    return kinds[0]


def _config_name(config: Mapping[str, Any], kind: str) -> str:
    """The name that the configuration has for itself, where it is a plain one."""
    name = config.get("_name_or_path")
    if isinstance(name, str):
        last = name.rstrip("/").rpartition("/")[2]
        if re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", last):
            return last
    return kind


def _of_size(params: Any, active: Any, seq_len: Any) -> Workload:
    shape, told = sizing.shape_for(params, active, seq_len)
    facts: tuple[Fact, ...] = (
        Fact(name="parameters", value=units.count(params), origin=Origin.GIVEN),
        Fact(name="family", value=_FAMILY, origin=Origin.ASSUMED, why="what most models of that kind are"),
    )
    name = f"{units.count(params)} parameters"
    if active is not None:
        facts += (Fact(name="active parameters", value=units.count(active), origin=Origin.GIVEN),)
    if shape.experts is not None:
        name += f", {units.count(active)} active"
    if seq_len is not None:
        facts += (_given_length(seq_len),)
    return lower(shape, name, (*facts, *told))


def _given_length(seq_len: int) -> Fact:
    return Fact(name="sequence length", value=str(seq_len), origin=Origin.GIVEN)


def _size(shape: TransformerShape) -> str:
    """A shape in a few words."""
    layers = f"{shape.encoder_layers}+{shape.layers}" if shape.encoder_layers else str(shape.layers)
    text = f"{layers} layers of {shape.width}, {shape.heads} heads, feed-forward {shape.ff_width}"
    if shape.experts is not None:
        text += f", {shape.experts.active} of {shape.experts.count} experts"
    return f"{text}, vocabulary {shape.vocab:,}"
