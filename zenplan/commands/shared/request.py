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

    _check_price(given)
    return Request(
        **parsed(given),
        config=_config(given.get("config")),
        precision=settings["precision"],
        optimizer=settings["optimizer"],
        software=settings["software"],
        **filters_of(settings),
        gpus=settings["gpus"],
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


def filters_of(settings: Settings) -> dict[str, Any]:
    """The fields of a request that say which offers to look at."""
    from zenplan.units import parse_duration_s

    age = settings["max_price_age"]
    several = ("gpu", "provider", "exclude_provider", "provider_class", "region")
    return {
        **{name: settings[name] or () for name in several},
        "max_usd_per_h": settings["max_usd_per_hour"],
        "max_price_age_s": None if age is None else parse_duration_s(age),
    }


def _check_price(given: Mapping[str, Any]) -> None:
    """Raises UsageError: a price was given, and something that only offers have."""
    others = [name for name in ("provider", "exclude_provider", "provider_class", "region") if given.get(name)]
    if given.get("usd_per_hour") is not None and others:
        from zenplan.errors import UsageError

        flag = f"--{others[0].replace('_', '-')}"
        raise UsageError(f"--usd-per-hour and {flag} contradict", "a price of your own stands for all offers")


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
