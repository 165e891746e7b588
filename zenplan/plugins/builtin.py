"""zenplan's own items, through the same hooks as anybody's. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable

from zenplan.domain.accelerator import Accelerator
from zenplan.hookspecs import hookimpl
from zenplan.protocols import Exporter, PriceProvider, WorkloadFamily


@hookimpl
def zenplan_accelerators() -> Iterable[Accelerator]:
    """The bundled data sheets."""
    from zenplan.adapters.accelerator_table import read_accelerators

    return read_accelerators()


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """A provider for each name in the bundled price table."""
    from zenplan.adapters.price_table import bundled_providers

    return bundled_providers()


@hookimpl
def zenplan_workloads() -> Iterable[WorkloadFamily]:
    """Transformers, with the published models as presets."""
    from zenplan.adapters.model_table import read_models
    from zenplan.families.family import TransformerFamily

    return (TransformerFamily(presets=read_models()),)


@hookimpl
def zenplan_exporters() -> Iterable[Exporter]:
    """The formats of ``--format``."""
    from zenplan.reports.formats import exporters

    return exporters()
