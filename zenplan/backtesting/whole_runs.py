"""Whole published runs, predicted: tokens, accelerators and a model to GPU-hours and days.

A row says what was trained, on how many tokens and where; a run's GPU-hours are what its makers counted. It is
predicted twice: its steps alone (steady), and with all that a calendar has beside them (``planning.money.run``). What a
row does not say is chosen as a user of ``zenplan estimate`` would, never from the measured figure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from zenplan import units
from zenplan.adapters.runs.cells import unsaid
from zenplan.adapters.runs.rows import measured_whole_run
from zenplan.adapters.tables.models import models_by_name
from zenplan.backtesting.workload import check_speed
from zenplan.domain import checks
from zenplan.domain.answer.estimate import RunTime
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.measured.run import MeasuredWholeRun
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.software import Software, software_of
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.domain.training.tuning import USUAL, tuning_of
from zenplan.errors import Skipped, ZenplanError
from zenplan.families.transformer import recipe
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.presets import plain
from zenplan.families.transformer.shape import TransformerShape
from zenplan.families.transformer.sizing import shape_for
from zenplan.planning.money.run import runs_on
from zenplan.planning.search.search import search
from zenplan.units import DAY_S, HOUR_S

# A run of unknown size: as many devices as finish it in about that long, at the usual share of the peak.
_USUAL_DAYS, _USUAL_MFU = 30.0, 0.4
_SOFTWARE = Software.FUSED
# Between nodes, where neither the row nor the data sheet says it: 100 Gbit/s a device.
_USUAL_NETWORK_BYTES_PER_S = 12.5e9
# Published hours begin with the training: nobody counts the boot of machines that were there already.
OPERATIONS = Operations(startup_s=0.0)
# How far a row's parameters may lie from those of the preset that has its name.
_SAME_MODEL = 0.1
# Span corruption leaves 114 tokens to the decoder for 512 of the encoder (Raffel et al. 2020, section 3.1.4).
_DECODER_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedWholeRun:
    """A measured whole run, and what is predicted for it.

    Attributes:
        measured: as its row says.
        measured_gpu_hours: hours of all devices together, as published; devices · days · 24 where only those are.
        measured_days: from start to end; None where neither the days nor the devices are published.
        steady_gpu_hours: the steps alone. calendar_gpu_hours: with start-up, evaluation, checkpoints, failures and
            the share by which production lies above the steps.
        devices: how many it ran on, or how many were taken where the row does not say.
        plan, layout: what is predicted; of several layouts the fastest.
        facts: what was given and what was taken to arrive at the prediction.
    """

    measured: MeasuredWholeRun
    measured_gpu_hours: float
    steady_gpu_hours: Range
    calendar_gpu_hours: Range
    devices: int
    measured_days: float | None
    plan: TrainingPlan
    layout: Layout
    facts: tuple[Fact, ...]

    def __post_init__(self) -> None:
        checks.positive(
            f"run {self.measured.id}",
            measured_gpu_hours=self.measured_gpu_hours,
            devices=self.devices,
            measured_days=self.measured_days,
        )

    @property
    def devices_known(self) -> bool:
        """Whether the row says on how many devices it ran."""
        return self.measured.devices is not None

    @property
    def steady_days(self) -> Range | None:
        """Days of the steps; None where the devices are not known."""
        return self.steady_gpu_hours * (HOUR_S / DAY_S / self.devices) if self.devices_known else None

    @property
    def calendar_days(self) -> Range | None:
        """Days on the calendar; None where the devices are not known."""
        return self.calendar_gpu_hours * (HOUR_S / DAY_S / self.devices) if self.devices_known else None


def whole_runs(
    measured: Iterable[MeasuredWholeRun], coefficients: Coefficients, operations: Operations = OPERATIONS
) -> Iterator[PredictedWholeRun | ZenplanError]:
    """Each run beside its prediction, or the reason why it has none.

    Args:
        measured: the runs.
        coefficients: the fitted ones of the step-time model.
        operations: what happens to a run besides its steps.
    """
    for each in measured:
        try:
            yield _whole_run(each, coefficients, operations)
        except ZenplanError as error:
            yield error


def whole_runs_of(
    rows: Iterable[Mapping[str, str]],
    catalogue: Catalogue,
    coefficients: Coefficients,
    operations: Operations = OPERATIONS,
) -> Iterator[PredictedWholeRun | ZenplanError]:
    """The same of rows of a table, text by column, which name accelerators of the catalogue."""
    for row in rows:
        try:
            measured = measured_whole_run(row, catalogue)
        except ZenplanError as error:
            yield error
        else:
            yield from whole_runs((measured,), coefficients, operations)


def _whole_run(run: MeasuredWholeRun, coefficients: Coefficients, operations: Operations) -> PredictedWholeRun:
    gpu_hours, model = _gpu_hours(run), model_of(run)
    devices, sized = _devices(run, model)
    plan = _plan(run, model, devices)
    check_speed(plan.workload, plan.samples / (gpu_hours * HOUR_S), run.accelerator, run.precision)
    cluster, joined = _cluster(run.accelerator, devices, plan, coefficients)
    time, layout, fits = _run(plan, cluster, operations)
    hours = devices / HOUR_S
    if not math.isfinite(time.wall_clock_s.high):
        raise Skipped("failures come faster than work is saved: the prediction never ends")
    return PredictedWholeRun(
        measured=run,
        measured_gpu_hours=gpu_hours,
        steady_gpu_hours=time.steady_s * hours,
        calendar_gpu_hours=time.wall_clock_s * hours,
        devices=devices,
        measured_days=_days(run),
        plan=plan,
        layout=layout,
        facts=(*plan.facts, _precision(run), sized, *joined, *fits),
    )


def _days(run: MeasuredWholeRun) -> float | None:
    """Days from start to end; from GPU-hours and devices where only those are there."""
    if run.days is None and run.devices is not None and run.gpu_hours is not None:
        return run.gpu_hours * HOUR_S / DAY_S / run.devices
    return run.days


def _gpu_hours(run: MeasuredWholeRun) -> float:
    """Hours of all devices together; from devices and days where only those are there."""
    if run.gpu_hours is not None:
        return run.gpu_hours
    return (run.devices or 0) * (run.days or 0.0) * DAY_S / HOUR_S


def _precision(run: MeasuredWholeRun) -> Fact:
    origin = Origin.ASSUMED if unsaid(run.written_precision) else Origin.PUBLISHED
    return Fact(name="precision", value=run.precision.name, origin=origin)


def known_software(run: MeasuredWholeRun) -> Software | None:
    """The kind of the row's framework; None without one, or of one that is not known."""
    return software_of(run.framework) if run.framework else None


def _software(run: MeasuredWholeRun) -> tuple[Software | None, Fact]:
    """The kind of the row's framework; without one, what ``zenplan estimate`` assumes."""
    given = run.framework
    if not given:
        return _SOFTWARE, Fact(
            name="software",
            value=str(_SOFTWARE),
            origin=Origin.ASSUMED,
            why="the row does not say; what zenplan estimate assumes",
        )
    software = known_software(run)
    if software is None:
        return None, Fact(
            name="software", value="the average of all", origin=Origin.ASSUMED, why=f"framework {given} is not known"
        )
    return software, Fact(name="software", value=str(software), origin=Origin.PUBLISHED, why=given)


def _devices(run: MeasuredWholeRun, model: Model) -> tuple[int, Fact]:
    """As many as the row says, or the power of two that would take about a month."""
    if run.devices is not None:
        return run.devices, Fact(name="devices", value=f"{run.devices:,}", origin=Origin.PUBLISHED)
    flop = model.workload.training_flop_per_sample * run.tokens / model.tokens_per_sample
    each = (run.accelerator.peak(run.precision.other_dtype) or math.nan) * _USUAL_MFU * _USUAL_DAYS * DAY_S
    # More devices than sequences in a batch would need pipelines that mostly wait.
    most = _usual_batch(model, run.tokens)
    devices = 2 ** round(math.log2(max(min(flop / each, most), run.accelerator.node_devices)))
    why = (
        f"the row does not say; the power of two that takes about {_USUAL_DAYS:.0f} days at {_USUAL_MFU:.0%} MFU, "
        "at most one for each sequence of a batch"
    )
    return devices, Fact(name="devices", value=f"{devices:,}", origin=Origin.ASSUMED, why=why)


def _cluster(
    accelerator: Accelerator, devices: int, plan: TrainingPlan, coefficients: Coefficients
) -> tuple[Cluster, list[Fact]]:
    """The usual nodes of that accelerator, as many as hold the devices, on its usual network."""
    node = min(accelerator.node_devices, devices)
    network, facts = accelerator.network_bytes_per_s, []
    if devices > node and network is None:
        network = _USUAL_NETWORK_BYTES_PER_S
        value = f"{8 * network / 1e9:.0f} Gbit/s a device"
        facts.append(Fact(name="network", value=value, origin=Origin.ASSUMED, why="the data sheet has none"))
    efficiency = coefficients.of(accelerator.architecture, plan.precision, plan.software, plan.workload.family)
    cluster = Cluster(
        accelerator=accelerator,
        efficiency=efficiency,
        node_devices=node,
        nodes=-(-devices // node),
        used=devices,
        network_bytes_per_s=network,
    )
    return cluster, facts


def _usual_batch(model: Model, tokens: float) -> int:
    """Samples a step, as published runs of that size have them."""
    return max(1, recipe.recipe_for(model.workload, tokens).global_batch_tokens // model.tokens_per_sample)


def _batch(run: MeasuredWholeRun, model: Model, devices: int) -> tuple[int, Fact]:
    """Samples a step: the row's, or as many as are usual, but the same whole number for each device."""
    given, length = run.global_batch, model.tokens_per_sample
    usual = _usual_batch(model, run.tokens)
    batch, why, origin = given or max(1, round(usual / devices)) * devices, "", Origin.PUBLISHED
    if not given:
        origin, why = Origin.ASSUMED, "the usual one of that size, made to divide among the devices"
        if usual < devices:
            why = f"the usual one of that size is {usual:,} samples, grown to one for each device"
    value = f"{units.count(batch * length)} tokens ({batch:,} × {length:,})"
    return batch, Fact(name="global batch", value=value, origin=origin, why=why)


def _plan(run: MeasuredWholeRun, model: Model, devices: int) -> TrainingPlan:
    """AdamW with the row's batch and software, or the usual ones."""
    batch, sized = _batch(run, model, devices)
    software, named = _software(run)
    return TrainingPlan(
        workload=model.workload,
        samples=run.tokens / model.tokens_per_sample,
        global_batch=batch,
        precision=run.precision,
        optimizer=OPTIMIZERS["adamw"],
        software=software,
        tuning=tuning_of(run.framework) if run.framework else USUAL,
        facts=(*model.workload.facts, sized, named),
    )


def _run(plan: TrainingPlan, cluster: Cluster, operations: Operations) -> tuple[RunTime, Layout, list[Fact]]:
    """The run in the fastest layout that fits; where none is found to fit, in the leanest, which is then said."""
    found = search(plan, (cluster,))
    layout = found.layouts.at(0)
    facts = [Fact(name="layout", value=str(layout), origin=Origin.DERIVED, why="found by the search")]
    if not found.planned[0]:
        needs = units.size(float(found.memory.total_bytes[0]))
        facts.append(
            Fact(
                name="memory",
                value=f"{needs} a device",
                origin=Origin.DERIVED,
                why="more than fits: the run was made, so its layout was leaner than any tried",
            )
        )
    start = Fact(
        name="start-up",
        value=units.duration(operations.startup_s),
        origin=Origin.ASSUMED,
        why="makers count GPU-hours from the start of training, not of renting",
    )
    facts.append(start)
    return runs_on(plan, operations, (cluster,), found).at(0), layout, facts


# --- the model: a preset by its name, or usual proportions of its size


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a row trains.

    Attributes:
        tokens_per_sample: as the row's tokens are counted; of an encoder-decoder, the encoder's.
    """

    workload: Workload
    tokens_per_sample: int


def model_of(run: MeasuredWholeRun) -> Model:
    """The row's model.

    Raises:
        Skipped: the active parameters of a mixture are missing.
        UsageError: no transformer has the row's parameters.
    """
    shape, facts = _shape(run)
    length = shape.seq_len
    if shape.family == "encoder-decoder":
        decoder = max(1, round(length * _DECODER_SHARE))
        shape = replace(shape, seq_len=decoder, encoder_seq_len=length)
        facts += (
            Fact(
                name="decoder",
                value=f"{decoder} tokens for {length} of the encoder",
                origin=Origin.ASSUMED,
                why="what span corruption leaves (Raffel et al. 2020)",
            ),
        )
    return Model(workload=lower(shape, run.model, facts), tokens_per_sample=length)


def _shape(run: MeasuredWholeRun) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The preset of the row's name, if its parameters are about those, or usual proportions of that size."""
    family, params, seq_len = run.family, run.params, run.seq_len
    # Without what stands in brackets; a size of 1.0B is 1B.
    name = re.sub(r"\.0(?=[bB]\b)", "", re.sub(r"\(.*\)", "", run.model))
    preset = models_by_name().get(plain(name))
    if preset is not None and abs(preset.parameters / params - 1.0) <= _SAME_MODEL:
        fact = Fact(name="shape", value=f"that of {preset.name}", origin=Origin.PUBLISHED, why=preset.source)
        return replace(preset.shape, seq_len=seq_len or preset.shape.seq_len), (fact,)
    if family != "moe-decoder":
        shape, facts = shape_for(params, None, seq_len)
        if family == "encoder-decoder":
            paired = _paired(shape, params)
            fact = Fact(
                name="layers",
                value=f"{paired.layers} of the encoder, as many of the decoder",
                origin=Origin.ASSUMED,
                why="half of the parameters each, cross-attention counted",
            )
            return paired, (*facts, fact)
        return replace(shape, family=family), facts
    if run.active_params is None:
        raise Skipped(f"active_params of the mixture of experts {run.model} is missing")
    return shape_for(params, run.active_params, seq_len)


def _paired(shape: TransformerShape, params: float) -> TransformerShape:
    """An encoder and a decoder as deep, of the same widths, with about that many parameters in all."""

    def pair(layers: int) -> TransformerShape:
        return replace(shape, family="encoder-decoder", layers=layers, encoder_layers=layers)

    return min((pair(n) for n in range(1, shape.layers + 1)), key=lambda s: abs(lower(s, "pair").parameters - params))
