"""zenplan's own items, through the same hooks as anybody's. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.hookspecs import hookimpl
from zenplan.protocols import Engine, Exporter, Launcher, PriceProvider, Tracker, WorkloadFamily

if TYPE_CHECKING:
    from zenplan.domain.model.workload import Workload
    from zenplan.families.configurations.by_name import NamedConfiguration
    from zenplan.families.transformer.presets import Preset
    from zenplan.families.transformer.shape import TransformerShape


@hookimpl
def zenplan_accelerators() -> Iterable[Accelerator]:
    """The bundled data sheets, of accelerators and of processors."""
    from zenplan.adapters.tables.accelerators import read_accelerators
    from zenplan.adapters.tables.processors import read_processors

    return (*read_accelerators(), *read_processors())


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """A provider for each name in the bundled price table."""
    from zenplan.adapters.prices.table import bundled_providers

    return bundled_providers()


@hookimpl
def zenplan_workloads() -> Iterable[WorkloadFamily]:
    """Families of named models, and transformers, with the published models as presets."""
    from zenplan.families.catalogue import FAMILIES
    from zenplan.families.configurations.by_name import ConfigurationFamily
    from zenplan.families.named import LazyFamily
    from zenplan.families.transformer.family import TransformerFamily

    named = (LazyFamily(name, models) for name, models in FAMILIES.items())
    # The last one is asked for what nobody knows: configurations, sizes, other names of a model.
    configured = ConfigurationFamily(_configurations, reader=_configuration)
    return (*named, configured, TransformerFamily(presets=_presets, reader=_configuration))


def _presets() -> Mapping[str, Preset]:
    from zenplan.adapters.tables.models import read_models

    return read_models()


def _configurations() -> Mapping[str, NamedConfiguration]:
    from zenplan.adapters.tables.named_configurations import read_named_configurations

    return read_named_configurations()


def _configuration(config: Any, seq_len: int | None, images: int | None) -> tuple[Workload, TransformerShape | None]:
    from zenplan.adapters.tables.configurations import read_type_defaults
    from zenplan.families.configurations.reading import workload_from_config

    return workload_from_config(config, seq_len, read_type_defaults(), images)


@hookimpl
def zenplan_engines() -> Iterable[Engine]:
    """Keras on each of its backends."""
    from zenplan.adapters.workers.engines import engines

    return engines()


@hookimpl
def zenplan_exporters() -> Iterable[Exporter]:
    """The formats of ``--format``."""
    from zenplan.adapters.formats import exporters

    return exporters()


@hookimpl
def zenplan_trackers() -> Iterable[Tracker]:
    """TensorBoard, MLflow, Trackio, Weights & Biases."""
    from zenplan.adapters.trackers.services import MLflow, Trackio, WandB
    from zenplan.adapters.trackers.tensorboard import TensorBoard

    return (TensorBoard(), MLflow(), Trackio(), WandB())


@hookimpl
def zenplan_launchers() -> Iterable[Launcher]:
    """Slurm, Kubernetes, SkyPilot, dstack, Ray, Kinetic."""
    from zenplan.adapters.launchers.dstack import Dstack
    from zenplan.adapters.launchers.kinetic import Kinetic
    from zenplan.adapters.launchers.kubernetes import Kubernetes
    from zenplan.adapters.launchers.ray import Ray
    from zenplan.adapters.launchers.skypilot import SkyPilot
    from zenplan.adapters.launchers.slurm import Slurm

    return (Slurm(), Kubernetes(), SkyPilot(), Dstack(), Ray(), Kinetic())
