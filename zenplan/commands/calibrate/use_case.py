"""``zenplan calibrate``, from what was asked for to what is predicted; on one engine or on several, compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from zenplan import units
from zenplan.adapters.clock import today
from zenplan.adapters.store.store import CalibrationStore
from zenplan.commands.calibrate import data_parallel
from zenplan.commands.calibrate.asked import Vary, own_model, proxy_of
from zenplan.commands.calibrate.how import How, both_ways, gpu_of
from zenplan.commands.calibrate.known_models import known_speeds
from zenplan.commands.calibrate.points import (
    ALL,
    calibrate_model,
    calibrate_sweep,
    came_to_something,
    model_about,
    sweep_about,
)
from zenplan.commands.calibrate.record import About, StoredRecorder
from zenplan.commands.calibrate.running import Session, Show, before
from zenplan.commands.calibrate.subject import Subject
from zenplan.commands.shared.amount import amount
from zenplan.commands.shared.tables import cheapest
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.device import Profile
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.measured.calibrated import Calibrated, Calibrations, FailedCalibration, WholeRun
from zenplan.domain.measured.calibration import BUSY, Calibration, told
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.request import Request
from zenplan.errors import UsageError, ZenplanError
from zenplan.planning.calibration.depth_fit import prediction_of
from zenplan.protocols import Engine, WorkloadFamily


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be measured, and what for.

    Attributes:
        family: of a sweep.
        request: a model, its batch, and how much it is trained on; none of them for a sweep.
        keras: a target of the user's.
        vary, depth: of its builder.
        compare: on every engine, with compilation and without.
    """

    request: Request
    family: str = ALL
    keras: str | None = None
    vary: Vary | None = None
    depth: int | None = None
    compare: bool = False
    usd_per_h: float | None = None

    @property
    def is_model(self) -> bool:
        """Whether a model is asked about, not the device in general."""
        return any((self.keras, self.request.model, self.request.config, self.request.params))


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it is measured, and all that zenplan knows of such machines.

    Attributes:
        sheet: of its GPU; None without one that is known.
        notes: what speaks against measuring it now.
    """

    profile: Profile
    sheet: Accelerator | None
    tables: Sequence[PriceTable] = ()
    families: Sequence[WorkloadFamily] = ()
    notes: tuple[str, ...] = ()


def calibrate(
    wanted: Wanted,
    engines: Sequence[Engine],
    how: How,
    machine: Machine,
    store: CalibrationStore,
    show: Show,
    warn: Callable[[str], None],
) -> Calibrations:
    """Measure on each engine, and predict.

    Args:
        wanted: what to measure: a model, or the device in general.
        engines: each in its turn.
        how: device, precision, threads, time and rounds.
        machine: on which, and with which software.
        store: takes every sample as it is measured.
        show: called with the share that is done and what is being done.
        warn: called with what speaks against the measurement, when it is seen.

    Raises:
        UsageError: what was asked for is not possible.
        ZenplanError: nothing at all was measured, or ``--strict`` forbids it.
    """
    if wanted.compare and not wanted.is_model:
        raise UsageError("nothing says which model to compare", "as in: --model gpt2 --compare")
    if wanted.vary and wanted.keras is None:
        raise UsageError("--vary is for --keras", "it names an argument of the function that builds the model")
    once = _once(warn)
    notes = before(how, machine.profile)
    for note in notes:
        once(note)
    ways = [(engine, each) for engine in engines for each in (both_ways(how) if wanted.compare else (how,))]
    taken: list[Calibrated] = []
    failed: list[FailedCalibration] = []
    for index, (engine, each) in enumerate(ways):

        def part(share: float, text: str, index: int = index) -> None:
            show((index + share) / len(ways), text)

        try:
            taken.append(_one(wanted, engine, each, replace(machine, notes=notes), store, part, once))
        except ZenplanError as error:
            if len(ways) == 1:
                raise
            failed.append(FailedCalibration(name=_name(engine, each), reason=error.message, hint=error.hint))
    if not taken:
        raise ZenplanError(f"{failed[0].name}: {failed[0].reason}", failed[0].hint)
    return Calibrations(taken=tuple(taken), failed=tuple(failed), compared=wanted.compare)


def _once(warn: Callable[[str], None]) -> Callable[[str], None]:
    """The same, of what was not told yet."""
    said: list[str] = []

    def once(note: str) -> None:
        if not told(note, said):
            said.append(note)
            warn(note)

    return once


def _name(engine: Engine, how: How) -> str:
    return engine.name if how.compiled is None else f"{engine.name}, {'compiled' if how.compiled else 'eager'}"


def _one(
    wanted: Wanted,
    engine: Engine,
    how: How,
    machine: Machine,
    store: CalibrationStore,
    show: Show,
    warn: Callable[[str], None],
) -> Calibrated:
    """On one engine."""
    began_s = time.monotonic()
    subject = _subject(wanted, engine, how, machine, show) if wanted.is_model else None
    if subject and how.workers > 1:
        data_parallel.check_depth(subject)
    about = model_about(subject) if subject else sweep_about(wanted.family)
    session = _session(engine, how, machine, store, about, show)
    session.began_s = began_s
    try:
        if subject is None:
            calibrate_sweep(session)
        else:
            calibrate_model(session, subject)
    finally:
        # What was seen is said, whatever became of the rest; what was not finished is gone on with by the next run.
        if session.record.id:
            for note in session.calibration().notes:
                warn(note)
    _busy(session, warn)
    if subject is None:
        # What is too little is not finished: the next run goes on with it.
        came_to_something(session)
    store.finish(session.record.id)
    came_to_something(session)
    found = _calibrated(session.calibration(), subject, wanted, how, machine)
    if subject is None or how.workers == 1:
        return found
    together = data_parallel.calibrate_workers(
        subject, how, engine.name, lambda stage, _seconds: show(1.0, f"{how.workers} workers: {stage}")
    )
    return replace(found, together=together)


def _busy(session: Session, warn: Callable[[str], None]) -> None:
    """A note, where the steps themselves waited for other programs."""
    found = session.calibration()
    note = f"{BUSY} steps took {found.waited:.2f} times as long as they computed"
    if found.was_busy and not told(note, found.notes):
        session.record.store.add_note(found.id, note)
        warn(note)


def _subject(wanted: Wanted, engine: Engine, how: How, machine: Machine, show: Show) -> Subject:
    if wanted.keras is None:
        return proxy_of(wanted.request, machine.families, how, engine.name)
    return own_model(
        wanted.keras,
        wanted.request,
        how,
        engine.name,
        wanted.vary,
        wanted.depth,
        lambda stage, _seconds: show(0.0, f"{engine.name}: {stage}"),
    )


def _session(engine: Engine, how: How, machine: Machine, store: CalibrationStore, about: About, show: Show) -> Session:
    gpu = gpu_of(machine.profile) if how.device == "gpu" else None
    record = StoredRecorder(
        store=store,
        about=about,
        backend=engine.name,
        precision=how.precision,
        gpu=(gpu.name.value or "") if gpu else "",
        driver=(machine.profile.driver.driver_version.value or "") if gpu else "",
    )
    return Session(engine=engine, how=how, profile=machine.profile, record=record, show=show, notes=machine.notes)


def _calibrated(
    calibration: Calibration, subject: Subject | None, wanted: Wanted, how: How, machine: Machine
) -> Calibrated:
    if subject is None:
        return Calibrated(
            calibration=calibration,
            prediction=None,
            reason="a sweep is of no model",
            speeds=known_speeds(calibration, wanted.request, machine.families),
            facts=how.facts,
        )
    workload = subject.plan.workload
    sheet = machine.sheet if how.device == "gpu" else None
    prediction, reason = prediction_of(calibration)
    return Calibrated(
        calibration=calibration,
        prediction=prediction,
        reason=reason,
        unit=workload.unit,
        tokens_per_sample=workload.tokens_per_sample,
        facts=(*how.facts, *subject.facts),
        run=whole_run(wanted.request, workload, wanted.usd_per_h, sheet, machine.tables),
    )


# --- what the steps are for


def whole_run(
    request: Request,
    workload: Workload,
    usd_per_h: float | None,
    sheet: Accelerator | None,
    tables: Sequence[PriceTable],
) -> WholeRun:
    """Samples as they were given, and a price as it was given, or else the lowest of that accelerator.

    Args:
        request: what was asked for: samples, tokens or epochs, if any.
        workload: the model.
        usd_per_h: of the device, as given; None where nobody said.
        sheet: of the device; None of a processor, whose price nobody knows.
        tables: of prices.
    """
    asked = request.samples or request.tokens or request.dataset_bytes or request.epochs
    samples = amount(request, workload).samples if asked else None
    if usd_per_h is not None:
        return WholeRun(samples=samples, usd_per_h=usd_per_h, price="as given")
    found = cheapest(sheet, tables, today()) if sheet else None
    if found is None:
        return WholeRun(samples=samples)
    return WholeRun(
        samples=samples,
        usd_per_h=found.usd_per_h,
        price=f"{units.usd(found.usd_per_h)} an hour on demand, {found.offer}, {found.seen}",
    )
