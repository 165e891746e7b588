"""Mixtures of experts in a model configuration: how many, how wide, and in which layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenplan.errors import InputFileError
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields
from zenplan.families.configurations.types import EXPERT_KEYS, ExpertKeys
from zenplan.families.transformer.shape import Experts


def experts_of(fields: Fields, keys: ExpertKeys | None, sizes: Mapping[str, Any]) -> Experts | None:
    """The experts of a layer; None where every layer is dense.

    Raises:
        InputFileError: a field is missing or wrong, or more experts are active than there are.
    """
    if keys is None or (keys.anywhere and not fields.count(*keys.count)):
        return None
    count = fields.needed(*keys.count, most=MOST_HEADS)
    active = fields.needed(*_names(keys, "active", keys.active), most=MOST_HEADS)
    if active > count:
        raise InputFileError(
            f"the model configuration's '{keys.active[0]}' of {active} is above its {count} experts",
            f"give at most '{keys.count[0]}'",
        )
    # Some tokens go to experts that do nothing (LongCat): as many as these are a share of all, where use is even.
    idle = fields.count("zero_expert_num", most=MOST_HEADS)
    active = max(1, round(active * count / (count + idle)))
    names = _names(keys, "width", keys.width)
    width = (
        fields.needed(*names, default=sizes["ff_width"], most=MOST_ENTRIES)
        if keys.anywhere
        else fields.needed(*names, most=MOST_ENTRIES)
    )
    dense = feeds_of(fields, keys, sizes["layers"]).count("dense")
    if dense == sizes["layers"]:
        return None
    shared = _shared(fields, keys, width)
    return Experts(count=count, active=active, width=width, shared_width=shared, dense_layers=dense)


def _names(keys: ExpertKeys, role: str, own: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*own, *EXPERT_KEYS[role]))) if keys.anywhere else own


def _shared(fields: Fields, keys: ExpertKeys, width: int) -> int:
    """The width of what every token meets."""
    if keys.anywhere and not keys.shared_width:
        given = fields.count(*EXPERT_KEYS["shared_width"])
        return given or width * keys.shared or width * fields.count(*EXPERT_KEYS["shared_count"], most=1000)
    shared = fields.needed(keys.shared_width, default=0, least=0) if keys.shared_width else 0
    if keys.shared_count:
        shared = width * (fields.whole(keys.shared_count, default=0, least=0, most=1000) or 0)
    return shared


def feeds_of(fields: Fields, keys: ExpertKeys | None, layers: int) -> tuple[str, ...]:
    """Of each layer, ``dense`` or ``experts``."""
    if keys is None:
        return ("dense",) * layers
    dense = _dense_anywhere(fields, layers) if keys.anywhere else _dense(fields, keys, layers)
    return tuple("dense" if layer in dense else "experts" for layer in range(layers))


def _dense(fields: Fields, keys: ExpertKeys, layers: int) -> set[int]:
    """Layers that keep the plain network."""
    if keys.first_dense:
        return set(range(min(fields.needed(keys.first_dense, default=0, least=0), layers)))
    step = fields.needed(keys.step, default=1) if keys.step and fields.has(keys.step) else 1
    only = fields.raw(keys.only_dense) if keys.only_dense else None
    return _numbers(fields, keys.only_dense, only) | {n for n in range(layers) if (n + 1) % step}


def _numbers(fields: Fields, key: str, only: Any) -> set[int]:
    if only is None:
        return set()
    if not isinstance(only, list) or any(isinstance(i, bool) or not isinstance(i, int) for i in only):
        raise fields.wrong(key, only, "a list of layer numbers")
    return set(only)


def _dense_anywhere(fields: Fields, layers: int) -> set[int]:
    """As the first of these keys says that is given: of each layer, of those with experts, of the first ones, of a step."""
    every = set(range(layers))
    for key in ("mlp_layer_types", "moe_layer_types"):
        if fields.raw(key) is not None:
            named = fields.texts(key, layers) or []
            return {n for n, name in enumerate(named) if name == "dense"}
    usual = fields.known("mlp_layer_types")
    if isinstance(usual, list) and fields.raw(*EXPERT_KEYS["first_dense"]) is None:
        return set(range(min(usual.index("sparse") if "sparse" in usual else layers, layers)))
    if fields.raw("moe_layers"):
        return every - _numbers(fields, "moe_layers", fields.raw("moe_layers"))
    if fields.raw("dense_layers_idx"):
        return _numbers(fields, "dense_layers_idx", fields.raw("dense_layers_idx"))
    listed = fields.raw("moe_layer_freq")
    if isinstance(listed, list) and len(listed) == layers:
        return {n for n, mixed in enumerate(listed) if not mixed}
    if fields.raw("expert_layer_period") or fields.known("expert_layer_period"):
        period = fields.needed("expert_layer_period", most=MOST_LAYERS)
        offset = fields.count("expert_layer_offset")
        return {n for n in every if n % period != offset % period}
    dense = set(range(min(fields.count(*EXPERT_KEYS["first_dense"], most=MOST_LAYERS), layers)))
    last = fields.count("moe_layer_end_index", default=layers, most=MOST_LAYERS)
    dense |= {n for n in every if n > last} if fields.raw("moe_layer_end_index") else set()
    step = 1
    for key in EXPERT_KEYS["step"]:
        if isinstance(fields.raw(key), int) or isinstance(fields.known(key), int):
            step = max(1, fields.count(key, default=1, most=MOST_LAYERS))
            break
    only = _numbers(fields, "mlp_only_layers", fields.found("mlp_only_layers"))
    return dense | only | ({n for n in every if (n + 1) % step} if step > 1 else set())
