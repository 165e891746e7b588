"""Plugins: found, loaded and called one by one, so that a bad one is left out and the rest answer."""

from zenplan.domain.plugin import PluginInfo, Problem
from zenplan.plugins.loading import BUILTIN, Plugins, load_plugins

__all__ = ["BUILTIN", "PluginInfo", "Plugins", "Problem", "load_plugins"]
