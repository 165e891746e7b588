"""Whole published runs, predicted: tokens, accelerators and a model to GPU-hours and days.

A row says what was trained, on how many tokens and where; a run's GPU-hours are what its makers counted. It is
predicted twice: its steps alone (steady), and with all that a calendar has beside them (``planning.money.run``). What a
row does not say is chosen as a user of ``zenplan estimate`` would, never from the measured figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zenplan import units
from zenplan.backtesting.cells import Cells
from zenplan.backtesting.plausible import check_speed
from zenplan.backtesting.precisions import precision_of, unsaid
from zenplan.backtesting.whole_model import Model, model_of
from zenplan.domain import checks
from zenplan.domain.answer.estimate import RunTime
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.precision import Precision
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.software import Software, software_of
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.errors import DataError, ZenplanError
from zenplan.families.transformer import recipe
from zenplan.planning.money.run import runs_on
from zenplan.planning.search.search import search
from zenplan.units import DAY_S, HOUR_S

Row = Mapping[str, str]

# A run of unknown size: as many devices as finish it in about that long, at the usual share of the peak.
_USUAL_DAYS, _USUAL_MFU = 30.0, 0.4
_SOFTWARE = Software.FUSED
# Between nodes, where neither the row nor the data sheet says it: 100 Gbit/s a device.
_USUAL_NETWORK_BYTES_PER_S = 12.5e9
# Published hours begin with the training: nobody counts the boot of machines that were there already.
OPERATIONS = Operations(startup_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRun:
    """A measured whole run, and what is predicted for it.

    Attributes:
        row: as given.
        measured_gpu_hours: hours of all devices together, as published; devices · days · 24 where only those are.
        steady_gpu_hours: the steps alone. calendar_gpu_hours: with start-up, evaluation, checkpoints, failures and
            the share by which production lies above the steps.
        devices: how many it ran on, or how many were taken where the row does not say.
        precision, layout: as predicted. software: the kind of the row's framework; empty where it has none that is known.
        measured_days: None where neither the days nor the devices are published.
        facts: what was given and what was taken to arrive at the prediction.
    """

    id: str
    row: Row
    measured_gpu_hours: float
    steady_gpu_hours: Range
    calendar_gpu_hours: Range
    devices: int
    devices_known: bool
    measured_days: float | None
    precision: str
    layout: str
    software: str
    facts: tuple[Fact, ...]

    def __post_init__(self) -> None:
        checks.positive(
            f"run {self.id}",
            measured_gpu_hours=self.measured_gpu_hours,
            devices=self.devices,
            measured_days=self.measured_days,
        )

    @property
    def steady_days(self) -> Range | None:
        """Days of the steps; None where the devices are not known."""
        return self.steady_gpu_hours * (HOUR_S / DAY_S / self.devices) if self.devices_known else None

    @property
    def calendar_days(self) -> Range | None:
        """Days on the calendar; None where the devices are not known."""
        return self.calendar_gpu_hours * (HOUR_S / DAY_S / self.devices) if self.devices_known else None


def whole_runs(
    rows: Sequence[Row], catalogue: Catalogue, coefficients: Coefficients, operations: Operations = OPERATIONS
) -> list[WholeRun | tuple[Row, str]]:
    """Each row as a run with its prediction, or with the reason why it has none; in the rows' order.

    Args:
        rows: cells by column, those of ``benchmarks/published/full_runs.csv``; ``gpu``, ``n_gpus``, ``wall_days``
            and ``arch`` do for ``accelerator``, ``devices``, ``days`` and ``family``. An empty cell is unknown.
        catalogue: the accelerators that rows may name.
        coefficients: the fitted ones of the step-time model.
        operations: what happens to a run besides its steps.
    """
    found: list[WholeRun | tuple[Row, str]] = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(_whole_run(Cells(row, number), catalogue, coefficients, operations))
        except ZenplanError as error:
            found.append((row, error.message))
    return found


def _whole_run(cells: Cells, catalogue: Catalogue, coefficients: Coefficients, operations: Operations) -> WholeRun:
    sheet = catalogue.by_name(cells.text("accelerator"))
    tokens, measured = cells.number("tokens"), cells.gpu_hours()
    model = model_of(cells)
    precision, told = _precision(cells, sheet)
    devices, sized = _devices(cells, model, tokens, sheet, precision)
    plan = _plan(cells, model, tokens, devices, precision)
    check_speed(plan.workload, plan.samples / (measured * HOUR_S), sheet, precision)
    cluster, joined = _cluster(sheet, devices, plan, coefficients)
    run, layout, fits = _run(plan, cluster, operations)
    hours = devices / HOUR_S
    if not math.isfinite(run.calendar_s.high):
        raise DataError("failures come faster than work is saved: the prediction never ends")
    return WholeRun(
        id=cells.id,
        row=cells.row,
        measured_gpu_hours=measured,
        steady_gpu_hours=run.steady_s * hours,
        calendar_gpu_hours=run.calendar_s * hours,
        devices=devices,
        devices_known=cells.has("devices"),
        measured_days=cells.days(),
        precision=precision.name,
        layout=layout,
        software=str(plan.software or "") if cells.text("framework", "") else "",
        facts=(*plan.facts, told, sized, *joined, *fits),
    )


def _precision(cells: Cells, sheet: Accelerator) -> tuple[Precision, Fact]:
    """The row's precision; of a row without one, bf16, or fp16 on an accelerator that has no bf16."""
    given = cells.text("precision", "")
    precision = precision_of(given, sheet)
    origin = Origin.ASSUMED if unsaid(given) else Origin.PUBLISHED
    return precision, Fact(name="precision", value=precision.name, origin=origin)


def _software(cells: Cells) -> tuple[Software | None, Fact]:
    """The kind of the row's framework; without one, what ``zenplan estimate`` assumes."""
    given = cells.text("framework", "")
    if not given:
        return _SOFTWARE, Fact(
            name="software",
            value=str(_SOFTWARE),
            origin=Origin.ASSUMED,
            why="the row does not say; what zenplan estimate assumes",
        )
    software = software_of(given)
    if software is None:
        return None, Fact(
            name="software", value="the average of all", origin=Origin.ASSUMED, why=f"framework {given} is not known"
        )
    return software, Fact(name="software", value=str(software), origin=Origin.PUBLISHED, why=given)


def _devices(cells: Cells, model: Model, tokens: float, sheet: Accelerator, precision: Precision) -> tuple[int, Fact]:
    """As many as the row says, or the power of two that would take about a month."""
    given = cells.whole_or_none("devices")
    if given is not None:
        return given, Fact(name="devices", value=f"{given:,}", origin=Origin.PUBLISHED)
    flop = model.workload.training_flop_per_sample * tokens / model.tokens_per_sample
    each = (sheet.peak(precision.other_dtype) or math.nan) * _USUAL_MFU * _USUAL_DAYS * DAY_S
    # More devices than sequences in a batch would need pipelines that mostly wait.
    most = _usual_batch(model, tokens)
    devices = 2 ** round(math.log2(max(min(flop / each, most), sheet.node_devices)))
    why = (
        f"the row does not say; the power of two that takes about {_USUAL_DAYS:.0f} days at {_USUAL_MFU:.0%} MFU, "
        "at most one for each sequence of a batch"
    )
    return devices, Fact(name="devices", value=f"{devices:,}", origin=Origin.ASSUMED, why=why)


def _cluster(
    sheet: Accelerator, devices: int, plan: TrainingPlan, coefficients: Coefficients
) -> tuple[Cluster, list[Fact]]:
    """The usual nodes of that accelerator, as many as hold the devices, on its usual network."""
    node = min(sheet.node_devices, devices)
    network, facts = sheet.network_bytes_per_s, []
    if devices > node and network is None:
        network = _USUAL_NETWORK_BYTES_PER_S
        value = f"{8 * network / 1e9:.0f} Gbit/s a device"
        facts.append(Fact(name="network", value=value, origin=Origin.ASSUMED, why="the data sheet has none"))
    efficiency = coefficients.of(sheet.architecture, plan.precision, plan.software, plan.workload.family)
    cluster = Cluster(
        accelerator=sheet,
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


def _batch(cells: Cells, model: Model, tokens: float, devices: int) -> tuple[int, Fact]:
    """Samples a step: the row's, or as many as are usual, but the same whole number for each device."""
    given, length = cells.whole_or_none("global_batch"), model.tokens_per_sample
    usual = _usual_batch(model, tokens)
    batch, why, origin = given or max(1, round(usual / devices)) * devices, "", Origin.PUBLISHED
    if not given:
        origin, why = Origin.ASSUMED, "the usual one of that size, made to divide among the devices"
        if usual < devices:
            why = f"the usual one of that size is {usual:,} samples, grown to one for each device"
    value = f"{units.count(batch * length)} tokens ({batch:,} × {length:,})"
    return batch, Fact(name="global batch", value=value, origin=origin, why=why)


def _plan(cells: Cells, model: Model, tokens: float, devices: int, precision: Precision) -> TrainingPlan:
    """AdamW with the row's batch and software, or the usual ones."""
    batch, sized = _batch(cells, model, tokens, devices)
    software, told = _software(cells)
    return TrainingPlan(
        workload=model.workload,
        samples=tokens / model.tokens_per_sample,
        global_batch=batch,
        precision=precision,
        optimizer=OPTIMIZERS["adamw"],
        software=software,
        facts=(*model.workload.facts, sized, told),
    )


def _run(plan: TrainingPlan, cluster: Cluster, operations: Operations) -> tuple[RunTime, str, list[Fact]]:
    """The run in the fastest layout that fits; where none is found to fit, in the leanest, which is then said."""
    found = search(plan, (cluster,))
    layout = str(found.layouts.at(0))
    facts = [Fact(name="layout", value=layout, origin=Origin.DERIVED, why="found by the search")]
    if not found.fits[0]:
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
