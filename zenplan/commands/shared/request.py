"""Flags of a training run into a request: one place for every command that has them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from zenplan.commands.shared.options import FLAGS, parsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zenplan.adapters.settings.settings import Settings
    from zenplan.domain.market.currency import Currency
    from zenplan.domain.model.workload import Workload
    from zenplan.domain.training.data_set import DataSet
    from zenplan.domain.training.project_plan import ProjectPlan
    from zenplan.domain.training.request import Request


def asked(output: str | None, given: Mapping[str, Any]) -> tuple[Settings, Request]:
    """The settings and the request of a command that was given these flags, None where one was not."""
    settings = settings_of(output, given)
    return settings, request_of(settings, **given)


def settings_of(output: str | None, given: Mapping[str, Any]) -> Settings:
    """The settings of a command that was given these flags, None where one was not."""
    from zenplan.adapters.settings.settings import SETTINGS
    from zenplan.commands.shared.settings import resolved

    settings = resolved(**{name: value for name, value in given.items() if name in SETTINGS}, format=output)
    check_sizes(settings, given.get("gpus"), given.get("max_gpus"))
    return settings


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
    from zenplan.domain.training.project_plan import ProjectPlan
    from zenplan.domain.training.request import Request

    _check_price(given)
    config = _config(given.get("config"))
    values = parsed(given)
    if config is not None:
        from zenplan.commands.shared.adapters import with_base

        values, config = with_base(values, config)
    project = ProjectPlan(**{f.name: values.pop(f.name) for f in fields(ProjectPlan) if f.name in values})
    check_labels(project, given)
    return Request(
        **values,
        given=_given(settings, given),
        project=project,
        currency=_currency(given, settings),
        config=config,
        precision=settings["precision"],
        optimizer=settings["optimizer"],
        software=settings["software"],
        **filters_of(settings),
        gpus=settings["gpus"],
        billing=settings["billing"],
        top=settings["top"],
        max_gpus=settings["max_gpus"],
        data=_data(given, tell),
        # The last: it takes seconds, which a slip in another flag should not cost.
        keras=None if given.get("keras") is None else (count or _counted)(given["keras"]),
    )


def _given(settings: Settings, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every flag that was given, and each setting that is not its default: the same again makes the same request."""
    from zenplan.adapters.settings.settings import DEFAULT, SETTINGS
    from zenplan.domain.mapping import read_only

    found = {name: given[name] for name in FLAGS if given.get(name) is not None}
    for name in FLAGS.keys() & SETTINGS.keys() - found.keys():
        if settings.origin(name) != DEFAULT:
            found[name] = settings[name]
    return read_only({name: _as_given(found[name]) for name in FLAGS if name in found})


def _as_given(value: Any) -> Any:
    """The value of a flag as a file holds it; None for what it cannot hold, a model that was built in Python."""
    if isinstance(value, str | os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        # One name of those that may be several stands alone, as it was written.
        return _as_given(value[0]) if len(value) == 1 else tuple(map(_as_given, value))
    if isinstance(value, bool):
        return value
    return str(value) if isinstance(value, int | float) else None


def check_sizes(settings: Settings, gpus: object | None, max_gpus: object | None) -> None:
    """Raises UsageError: both were given and contradict."""
    if gpus is not None and max_gpus is not None and settings["gpus"] > settings["max_gpus"]:
        from zenplan.errors import UsageError

        raise UsageError(f"--gpus {gpus} and --max-gpus {max_gpus} contradict", "give one of them")


def filters_of(settings: Settings) -> dict[str, Any]:
    """The fields of a request that say which offers to look at. Raises UsageError: they leave no provider."""
    from zenplan.errors import UsageError
    from zenplan.units import parse_duration_s

    asked, excluded = settings["provider"], settings["exclude_provider"]
    if asked and set(asked) <= set(excluded or ()):
        names = ",".join(asked)
        raise UsageError(f"--provider {names} and --exclude-provider {','.join(excluded)} contradict", "leave one out")
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


def check_labels(project: ProjectPlan, given: Mapping[str, Any]) -> None:
    """Raises UsageError: hours of labelling and what one costs are not both given, or the sample's price as well."""
    from zenplan.errors import UsageError

    hours = (project.label_hours, project.label_usd_per_h)
    if hours.count(None) == 1:
        raise UsageError("--label-hours and --label-rate go together", "as in: --label-hours 40 --label-rate 25")
    if None not in hours and project.label_usd is not None:
        raise UsageError("--label-usd and --label-hours contradict", "labels are paid by the sample or by the hour")
    if project.label_usd and given.get("samples") is None and given.get("data") is None:
        raise UsageError(
            "--label-usd is for each sample, and nothing says how many there are", "give --samples or --data"
        )
    if project.trial_share is not None and project.trials is None:
        raise UsageError("--trial-share is of --trials", "as in: --trials 20 --trial-share 5%")


def _currency(given: Mapping[str, Any], settings: Settings) -> Currency | None:
    if all(given.get(name) is None for name in ("currency", "rate", "rate_date")):
        return None
    from zenplan.commands.shared.currency import currency_of

    return currency_of(given, settings["prices"])


def _config(file: Path | dict[str, Any] | None) -> Mapping[str, Any] | None:
    if file is None or isinstance(file, dict):
        return file
    from zenplan.adapters.settings.model_config import read_model_config

    return read_model_config(file)


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
