"""What zenplan makes of a plugin's items: the border's own judgement, in a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.hookspecs import hookimpl
from zenplan.plugins.loading import BUILTIN, Plugins, load_plugins
from zenplan.plugins.sources import Source

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The items of one hook, behind the border.

    Attributes:
        plugins: they, and zenplan's own.
        items: those that are in use, as commands have them.
    """

    plugins: Plugins
    items: tuple[Any, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What was left out so far, a line each."""
        return tuple(f"{each.what}: {each.reason}" for each in self.plugins.problems() if not each.kept)


def taken(hook: str, *items: Any) -> Taken:
    """What becomes of items that a hook returns, where the user lets them take the place of zenplan's own."""
    plugin = type("Plugin", (), {hook: staticmethod(hookimpl(lambda: items))})()
    name = "tested"
    plugins = load_plugins(
        {"ZENPLAN_PLUGINS": ""},
        consent=lambda: (name,),
        also=(Source(name=name, load=lambda: plugin, timeout_s=_PATIENCE_S),),
    )
    return Taken(plugins=plugins, items=plugins.of(name)[hook])


def sheets() -> Catalogue:
    """zenplan's own data sheets."""
    return Catalogue(accelerators=load_plugins({"ZENPLAN_PLUGINS": ""}).accelerators())


def own_items(hook: str) -> tuple[Any, ...]:
    """zenplan's own items of a hook."""
    return load_plugins({"ZENPLAN_PLUGINS": ""}).of(BUILTIN)[hook]
