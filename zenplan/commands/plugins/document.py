"""The JSON document of the plugins. Its schema is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from zenplan.commands.shared.document import (
    DISTINCT,
    CountFromZero,
    Name,
    NotNegative,
)
from zenplan.documents import Document, fill
from zenplan.domain.plugin import PluginInfo, Problem

if TYPE_CHECKING:
    from zenplan.commands.plugins.check import Card


class OwnFailureDocument(Document):
    """Something that went wrong."""

    what: Annotated[Name, Meta(description="What it was doing: the hook, or load.")]
    reason: Annotated[Name, Meta(description="Why, in one line.")]


class PluginDocument(Document):
    """A plugin."""

    name: Annotated[Name, Meta(description="Name of the entry point; builtin for zenplan's own.")]
    version: Annotated[str | None, Meta(description="Version of its distribution.")]
    distribution: Annotated[str | None, Meta(description="The distribution it comes in.")]
    hooks: Annotated[tuple[Name, ...], DISTINCT, Meta(description="Hooks it implements.")]
    items: Annotated[
        dict[str, Annotated[CountFromZero, Meta(description="Items, a count.")]],
        Meta(description="Hook to the number of its items in use."),
    ]
    failures: Annotated[tuple[OwnFailureDocument, ...], Meta(description="What went wrong with it.")]


class FailureDocument(Document):
    """Something that went wrong."""

    plugin: Annotated[Name, Meta(description="The plugin with its distribution.")]
    what: Annotated[Name, Meta(description="What it was doing: the hook, or load.")]
    reason: Annotated[Name, Meta(description="Why, in one line.")]


class DuplicateDocument(Document):
    """A name used twice."""

    what: Annotated[Name, Meta(description="The name that two use.")]
    kept: Annotated[Name, Meta(description="The plugin whose item is in use.")]
    left_out: Annotated[Name, Meta(description="The plugin whose item is not.")]


class PluginsDocument(Document, tag_field="schema", tag="zenplan.plugins/1"):
    """Answer of 'zenplan plugins'.

    The plugins that were found, and what was left out.
    """

    plugins: Annotated[
        tuple[PluginDocument, ...],
        Meta(description="Plugins in order; the first to use a name keeps it."),
    ]
    failures: Annotated[
        tuple[FailureDocument, ...],
        Meta(description="Everything that was left out because it is wrong."),
    ]
    duplicates: Annotated[tuple[DuplicateDocument, ...], Meta(description="Names that two plugins use.")]


def plugins_document(
    infos: Sequence[PluginInfo], failures: Sequence[Problem], taken: Sequence[Problem]
) -> PluginsDocument:
    """The plugins, what was left out because it is wrong, and names that were taken already."""
    return PluginsDocument(
        plugins=tuple(_plugin(info) for info in infos),
        failures=tuple(fill(FailureDocument, problem) for problem in failures),
        duplicates=tuple(fill(DuplicateDocument, problem, left_out=problem.plugin) for problem in taken),
    )


def _plugin(info: PluginInfo) -> PluginDocument:
    return fill(
        PluginDocument,
        info,
        version=info.version or None,
        distribution=info.distribution or None,
        failures=tuple(fill(OwnFailureDocument, problem) for problem in info.failures),
    )


class CheckDocument(Document):
    """One check of a contract."""

    item: Annotated[Name, Meta(description="What was checked: load, or an item, as in provider mycloud.")]
    check: Annotated[Name, Meta(description="What has to be so, in words.")]
    outcome: Annotated[Literal["passed", "failed", "skipped"], Meta(description="What came out.")]
    reason: Annotated[str | None, Meta(description="Why it failed or was skipped, in one line.")]
    wall_s: Annotated[NotNegative, Meta(description="Time that it took, in seconds.")]


class PluginCheckDocument(Document, tag_field="schema", tag="zenplan.plugin_check/1"):
    """Answer of 'zenplan plugins check'.

    The report card of an installed plugin.
    """

    name: Annotated[Name, Meta(description="Name of the plugin.")]
    version: Annotated[str | None, Meta(description="Version of its distribution.")]
    distribution: Annotated[str | None, Meta(description="The distribution it comes in.")]
    passed: Annotated[bool, Meta(description="Whether something was checked and nothing failed.")]
    checks: Annotated[tuple[CheckDocument, ...], Meta(description="Every check, in order.")]


def plugin_check_document(card: Card) -> PluginCheckDocument:
    """The report card."""
    return fill(
        PluginCheckDocument,
        card.plugin,
        version=card.plugin.version or None,
        distribution=card.plugin.distribution or None,
        passed=card.passed,
        checks=tuple(
            fill(CheckDocument, check, check=check.what, reason=check.reason or None) for check in card.checks
        ),
    )
