"""Flags of a training run into a request: one place for every command that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zenplan.commands.shared.options import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from zenplan.adapters.settings.settings import Settings
    from zenplan.domain.model.workload import Workload
    from zenplan.domain.training.request import Request


def asked(output: str | None, given: Mapping[str, Any]) -> tuple[Settings, Request]:
    """The settings and the request of a command that was given these flags, None where one was not."""
    from zenplan.adapters.settings.settings import SETTINGS
    from zenplan.commands.shared.settings import resolved

    settings = resolved(**{name: value for name, value in given.items() if name in SETTINGS}, format=output)
    check_sizes(settings, given.get("gpus"), given.get("max_gpus"))
    return settings, request_of(settings, **given)


def request_of(settings: Settings, count: Callable[[str], Workload] | None = None, **given: Any) -> Request:
    """The flags in base units; each is checked on its own here, together later. One that is not given is None.

    Args:
        settings: those of the flags that are settings too.
        count: makes a workload of a Keras target; None to count it with progress on stderr.
        given: the other flags, as texts.
    """
    from zenplan.domain.training.request import Request

    return Request(
        **parsed(given),
        config=_config(given.get("config")),
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
        # The last: it takes seconds, which a slip in another flag should not cost.
        keras=None if given.get("keras") is None else (count or _counted)(given["keras"]),
    )


def check_sizes(settings: Settings, gpus: object | None, max_gpus: object | None) -> None:
    """Raises UsageError: both were given and contradict."""
    if gpus is not None and max_gpus is not None and settings["gpus"] > settings["max_gpus"]:
        from zenplan.errors import UsageError

        raise UsageError(f"--gpus {gpus} and --max-gpus {max_gpus} contradict", "give one of them")


def _config(file: Path | dict[str, Any] | None) -> Mapping[str, Any] | None:
    from zenplan.adapters.settings.model_config import read_model_config

    return file if file is None or isinstance(file, dict) else read_model_config(file)


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
