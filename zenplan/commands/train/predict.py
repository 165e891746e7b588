"""What is predicted of a run before its first step: from a stored calibration, from its rehearsal, or from the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from zenplan import units
from zenplan.commands.train.asked import Asked
from zenplan.domain.measured.training_run import FITTED, REHEARSED, STORED, SWEPT, UNKNOWN, RunPrediction, RunResult
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.planning.watch.checkpoints import interval_steps
from zenplan.planning.watch.evaluations import assumed_evaluate_s, evaluations_apart
from zenplan.planning.watch.money import Tariff
from zenplan.planning.watch.rehearsal import at_least_crowded, corrected, held_up, in_a_crowd, step_of
from zenplan.worker.protocol import Rehearsed

if TYPE_CHECKING:
    from zenplan.domain.answer.estimate import MemoryUse
    from zenplan.domain.hardware.accelerator import Accelerator
    from zenplan.domain.training.plan import TrainingPlan

# Electricity where nobody gives its price: near to what all customers of the United States pay on average.
USD_PER_KWH: Final = 0.13
# Of the worker, until its first step and after its last, where no run has shown it (assumed); and how far off what is beside
# steps may be, in a machine that is quiet and in one that is busy (assumed).
_SETUP_S, _ENDING_S, _QUIET, _BUSY = 10.0, 1.0, 0.25, 0.6
# An ending that no run has shown took from 0.3 s (TensorFlow) to 2 s (JAX, PyTorch) in the runs of benchmarks/train.py.
# Beside other programs it took up to three times what was predicted of it (assumed).
_UNSEEN_ENDING, _UNSEEN_BUSY_ENDING = 1.0, 3.0
# How the fact of what ZeRO divides is called, before its stage.
DIVIDED: Final = "ZeRO"
# Where no checkpoint was timed before the run: so many in it.
_CHECKPOINTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is known before a run beside what was asked for.

    Attributes:
        plan: of the model as it was counted; None where it could not be.
        sheet: of the GPU; None on a processor, or where none is known.
        step: of the run with its origin and reason; None where nothing says it yet.
        before: the newest finished run of the same on this machine; None without one.
        ratios: measured over predicted step of earlier runs on this device, by the origin of the prediction.
        setup_s, ending_s: that workers took here until their first step, and after their last; None without a run.
        busy: what other programs took before the run of what it is to have; empty where they took nothing.
    """

    plan: TrainingPlan | None = None
    sheet: Accelerator | None = None
    step: tuple[Range, str, str] | None = None
    before: RunResult | None = None
    ratios: Mapping[str, Sequence[float]]
    busy: str = ""
    setup_s: float | None = None
    ending_s: float | None = None

    @property
    def rehearses(self) -> bool:
        """Whether steps are to be timed before the run: nothing that was measured says how long they are."""
        return self.step is None or self.step[1] != STORED


def tariff_of(asked: Asked, sheet: Accelerator | None, measured_w: float | None) -> Tariff:
    """What an hour costs: as given, or by the power that was given, measured, or is on the data sheet."""
    if asked.usd_per_h is not None:
        return Tariff(usd_per_h=asked.usd_per_h, power_w=asked.power_w or measured_w, why="as given")
    usd_per_kwh = USD_PER_KWH if asked.usd_per_kwh is None else asked.usd_per_kwh
    each = f"${usd_per_kwh:g} a kWh, {'assumed' if asked.usd_per_kwh is None else 'as given'}"
    if asked.power_w is not None:
        return Tariff(usd_per_kwh=usd_per_kwh, power_w=asked.power_w, why=f"{asked.power_w:,.0f} W as given, {each}")
    if measured_w is not None:
        return Tariff(usd_per_kwh=usd_per_kwh, power_w=measured_w, why=f"{measured_w:,.0f} W measured, {each}")
    if sheet is not None and sheet.power_w is not None:
        usual = Operations()
        power_w = usual.power_share[1] * sheet.power_w + usual.host_w
        share = units.percent(usual.power_share[1])
        why = (
            f"{power_w:,.0f} W assumed ({share} of the data sheet's limit and {usual.host_w:.0f} W of the host), {each}"
        )
        return Tariff(usd_per_kwh=usd_per_kwh, power_w=power_w, why=why)
    return Tariff(why="not known: --usd-per-hour, or --power, says it")


def evaluations_of(asked: Asked, done: int = 0) -> int:
    """Evaluations of the run after that step: on validation data every so many steps and at the end, and on test data."""
    parts = asked.data.parts
    validation = checkpoints_of(asked.job.steps, asked.job.evaluate_every, done)
    return (validation if "validation" in parts else 0) + ("test" in parts)


def checkpoints_of(steps: int, every: int, done: int = 0) -> int:
    """Checkpoints of the run after that step, the last at its end; that of the beginning is part of setting up."""
    during = steps // every - done // every if every else 0
    return during + (1 if not every or steps % every else 0)


def interval_of(asked: Asked, checkpoint_s: float | None, step_s: float | None) -> int:
    """Steps between checkpoints: as given, what costs and loses least, or ten in a run where nothing was timed."""
    if not asked.chosen_interval:
        return asked.job.checkpoint_every
    if checkpoint_s is None or not step_s:
        return max(1, asked.job.steps // _CHECKPOINTS)
    return interval_steps(checkpoint_s, asked.mtbf_s, step_s)


def evaluations_every(asked: Asked, evaluate_s: float | None, step_s: float | None) -> int:
    """Steps between evaluations: as given, or ten in a run where they cost little; what nobody has timed is assumed.

    A run that its validation loss ends has its ten whatever they cost.
    """
    job = asked.job
    if not asked.chosen_evaluation:
        return job.evaluate_every
    if job.until_loss is not None or job.patience:
        return evaluations_apart(job.steps, 0.0)
    cost_steps = assumed_evaluate_s(asked.evaluated, job.batch, 1.0)
    if evaluate_s is not None and step_s:
        cost_steps = evaluate_s / step_s
    return evaluations_apart(job.steps, cost_steps, "test" in asked.data.parts)


def spaced(asked: Asked, evaluate_every: int, checkpoint_every: int) -> Asked:
    """The run with evaluations and checkpoints so many steps apart: it is in its job, and so the same when it is resumed."""
    return replace(
        asked,
        job=msgspec.structs.replace(asked.job, evaluate_every=evaluate_every, checkpoint_every=checkpoint_every),
    )


def before_the_run(asked: Asked, world: World, tariff: Tariff, start_s: float = 0.0) -> RunPrediction:
    """What is predicted without a rehearsal, from what was measured before or from the fit.

    Args:
        asked, world, tariff: of the run.
        start_s: from the command's start until now.
    """
    step, origin, why = world.step or (None, UNKNOWN, "nothing like it was measured on this machine")
    past = _past(world.before)
    learned = _learned(step, origin, world)
    facts: list[Fact] = []
    step = learned["step_s"]
    setup_s = _known_or(facts, "setting up", past.pop("setup_s", world.setup_s), _SETUP_S, "no run has shown it here")
    if step is not None and "evaluate_s" not in past:
        each_s = assumed_evaluate_s(asked.evaluated, asked.job.batch, step.mid)
        past["evaluate_s"] = _known_or(facts, "an evaluation", None, each_s, "a third of training on as many samples")
    common = _common(asked, world, tariff)
    return replace(
        common,
        origin=origin,
        why=why,
        start_s=start_s,
        setup_s=start_s + setup_s,
        **learned,
        **_apart(asked, step, past.get("evaluate_s"), past.get("checkpoint_s")),
        facts=(*common.facts, *facts, *(() if "memory_bytes" in past else _least_memory(asked, world.plan))),
        **past,
    )


def _known_or(facts: list[Fact], name: str, known: float | None, assumed: float, why: str) -> float:
    if known is None:
        facts.append(Fact(name=name, value=units.duration(assumed), origin=Origin.ASSUMED, why=why))
    return assumed if known is None else known


def _apart(asked: Asked, step: Range | None, evaluate_s: float | None, checkpoint_s: float | None) -> dict[str, Any]:
    """How far evaluations and checkpoints are apart, and how many there are so."""
    step_s = step.mid if step else None
    evaluate, save = evaluations_every(asked, evaluate_s, step_s), interval_of(asked, checkpoint_s, step_s)
    return {
        "evaluate_every": evaluate,
        "evaluations": evaluations_of(spaced(asked, evaluate, save)),
        "checkpoint_every": save,
        "checkpoints": checkpoints_of(asked.job.steps, save),
    }


def after_the_rehearsal(
    asked: Asked,
    world: World,
    tariff: Tariff,
    rehearsed: Rehearsed,
    setup_s: float,
    rehearsal_s: float,
    start_s: float = 0.0,
) -> RunPrediction:
    """What is predicted by the steps that were timed before the run.

    Args:
        asked, world, tariff: of the run.
        rehearsed: what the worker said.
        setup_s: until then, from the command's start on; start_s: of it, until the worker was started.
        rehearsal_s: that all of the rehearsal took.
    """
    walls, cpus = rehearsed.step_wall_s, rehearsed.step_cpu_s
    if not world.busy and asked.job.device == "cpu" and held_up(walls, cpus):
        world = replace(world, busy="busy: steps of the rehearsal waited for processors that other programs had")
    learned = _learned(step_of(walls, bool(world.busy)), REHEARSED, world)
    also = [
        name
        for name, each in (("an evaluation", rehearsed.evaluate_s), ("a checkpoint", rehearsed.checkpoint_s))
        if each
    ]
    timed = ", ".join([units.many(len(walls), "step"), *also[:-1]]) + (f" and {also[-1]}" if also else "")
    ratios = world.ratios.get(REHEARSED, ())
    runs = f"; corrected by {units.many(len(ratios), 'earlier run')} here" if ratios else ""
    return replace(
        _common(asked, world, tariff),
        origin=REHEARSED,
        why=f"{timed}, timed here before the run{runs}",
        **learned,
        **_apart(asked, learned["step_s"], rehearsed.evaluate_s, rehearsed.checkpoint_s),
        start_s=start_s,
        setup_s=setup_s,
        rehearsal_s=rehearsal_s,
        evaluate_s=rehearsed.evaluate_s,
        checkpoint_s=rehearsed.checkpoint_s,
        checkpoint_bytes=rehearsed.checkpoint_bytes,
        cores=sum(cpus) / sum(walls) if len(cpus) == len(walls) else None,
        **_measured_memory(rehearsed),
    )


def _common(asked: Asked, world: World, tariff: Tariff) -> RunPrediction:
    plan, job = world.plan, asked.job
    flop = plan.workload.training_flop_per_sample * job.batch if plan else None
    use = _memory(asked, plan)
    memory = None if use is None or job.device == "cpu" else use.total_bytes
    beside, unseen = (_BUSY, _UNSEEN_BUSY_ENDING) if world.busy else (_QUIET, _UNSEEN_ENDING)
    price = Fact(name="price", value=tariff.why, origin=Origin.GIVEN if asked.usd_per_h is not None else Origin.ASSUMED)
    busy = (Fact(name="before the run", value=world.busy, origin=Origin.MEASURED),) if world.busy else ()
    return RunPrediction(
        origin=UNKNOWN,
        why="",
        made_at=datetime.now(UTC),
        steps=job.steps,
        workers=job.workers,
        devices=job.devices,
        ending_s=_ENDING_S if world.ending_s is None else world.ending_s,
        ending_spread=unseen if world.ending_s is None else beside,
        beside_spread=beside,
        usd_per_h=tariff.hourly_usd,
        price=tariff.why,
        power_w=tariff.power_w,
        memory_bytes=memory,
        memory_how="" if memory is None else "by what is counted of the model",
        flop_per_step=flop,
        peak_flop_per_s=world.sheet.peak(plan.precision.matmul_dtype) if world.sheet and plan else None,
        facts=(*asked.facts, *_divided(asked, plan), price, *busy),
    )


def _divided(asked: Asked, plan: TrainingPlan | None) -> tuple[Fact, ...]:
    """What a worker holds of what ZeRO divides; none without it."""
    job = asked.job
    if not job.zero or job.workers == 1:
        return ()
    value = f"each of {job.workers} workers holds its part of weights, gradients and optimizer states"
    whole = _memory(replace(asked, job=msgspec.structs.replace(job, zero=0)), plan)
    if whole is not None:
        # Between two steps: in one it has the layer that it computes whole besides.
        value += f": about {units.size(_held(whole) / job.workers)} of {units.size(_held(whole))}, as counted"
    return (Fact(name=f"{DIVIDED} {job.zero}", value=value, origin=Origin.DERIVED),)


def _held(use: MemoryUse) -> float:
    return use.weights_bytes + use.gradients_bytes + use.optimizer_bytes


def _memory(asked: Asked, plan: TrainingPlan | None) -> MemoryUse | None:
    """Of a worker at the peak; None where the model was not counted."""
    if plan is None:
        return None
    from zenplan.domain.training.layout import Layout
    from zenplan.planning.physics.columns import Layouts
    from zenplan.planning.physics.memory import peak_memory

    job = asked.job
    layout = Layout(
        dp=job.workers if job.zero else 1,
        zero=job.zero,
        micro_batch=job.micro_batch,
        accumulation=job.batch // (job.micro_batch * job.replicas),
    )
    return peak_memory(plan, Layouts.of([layout])).at(0)


def _least_memory(asked: Asked, plan: TrainingPlan | None) -> tuple[Fact, ...]:
    """On a processor, what is known of a peak that nothing has measured: the peak that a run tells is its process's, which
    compiles and computes in memory of the framework's own, of small models most of it."""
    use = _memory(asked, plan) if asked.job.device == "cpu" else None
    if use is None:
        return ()
    # A processor has no context of a GPU's driver.
    least = use.total_bytes - use.workspace_bytes
    why = (
        "weights, gradients, optimizer and activations; what the framework takes beside them is not known before a run"
    )
    return (Fact(name="peak memory", value=f"at least {units.size(least)}", origin=Origin.DERIVED, why=why),)


def _measured_memory(rehearsed: Rehearsed) -> dict[str, Any]:
    if not rehearsed.peak_bytes:
        return {}
    return {"memory_bytes": rehearsed.peak_bytes, "memory_how": f"measured before the run: {rehearsed.how}"}


def _learned(step: Range | None, origin: str, world: World) -> dict[str, Any]:
    """The step, corrected by what came of earlier predictions of the same origin; of a stored one, that is in it."""
    if step is None or origin in (STORED, SWEPT, FITTED):
        return {"step_s": in_a_crowd(step) if step is not None and world.busy else step}
    found = corrected(step, world.ratios.get(origin, ()))
    found = at_least_crowded(found) if world.busy else found
    return {"step_s": found, "correction": found.mid / step.mid}


def worker_setup_s(of: RunResult) -> float:
    """What the worker of a run that was started once took until its first step."""
    return max(0.0, of.status.spent.setup_s - (of.prediction.start_s if of.prediction else 0.0))


def _past(before: RunResult | None) -> dict[str, Any]:
    """What a run of the same took beside its steps."""
    if before is None:
        return {}
    spent = before.status.spent
    found: dict[str, Any] = {"setup_s": worker_setup_s(before)} if before.status.starts == 1 else {}
    if before.evaluations:
        found["evaluate_s"] = spent.evaluation_s / before.evaluations
    if before.checkpoints:
        found["checkpoint_s"] = spent.checkpoint_s / before.checkpoints
    if before.peak_bytes:
        found |= {"memory_bytes": before.peak_bytes, "memory_how": "as an earlier run had it"}
    return found


def mfu_of(prediction: RunPrediction | None, step_s: float | None) -> float | None:
    """Model FLOP utilisation of a step: None where its FLOP or the device's peak are not known."""
    if prediction is None or not step_s or prediction.flop_per_step is None or not prediction.peak_flop_per_s:
        return None
    return prediction.flop_per_step / step_s / prediction.peak_flop_per_s
