"""The seven hooks of a zenplan plugin. None takes an argument; each returns an iterable.

A plugin is a module (or an object) registered under the entry-point group ``zenplan``, with any of
these functions marked by ``@zenplan.hookimpl``. Items come from the plugins that are installed
first and from zenplan's own last; the first to use a name keeps it, and ``zenplan plugins`` names both.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.protocols import Engine, Exporter, Launcher, PriceProvider, Tracker, WorkloadFamily

PROJECT = "zenplan"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def zenplan_accelerators() -> Iterable[Accelerator]:  # type: ignore[empty-body]
    """Data sheets of accelerators."""


@hookspec
def zenplan_price_providers() -> Iterable[PriceProvider]:  # type: ignore[empty-body]
    """Sources of prices, one for each provider."""


@hookspec
def zenplan_workloads() -> Iterable[WorkloadFamily]:  # type: ignore[empty-body]
    """Families of models."""


@hookspec
def zenplan_engines() -> Iterable[Engine]:  # type: ignore[empty-body]
    """Training frameworks."""


@hookspec
def zenplan_exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """Formats of a report."""


@hookspec
def zenplan_trackers() -> Iterable[Tracker]:  # type: ignore[empty-body]
    """Services that follow training runs."""


@hookspec
def zenplan_launchers() -> Iterable[Launcher]:  # type: ignore[empty-body]
    """Clusters and clouds that a run is launched on."""
