"""Flags of a training run into a request: one place for every command that has them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from zenplan.adapters.settings.settings import Settings
    from zenplan.domain.model.workload import Workload
    from zenplan.domain.training.data_set import DataSet
    from zenplan.domain.training.request import Request


def request_of(
    settings: Settings,
    count: Callable[[str], Workload] | None = None,
    tell: Callable[[float], None] | None = None,
    **given: Any,
) -> Request:
    """The flags in base units; each is checked on its own here, together later. One that is not given is None.

    Args:
        settings: those of the flags that are settings too.
        count: makes a workload of a Keras target; None to count it with progress on stderr.
        tell: of counting data, with the share that is done; None to show it on stderr.
        given: the other flags, as texts.
    """
    from zenplan.domain.training.request import Request
    from zenplan.units import parse_bytes, parse_count, parse_duration_s, parse_usd

    parsed = partial(_parsed, given)
    return Request(
        params=parsed("params", parse_count, 1e14),
        model=given.get("model"),
        config=_config(given.get("config")),
        flop_per_sample=parsed("flops_per_sample", parse_count, 1e18),
        activations_per_sample=parsed("activations_per_sample", parse_count, 1e15),
        active_params=parsed("active_params", parse_count, 1e14),
        tokens=parsed("tokens", parse_count, 1e18),
        dataset_bytes=parsed("dataset_size", parse_bytes),
        samples=parsed("samples", whole, 1e15),
        epochs=parsed("epochs", parse_count, 1e9),
        image_size=parsed("image_size", whole, 1e5),
        seq_len=parsed("seq_len", whole, 1e8),
        global_batch_tokens=parsed("global_batch", parse_count, 1e12),
        batch=parsed("batch", whole, 1e9),
        method=given.get("method"),
        deadline_s=parsed("deadline", parse_duration_s),
        budget_usd=parsed("budget", parse_usd),
        precision=settings["precision"],
        optimizer=settings["optimizer"],
        software=settings["software"],
        gpu=settings["gpu"],
        gpus=settings["gpus"],
        provider=settings["provider"],
        region=settings["region"],
        billing=settings["billing"],
        top=settings["top"],
        max_gpus=settings["max_gpus"],
        data=_data(given, tell),
        # The last: it takes seconds, which a slip in another flag should not cost.
        keras=None if given.get("keras") is None else (count or _counted)(given["keras"]),
    )


def _parsed(given: Mapping[str, Any], name: str, parse: Any, *more: Any) -> Any:
    value = given.get(name)
    return None if value is None else parse(value, f"--{name.replace('_', '-')}", *more)


def check_sizes(settings: Settings, gpus: object | None, max_gpus: object | None) -> None:
    """Raises UsageError: both were given and contradict."""
    if gpus is not None and max_gpus is not None and settings["gpus"] > settings["max_gpus"]:
        from zenplan.errors import UsageError

        raise UsageError(f"--gpus {gpus} and --max-gpus {max_gpus} contradict", "give one of them")


def _config(file: Path | dict[str, Any] | None) -> Mapping[str, Any] | None:
    from zenplan.adapters.settings.model_config import read_model_config

    return file if file is None or isinstance(file, dict) else read_model_config(file)


def _data(given: Mapping[str, Any], tell: Callable[[float], None] | None) -> DataSet | None:
    """The data set that was pointed to, counted. Raises UsageError: another flag says how much there is, or needs it."""
    from zenplan.errors import UsageError

    path = given.get("data")
    for name in ("text_column", "tokenizer") if path is None else ():
        if given.get(name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for --data", "give --data PATH with it")
    for name in ("tokens", "samples", "dataset_size") if path is not None else ():
        if given.get(name) is not None:
            raise UsageError(f"--data and --{name.replace('_', '-')} contradict", "give one of them")
    if path is None:
        return None
    from pathlib import Path

    from zenplan.commands.shared.data import counted

    tokenizer = given.get("tokenizer")
    return counted(Path(path), given.get("text_column"), None if tokenizer is None else Path(tokenizer), tell)


def _counted(target: str) -> Workload:
    """The Keras model, counted, with progress on stderr."""
    from zenplan.commands.shared.progress import elapsed
    from zenplan.commands.shared.workload import keras_model

    with elapsed(target) as tell:
        return keras_model(target, tell)


def whole(text: str | None, what: str, most: float) -> int | None:
    """A whole number as people write it, None where it is not given. Raises UsageError: it is not one."""
    from zenplan.units import parse_whole

    return None if text is None else parse_whole(text, what, most)
