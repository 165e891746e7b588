"""Measured training runs that can be predicted: a run becomes a plan, its layouts and a cluster.

What a row does not say is chosen as a user of that software would have, and never from the measured figure; each
choice is told in ``Run.assumed``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

from zenplan.adapters.runs.cells import stored, unsaid
from zenplan.adapters.runs.rows import measured_run
from zenplan.backtesting.attention import attention_kernel
from zenplan.backtesting.fine_tuning import fine_tuned
from zenplan.backtesting.kept import run_kept
from zenplan.backtesting.layouts import (
    SoftwareTraits,
    candidate_layouts,
    channels_last,
    data_parallel,
    interleaves,
    likely,
    software_traits,
)
from zenplan.backtesting.workload import run_workload
from zenplan.domain.answer.fit import Fit, fit_of
from zenplan.domain.fit.attention import AttentionKernel
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import Efficiency
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.measured.run import BY_NAME, MeasuredRun
from zenplan.domain.model.operators import Attention
from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import Precision
from zenplan.domain.software import Software, software_of
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import OPTIMIZERS, Optimizer, TrainingPlan
from zenplan.errors import Skipped, ZenplanError
from zenplan.planning.physics.columns import Layouts
from zenplan.planning.physics.memory import peak_memory
from zenplan.planning.physics.step import Question, fastest

# Lanes of the second card on a desktop board, whose first has the processor's.
_SLOW_LANES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run, as it can be predicted.

    Attributes:
        measured: as its row says.
        layouts: what the row says, or all that it can mean and that fit memory; the fastest is taken.
        fit: what the memory model finds of the leanest of them; the run was made, so it should fit.
        tokens_per_s: measured, of one device.
        guessed: the row does not say its layout in full.
        assumed: what the row does not say, and what was taken.
    """

    measured: MeasuredRun
    plan: TrainingPlan
    layouts: tuple[Layout, ...]
    fit: Fit
    cluster: Cluster
    tokens_per_s: float
    guessed: bool = False
    assumed: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it is not found to be impossible."""
        return self.fit is not Fit.NO

    @property
    def devices(self) -> int:
        """Devices of the run."""
        return self.cluster.devices


def runs(measured: Iterable[MeasuredRun], coefficients: Coefficients) -> Iterator[Run | ZenplanError]:
    """Each run with what it takes to predict it, or with the reason why it cannot be."""
    efficiencies = _efficiencies(coefficients)
    yield from _chosen([_attempt(each, efficiencies) for each in measured])


def runs_of(
    rows: Iterable[Mapping[str, str]], catalogue: Catalogue, coefficients: Coefficients
) -> Iterator[Run | ZenplanError]:
    """The same of rows of a table, text by column, which name accelerators of the catalogue."""
    read: list[_Draft | ZenplanError] = []
    efficiencies = _efficiencies(coefficients)
    for row in rows:
        try:
            read.append(_draft(measured_run(row, catalogue), efficiencies))
        except ZenplanError as error:
            read.append(error)
    yield from _chosen(read)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A run before it is known which of its layouts fit; ``assumed`` is what was taken for all of them."""

    measured: MeasuredRun
    plan: TrainingPlan
    layouts: tuple[Layout, ...]
    cluster: Cluster
    tokens_per_s: float
    assumed: tuple[str, ...]


# By architecture, precision, software and family, with a kernel of attention.
_Efficiencies = Callable[[str, Precision, Software | None, str, AttentionKernel], Efficiency]


def _efficiencies(coefficients: Coefficients) -> _Efficiencies:
    """Runs that are alike in all of it share one."""

    @cache
    def of(
        architecture: str, precision: Precision, software: Software | None, family: str, kernel: AttentionKernel
    ) -> Efficiency:
        return replace(coefficients.of(architecture, precision, software, family), kernel=kernel)

    return of


def _attempt(run: MeasuredRun, efficiencies: _Efficiencies) -> _Draft | ZenplanError:
    try:
        return _draft(run, efficiencies)
    except ZenplanError as error:
        return error


def _draft(run: MeasuredRun, efficiencies: _Efficiencies) -> _Draft:
    software = _software(run)
    traits = software_traits(run, software)
    tuned = fine_tuned(run, run_workload(run, software))
    workload = tuned.workload
    kernel, unnamed = attention_kernel(run, software)
    cluster = _cluster(
        run, efficiencies(run.accelerator.architecture, run.precision, software, workload.family, kernel)
    )
    named = run.family in BY_NAME
    layouts = data_parallel(run, cluster) if named else candidate_layouts(run, cluster, workload, traits)
    maps_last, why = channels_last(run, software)
    plan = TrainingPlan(
        workload=workload,
        samples=1e6,
        global_batch=layouts[0].global_batch,
        precision=run.precision,
        optimizer=tuned.optimizer or _optimizer(workload),
        method=tuned.method,
        weight_bytes=tuned.weight_bytes,
        fused_attention=traits.fused_attention,
        channels_last=maps_last,
        software=software,
        keeps=run_kept(run, software, tuned.method),
        tuning=traits.tuning,
    )
    return _Draft(
        measured=run,
        plan=plan,
        layouts=layouts,
        cluster=cluster,
        tokens_per_s=measured_tokens_per_s(run, workload.tokens_per_sample),
        assumed=(
            *_assumed_of_software(traits, unnamed, workload),
            *tuned.assumed,
            *filter(None, [why, stored(run.precision, run.accelerator)]),
            *_unknown(run, software),
        ),
    )


def _chosen(drafts: Sequence[_Draft | ZenplanError]) -> Iterator[Run | ZenplanError]:
    """Each with the layouts that it can have had, in the order of the drafts. Plans that keep alike what they hold in
    memory are evaluated together."""
    groups: dict[Hashable, list[int]] = {}
    for index, draft in enumerate(drafts):
        if isinstance(draft, _Draft):
            plan = draft.plan
            key = (id(plan.workload), plan.precision, plan.optimizer, plan.fused_attention, plan.weight_bytes)
            groups.setdefault((*key, plan.keeps), []).append(index)
    found: dict[int, Run] = {}
    for indices in groups.values():
        together = [d for d in (drafts[i] for i in indices) if isinstance(d, _Draft)]
        needs = peak_memory(together[0].plan, Layouts.of([x for d in together for x in d.layouts])).total_bytes
        each = iter(needs.tolist())
        found.update((i, _run(d, list(islice(each, len(d.layouts))))) for i, d in zip(indices, together, strict=True))
    return (draft if isinstance(draft, ZenplanError) else found[index] for index, draft in enumerate(drafts))


def _run(draft: _Draft, needs_bytes: Sequence[float]) -> Run:
    """The run in the layouts that its row can mean; ``needs_bytes`` of each of the draft's."""
    run, layouts = draft.measured, draft.layouts
    shares = [needs / run.accelerator.capacity_bytes for needs in needs_bytes]
    kept = likely(layouts, shares, run.micro_batch is not None)
    return Run(
        measured=run,
        plan=draft.plan,
        layouts=tuple(layouts[i] for i in kept),
        fit=fit_of(min(shares[i] for i in kept)),
        cluster=draft.cluster,
        guessed=len(layouts) > 1 or not run.global_batch,
        tokens_per_s=draft.tokens_per_s,
        assumed=draft.assumed,
    )


def _software(run: MeasuredRun) -> Software | None:
    """The kind of framework. Beyond language models neither PyTorch nor TensorFlow compiles unless it is asked to."""
    compiled = run.compiled
    if run.family in BY_NAME and not compiled and re.search("pytorch|tensorflow", run.framework.lower()):
        compiled = "no"
    return software_of(run.framework, compiled, run.options)


def _optimizer(workload: Workload) -> Optimizer:
    """The usual one of the model; of a model of which only counts are known, that of its family."""
    if workload.usual is not None:
        return OPTIMIZERS[workload.usual.optimizer]
    return OPTIMIZERS["sgd-momentum" if workload.family == "convnet" else "adamw"]


def _assumed_of_software(traits: SoftwareTraits, unnamed: str, workload: Workload) -> tuple[str, ...]:
    """What was taken of the software, where the model has something to do with it; ``unnamed`` is of a fused kernel."""
    attends = any(isinstance(op, Attention) for block in workload.blocks for op in block.operators)
    of_kernel = (unnamed,) if unnamed and traits.fused_attention else ()
    return (*traits.assumed, *of_kernel) if attends else ()


def alike(made: Sequence[Run]) -> list[list[int]]:
    """Indices of runs of one model in one arithmetic, together: each list is one evaluation of the step time."""
    groups: dict[Hashable, list[int]] = {}
    for index, run in enumerate(made):
        plan = run.plan
        arithmetic = plan.precision, plan.weight_bytes, plan.software, plan.fused_attention, plan.channels_last
        key = (id(plan.workload), *arithmetic, plan.optimizer, plan.tuning)
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def predicted_speeds(made: Sequence[Run]) -> list[tuple[Layout, float]]:
    """Of each run the fastest of its layouts, and how many samples a second it does on one device."""
    groups = alike(made)
    asked = [Question(made[g[0]].plan, [made[i].cluster for i in g], [made[i].layouts for i in g]) for g in groups]
    found: dict[int, tuple[Layout, float]] = {}
    for indices, speeds in zip(groups, fastest(asked), strict=True):
        found.update(zip(indices, speeds, strict=True))
    return [found[index] for index in range(len(made))]


def _cluster(run: MeasuredRun, efficiency: Efficiency) -> Cluster:
    node = min(run.devices, run.node_devices or run.accelerator.node_devices)
    # A row that names no network ran on the accelerator's usual one.
    network = run.network_bytes_per_s or run.accelerator.network_bytes_per_s
    slow = "slow-pcie" in run.options
    return Cluster(
        accelerator=run.accelerator,
        efficiency=efficiency,
        node_devices=node,
        nodes=-(-run.devices // node),
        used=run.devices,
        network_bytes_per_s=network if run.devices > node else None,
        linked=not slow,
        pcie_lanes=_SLOW_LANES if slow else 16,
    )


def measured_tokens_per_s(run: MeasuredRun, tokens_per_sample: int) -> float:
    """Of one device: as measured, or samples a second times a sample's tokens.

    Raises:
        Skipped: neither was measured.
    """
    tokens, samples = run.tokens_per_s_per_device, run.samples_per_s_per_device
    # Of an encoder-decoder tables count the encoder's tokens, so the samples are surer.
    if samples and (run.family == "encoder-decoder" or not tokens):
        return samples * tokens_per_sample
    if tokens:
        return tokens
    raise Skipped("no measured tokens_per_s_per_device or samples_per_s_per_device")


def _unknown(run: MeasuredRun, software: Software | None) -> list[str]:
    """The cells that are empty or say nothing known, and what is taken in their place."""
    said = [f"{name} is empty: {taken}" for name, given, taken in _needed(run) if given in (None, "")]
    if run.framework and software is None:
        said.append(f"framework {run.framework} is not known: the average of all software")
    if run.written_precision and unsaid(run.written_precision):
        said.append(f"precision is {run.written_precision}: bf16, or fp16 before it")
    return said


def _needed(run: MeasuredRun) -> Sequence[tuple[str, object, str]]:
    """The cells that matter to a row's family, what they say, and what an empty one stands for."""
    software = (
        ("framework", run.framework, "the average of all software"),
        ("precision", run.written_precision, "bf16, or fp16 before it"),
    )
    if run.family not in BY_NAME:
        return (
            ("global_batch", run.global_batch, "enough micro-batches to fill the pipeline"),
            ("micro_batch", run.micro_batch, "the fastest that fits"),
            ("recompute", run.recompute, "as little as may have fitted"),
            ("vp", run.vp or (run.pp or 1) == 1 or None, "the fastest that fits" if interleaves(run) else "none"),
            ("zero_stage", run.zero_stage, "the fastest that fits"),
            ("task", run.task, "pre-training"),
            *software,
        )
    if run.global_batch or run.micro_batch:
        return software
    return ("global_batch", run.global_batch, "the fastest that fits"), *software
