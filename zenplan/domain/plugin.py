"""What is known of a plugin: what it gave, and what went wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something of a plugin that was left out.

    Attributes:
        plugin: whose it was: ``runpod (zenplan-runpod 0.1.0)``.
        what: ``load``, a hook, an item or a table.
        reason: in one line.
        kept: for a name that was taken, the plugin that keeps it; empty where something is wrong.
    """

    plugin: str
    what: str
    reason: str
    kept: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """A plugin, what it gave, and what went wrong with it.

    Attributes:
        owner: the plugin with its distribution, as in ``Problem.plugin``.
        name: of the entry point; ``builtin`` for zenplan's own.
        hooks: the hooks it implements, and can be called.
        items: for each of these, how many of its items are in use.
        failures: what is wrong with it; a name that another plugin had first is not.
    """

    owner: str
    name: str
    version: str
    distribution: str
    hooks: tuple[str, ...]
    items: Mapping[str, int]
    failures: tuple[Problem, ...]
