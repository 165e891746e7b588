"""zenplan's own items, through the same hooks as anybody's. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.hookspecs import hookimpl
from zenplan.protocols import Engine, Exporter, PriceProvider, WorkloadFamily

if TYPE_CHECKING:
    from zenplan.families.named import Builder


@hookimpl
def zenplan_accelerators() -> Iterable[Accelerator]:
    """The bundled data sheets."""
    from zenplan.adapters.tables.accelerators import read_accelerators

    return read_accelerators()


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """A provider for each name in the bundled price table."""
    from zenplan.adapters.prices.table import bundled_providers

    return bundled_providers()


@hookimpl
def zenplan_workloads() -> Iterable[WorkloadFamily]:
    """Families of named models, and transformers, with the published models as presets."""
    from zenplan.adapters.tables.models import read_models
    from zenplan.families.lazy import LazyFamily
    from zenplan.families.transformer.family import TransformerFamily

    # The last one is asked for what nobody knows: configurations, sizes, other names of a model.
    return (
        LazyFamily("convnet", _convnets),
        LazyFamily("recurrent", _recurrent),
        LazyFamily("recommender", _recommenders),
        LazyFamily("mlp", _mlp),
        LazyFamily("vision transformer", _vision),
        LazyFamily("speech transformer", _speech),
        LazyFamily("text classifier", _classifiers),
        LazyFamily("diffusion", _diffusion),
        LazyFamily("gnn", _graphs),
        TransformerFamily(presets=read_models()),
    )


def _convnets() -> Mapping[str, Builder]:
    from zenplan.families.images.models import models

    return models()


def _recurrent() -> Mapping[str, Builder]:
    from zenplan.families.recurrent import MODELS

    return MODELS


def _recommenders() -> Mapping[str, Builder]:
    from zenplan.families.recommenders import MODELS

    return MODELS


def _mlp() -> Mapping[str, Builder]:
    from zenplan.families.mlp import MODELS

    return MODELS


def _vision() -> Mapping[str, Builder]:
    from zenplan.families.vision import MODELS

    return MODELS


def _speech() -> Mapping[str, Builder]:
    from zenplan.families.speech import MODELS

    return MODELS


def _classifiers() -> Mapping[str, Builder]:
    from zenplan.families.classifiers import MODELS

    return MODELS


def _diffusion() -> Mapping[str, Builder]:
    from zenplan.families.diffusion import MODELS

    return MODELS


def _graphs() -> Mapping[str, Builder]:
    from zenplan.families.graphs import MODELS

    return MODELS


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
