"""Measured training runs as nouns: a row of a table becomes a plan, its layouts and a cluster.

Empty is unknown. What a row does not say is chosen as a user of that software would have, and never from the
measured figure; each choice is told in ``Run.assumed``.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zenplan.adapters.runs.shapes import BY_NAME
from zenplan.backtesting.era import Era, channels_last, era_of
from zenplan.backtesting.layouts import candidate_layouts, data_parallel, whole
from zenplan.backtesting.models import named_workload
from zenplan.backtesting.precisions import precision_of, stored, unsaid
from zenplan.backtesting.workload import run_workload
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import Efficiency
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.operators import Attention
from zenplan.domain.model.workload import Workload
from zenplan.domain.software import Software, software_of
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import OPTIMIZERS, Optimizer, TrainingPlan
from zenplan.errors import Skipped, ZenplanError
from zenplan.planning.explain.method import with_adapters
from zenplan.planning.physics.columns import Layouts
from zenplan.planning.physics.memory import peak_memory

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run.

    Attributes:
        layouts: what the row says, or all that it can mean and that fit memory; the fastest is taken.
        fits: whether the memory model finds that any fits; the run was made, so it should.
        tokens_per_s: measured, of one device.
        guessed: the row does not say its layout in full.
        assumed: what the row does not say, and what was taken.
    """

    row: Row
    plan: TrainingPlan
    layouts: tuple[Layout, ...]
    fits: bool
    cluster: Cluster
    tokens_per_s: float
    guessed: bool = False
    assumed: tuple[str, ...] = ()

    @property
    def devices(self) -> int:
        """Devices of the run."""
        return self.cluster.devices


def runs(rows: Sequence[Row], catalogue: Catalogue, coefficients: Coefficients) -> Iterator[Run | tuple[Row, str]]:
    """Each row as a run, or with the reason why it is none."""
    for row in rows:
        try:
            yield _run(row, catalogue, coefficients)
        except ZenplanError as error:
            yield row, str(error)


def _run(row: Row, catalogue: Catalogue, coefficients: Coefficients) -> Run:
    accelerator, software = catalogue.by_name(row["accelerator"]), _software(row)
    precision = precision_of(row["precision"], accelerator)
    era = era_of(row, accelerator, precision, software)
    workload, method = _trained(row, software), "lora" if row["task"] == "lora" else "full"
    if method == "lora":
        workload = with_adapters(workload)
    efficiency = coefficients.of(accelerator.architecture, precision, software, workload.family)
    cluster = _cluster(row, accelerator, efficiency)
    layouts = (
        data_parallel(row, cluster) if row["family"] in BY_NAME else candidate_layouts(row, cluster, workload, era)
    )
    maps_last, why = channels_last(row, precision, software)
    plan = TrainingPlan(
        workload=workload,
        samples=1e6,
        global_batch=layouts[0].global_batch,
        precision=precision,
        optimizer=_optimizer(workload),
        method=method,
        weight_bytes=precision.compute_bytes,
        fused_attention=era.fused_attention,
        channels_last=maps_last,
        software=software,
    )
    # The layout that the row does not say in full is one that fits; of none, the leanest: the run was made.
    needs = peak_memory(plan, Layouts.of(layouts)).total_bytes
    fits = needs <= accelerator.capacity_bytes
    kept = fits.nonzero()[0] if fits.any() else [int(needs.argmin())]
    return Run(
        row=row,
        plan=plan,
        layouts=tuple(layouts[i] for i in kept),
        fits=bool(fits.any()),
        cluster=cluster,
        guessed=len(layouts) > 1 or not row["global_batch"],
        tokens_per_s=measured(row, workload.tokens_per_sample),
        assumed=(*_told(era, workload), *filter(None, [why, stored(precision, accelerator)]), *_unknown(row, software)),
    )


def _software(row: Row) -> Software | None:
    """The kind of framework. Beyond language models neither PyTorch nor TensorFlow compiles unless it is asked to."""
    compiled = row.get("compiled", "")
    if row["family"] in BY_NAME and not compiled and re.search("pytorch|tensorflow", row["framework"].lower()):
        compiled = "no"
    return software_of(row["framework"], compiled)


def _trained(row: Row, software: Software | None) -> Workload:
    return named_workload(row) if row["family"] in BY_NAME else run_workload(row, software)


def _optimizer(workload: Workload) -> Optimizer:
    """The usual one of the model; of a model of which only counts are known, that of its family."""
    if workload.usual is not None:
        return OPTIMIZERS[workload.usual.optimizer]
    return OPTIMIZERS["sgd-momentum" if workload.family == "convnet" else "adamw"]


def _told(era: Era, workload: Workload) -> tuple[str, ...]:
    """What was taken of the software, where the model has something to do with it."""
    attends = any(isinstance(op, Attention) for block in workload.blocks for op in block.operators)
    return era.assumed if attends else ()


def alike(made: Sequence[Run]) -> list[list[int]]:
    """Places of runs of one model in one arithmetic, together: each list is one evaluation of the step time."""
    groups: dict[Hashable, list[int]] = {}
    for place, run in enumerate(made):
        plan = run.plan
        key = (id(plan.workload), plan.precision, plan.fused_attention, plan.channels_last, plan.optimizer)
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _cluster(row: Row, sheet: Accelerator, efficiency: Efficiency) -> Cluster:
    devices = whole(row, "devices", 1)
    node = min(devices, whole(row, "node_devices", min(sheet.node_devices, devices)))
    printed = row["network_gbit_per_s_per_device"]
    # A row that names no network ran on the accelerator's usual one.
    network = float(printed) * 1e9 / 8 if printed else sheet.network_bytes_per_s
    return Cluster(
        accelerator=sheet,
        efficiency=efficiency,
        node_devices=node,
        nodes=-(-devices // node),
        used=devices,
        network_bytes_per_s=network if devices > node else None,
    )


def measured(row: Row, tokens_per_sample: int) -> float:
    """Tokens a second and device: as measured, or samples a second times a sample's tokens."""
    # Of an encoder-decoder tables count the encoder's tokens, so the samples are surer.
    if row["samples_per_s_per_device"] and (row["family"] == "encoder-decoder" or not row["tokens_per_s_per_device"]):
        return float(row["samples_per_s_per_device"]) * tokens_per_sample
    if row["tokens_per_s_per_device"]:
        return float(row["tokens_per_s_per_device"])
    raise Skipped("no measured tokens_per_s_per_device or samples_per_s_per_device")


def _unknown(row: Row, software: Software | None) -> list[str]:
    """The cells that are empty or say nothing known, and what is taken in their place."""
    said = [f"{name} is empty: {taken}" for name, taken in _empty(row) if not row.get(name)]
    if row["framework"] and software is None:
        said.append(f"framework {row['framework']} is not known: the average of all software")
    if row["precision"] and unsaid(row["precision"]):
        said.append(f"precision is {row['precision']}: bf16, or fp16 before it")
    if row["task"] == "lora":
        said.append("adapters: of zenplan's usual rank, on every product of a layer")
    return said


def _empty(row: Row) -> Sequence[tuple[str, str]]:
    """The cells that matter to a row's family, and what an empty one stands for."""
    software = (("framework", "the average of all software"), ("precision", "bf16, or fp16 before it"))
    if row["family"] not in BY_NAME:
        return (
            ("global_batch", "enough micro-batches to fill the pipeline"),
            ("micro_batch", "the fastest that fits"),
            ("recompute", "the fastest that fits"),
            ("zero_stage", "the fastest that fits"),
            ("task", "pre-training"),
            *software,
        )
    if row["global_batch"] or row["micro_batch"]:
        return software
    return ("global_batch", "the fastest that fits"), *software
