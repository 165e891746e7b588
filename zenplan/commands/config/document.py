"""The JSON document of the settings. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from msgspec import Meta

from zenplan.adapters.settings.settings import Settings
from zenplan.commands.shared.document import Name
from zenplan.documents import Document

T = TypeVar("T")


class SettingDocument(Document, Generic[T]):
    """A setting, and where it comes from."""

    value: Annotated[T | None, Meta(description="What is used; null where it is left to the command.")]
    origin: Annotated[Name, Meta(description="Who said so: a flag, a variable, the path of a file, or default.")]


class SettingsDocument(Document):
    """Every setting."""

    gpu: Annotated[SettingDocument[str], Meta(description="The accelerators to plan for, with commas between.")]
    gpus: Annotated[SettingDocument[int], Meta(description="How many devices, a count.")]
    max_gpus: Annotated[SettingDocument[int], Meta(description="The largest cluster to consider, in devices.")]
    provider: Annotated[SettingDocument[str], Meta(description="Whose prices to look at, with commas between.")]
    exclude_provider: Annotated[
        SettingDocument[str], Meta(description="Whose prices not to look at, with commas between.")
    ]
    provider_class: Annotated[
        SettingDocument[str], Meta(description="Which kinds of providers to look at, with commas between.")
    ]
    region: Annotated[SettingDocument[str], Meta(description="Where to rent, with commas between.")]
    max_usd_per_hour: Annotated[
        SettingDocument[float], Meta(description="The most the whole cluster may cost an hour, in US dollars.")
    ]
    max_price_age: Annotated[SettingDocument[str], Meta(description="How old a price may be, as in 90d.")]
    billing: Annotated[SettingDocument[str], Meta(description="The price that quotes are ranked by.")]
    precision: Annotated[SettingDocument[str], Meta(description="The arithmetic of a training step.")]
    optimizer: Annotated[SettingDocument[str], Meta(description="The optimizer.")]
    software: Annotated[SettingDocument[str], Meta(description="The kind of framework.")]
    top: Annotated[SettingDocument[int], Meta(description="How many quotes to show, a count.")]
    format: Annotated[SettingDocument[str], Meta(description="How an answer is written.")]
    prices: Annotated[SettingDocument[str], Meta(description="Path of a price table, or a price book, of one's own.")]
    may_replace: Annotated[
        SettingDocument[str],
        Meta(description="Plugins whose items may have the names of zenplan's own, with commas between."),
    ]
    fresh: Annotated[SettingDocument[bool], Meta(description="Whether prices are fetched before an answer.")]
    operations: Annotated[
        SettingDocument[str], Meta(description="How runs are operated, as names and values with commas between.")
    ]


class ConfigDocument(Document, tag_field="schema", tag="zenplan.config/1"):
    """Answer of 'zenplan config'.

    Settings, and where each comes from.
    """

    settings: Annotated[SettingsDocument, Meta(description="Every setting.")]
    files: Annotated[
        tuple[Name, ...],
        Meta(description="Settings files that were read, the one with more weight first."),
    ]


def config_document(settings: Settings) -> ConfigDocument:
    """Every setting, and the files that were read."""
    values = settings.values.items()
    # SettingsDocument has a field for each; one that it lacks is an error when this is run.
    found = {n: SettingDocument(value=v.plain, origin=v.origin) for n, v in values}
    return ConfigDocument(settings=SettingsDocument(**found), files=tuple(map(str, settings.files)))
