"""``adapter_config.json`` as ``--config``: the model that it is of, with adapters as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from zenplan.domain.training.adapter import Adapter
from zenplan.errors import UsageError, shown
from zenplan.planning.explain.method import Targets

_MOST_RANK: Final = 65_536
_INSTEAD: Final = "as near as it comes: --model NAME with --method lora"
# What names of fine-tuned and of quantized models have behind those of the model whose shape they have.
_ENDING: Final = re.compile(
    r"[-_.](instruct|chat|it|hf|base|pt|bnb|unsloth|[48]bit|awq|gptq|int[48]|v\d+(\.\d+)*)$", re.I
)
_READ: Final = {
    "q_proj",
    "k_proj",
    "v_proj",
    "query",
    "key",
    "value",
    "q",
    "k",
    "v",
    "query_key_value",
    "c_attn",
    "qkv_proj",
}
_OUT: Final = {"o_proj", "out_proj", "o", "attn.c_proj", "attention.dense", "wo"}


def is_adapter(config: Mapping[str, Any]) -> bool:
    """Whether it is the configuration of an adapter."""
    return config.get("peft_type") is not None


def adapter_of(config: Mapping[str, Any]) -> Adapter:
    """The adapter of a configuration.

    Raises:
        UsageError: it is none that zenplan plans for, or a field is wrong.
    """
    kind = config["peft_type"]
    if kind != "LORA":
        name = str(kind)[:40] if isinstance(kind, str) else shown(kind)
        raise UsageError(f"the adapter is '{name}', and zenplan plans for LoRA alone", _INSTEAD)
    rank, base = config.get("r", 8), config.get("base_model_name_or_path")
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= _MOST_RANK:
        raise UsageError(
            f"the adapter's rank 'r' is {shown(rank)}", f"it must be a whole number from 1 to {_MOST_RANK:,}"
        )
    modules = config.get("target_modules")
    modules = [modules] if isinstance(modules, str) else modules or []
    if not isinstance(modules, list | tuple) or not all(isinstance(name, str) for name in modules):
        raise UsageError(f"the adapter's 'target_modules' are {shown(modules)}", "they must be a list of names")
    named = base if isinstance(base, str) else ""
    return Adapter(base=named, rank=rank, modules=tuple(modules), normed=config.get("use_dora") is True)


def with_base(
    values: dict[str, Any], config: Mapping[str, Any] | None
) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """The fields of a request and its configuration, where that is an adapter's: its model by name, and its method.

    Raises:
        UsageError: as of ``adapter_of``; it does not say which model it is of; or all of that is to be trained.
    """
    if config is None or not is_adapter(config):
        return values, config
    adapter = adapter_of(config)
    if values.get("method") == "full":
        raise UsageError(
            "--method full and the configuration of an adapter contradict", "give the model's own config.json"
        )
    given = any(values.get(name) is not None for name in ("model", "params"))
    if not given and not adapter.base:
        raise UsageError("the adapter does not say of which model it is", "give it: --model NAME")
    model = {} if given else {"model": next(names_of(adapter.base))}
    return {**values, "method": values.get("method") or "lora", **model, "adapter": adapter}, None


def names_of(base: str) -> Iterator[str]:
    """The name of a model as it may be known, without its publisher; and without what says how it was tuned."""
    name = base.replace("\\", "/").rstrip("/").rpartition("/")[2][:100] or base[:100]
    yield name
    while (shorter := _ENDING.sub("", name)) != name:
        name = shorter
        yield name


def targets_of(adapter: Adapter) -> Targets:
    """Which products have adapters; PEFT's own choice is some of queries, keys and values."""
    names = set(adapter.modules)
    if names <= _READ:
        return Targets.QUERY_KEY_VALUE
    return Targets.ATTENTION if names <= _READ | _OUT else Targets.ALL
