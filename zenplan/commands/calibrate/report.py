"""``zenplan calibrate``: what was measured, point by point, and what is predicted from it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from statistics import median
from typing import Any

from zenplan import units
from zenplan.commands.calibrate.names import in_words
from zenplan.commands.calibrate.together import span, together_rows, together_tables
from zenplan.commands.shared.shorten import shortened
from zenplan.domain.measured.calibrated import Calibrated, Calibrations
from zenplan.domain.measured.calibration import CPU, PROGRAM, SWEEP, Calibration, Measured, told
from zenplan.domain.report import Column, Report, Table
from zenplan.errors import DataError
from zenplan.planning.calibration.counted_fit import kind_of
from zenplan.planning.calibration.kernel_fit import fit_sweep

# Of a point's name, so that the table fits 80 columns.
_MOST = 30
_CLOCKS = {CPU: "CPU time of the one thread that computes", "wall": "wall time"}


def calibrate_report(found: Calibrations, said: Collection[str] = ()) -> Report:
    """The points of each calibration and its prediction; or those predictions beside each other, fastest first.

    Args:
        found: what was measured.
        said: notes that the reader has been told already; documents have them all the same.
    """
    each = [
        table
        for taken in found.taken
        for table in (*_points(taken.calibration), *_prediction(taken), *together_tables(taken), *_speeds(taken))
    ]
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _records(found),
        tables=(_comparison(found),) if found.compared else tuple(each),
        notes=_notes(found, said),
    )


def _document(found: Calibrations) -> Any:
    from zenplan.commands.calibrate.document import calibrate_document

    return calibrate_document(found)


def _records(found: Calibrations) -> Iterator[dict[str, Any]]:
    """A row for each point of each calibration."""
    from zenplan.commands.calibrate.document import point_document
    from zenplan.documents import plain

    for taken in (each.calibration for each in found.taken):
        mark = taken.fingerprint
        for measured in taken.measured:
            point = plain(point_document(measured, mark))
            yield {"id": taken.id, "backend": mark.backend, "compiled": mark.compiled, **point}


def _points(taken: Calibration) -> tuple[Table, ...]:
    """A table of what ran, and of what did not; of what was only compiled, another."""
    ran = [m for m in taken.measured if m.point.role != PROGRAM]
    compiled = [m for m in taken.measured if m.point.role == PROGRAM]
    mark = taken.fingerprint
    columns = (
        Column(name="what"),
        Column(name="batch", numeric=True),
        Column(name="step", numeric=True),
        Column(name="spread", numeric=True),
        Column(name="set-up", numeric=True),
        Column(name="peak memory", numeric=True),
    )
    cores = f"{mark.threads} thread{'s' if mark.threads > 1 else ''}"
    title = (
        f"{taken.subject} on {mark.device}, {mark.backend}, {'compiled' if mark.compiled else 'eager'}, "
        f"{mark.precision}, {cores}"
    )
    names = shortened([_name(m, taken) for m in ran], _MOST)
    rows = tuple(_row(m, name, taken) for m, name in zip(ran, names, strict=True))
    caption = (
        f"measured here: step: median, by {_CLOCKS[mark.clock]}; spread: half the range of the middle half; "
        "set-up: building, compiling and the first steps, not in the step; peak memory: measured, and "
        "predicted in brackets"
    )
    steps = Table(title=title, columns=columns, rows=rows, caption=caption)
    return (steps, _programs(compiled)) if compiled else (steps,)


def _name(measured: Measured, taken: Calibration) -> str:
    """The point without its batch; of a sweep in words."""
    key = measured.point.variant
    return in_words(key) if taken.kind == SWEEP else key


def _row(measured: Measured, name: str, taken: Calibration) -> tuple[str, ...]:
    clock = taken.fingerprint.clock
    ran, spread = bool(measured.samples), measured.known_spread(clock)
    return (
        name if ran else f"{name}: {measured.failure or 'not measured'}",
        f"{measured.point.batch:,}",
        units.duration(measured.step_s(clock)) if ran else "-",
        "-" if spread is None else units.percent(spread),
        "-" if measured.setup_s is None else units.duration(measured.setup_s),
        _memory(measured),
    )


def _memory(measured: Measured) -> str:
    peak, expected = measured.peak_bytes, measured.point.predicted_bytes
    text = "not measured" if peak is None else units.size(peak)
    return text if expected is None else f"{text} ({units.size(expected)})"


def _programs(compiled: Sequence[Measured]) -> Table:
    rows = tuple(
        (
            str(m.point.depth),
            "-" if m.program_bytes is None else units.size(m.program_bytes),
            "-" if m.setup_s is None else units.duration(m.setup_s),
            m.failure,
        )
        for m in compiled
    )
    columns = (
        Column(name="depth", numeric=True),
        Column(name="bytes of the program", numeric=True),
        Column(name="compiling", numeric=True),
        Column(name="failure", optional=True),
    )
    whole = any(row[-1] for row in rows)
    return Table(
        columns=columns if whole else columns[:-1],
        rows=rows if whole else tuple(r[:-1] for r in rows),
        caption="compiled and never run: read and written in a step, as the compiler counts",
    )


def _prediction(each: Calibrated) -> tuple[Table, ...]:
    """What the target takes, each line with where it is from; nothing for a sweep."""
    taken, target = each.calibration, each.calibration.target
    if taken.kind == SWEEP or target is None:
        return ()
    columns = (Column(name="predicted"), Column(name="value"), Column(name="from"))
    if each.prediction is None or each.samples_per_s is None:
        return (Table(columns=columns, rows=(("step", "not known", each.reason),)),)
    depth = f", {target.depth} deep" if target.depth else ""
    rows = [(f"step of {target.batch:,}{depth}", span(each.prediction.step_s, units.duration), each.prediction.method)]
    rate = each.samples_per_s
    rows.append((f"{each.unit} a second", span(rate * each.tokens_per_sample, units.count), "batch / step"))
    if each.flop_per_s is not None:
        rows.append(("FLOP/s reached", units.flop_per_s(each.flop_per_s), "FLOP of training, counted, / step"))
    if target.predicted_bytes is not None:
        rows.append(("peak memory", units.size(target.predicted_bytes), "the memory formula, not measured"))
    rows += _run_rows(each)
    rows += together_rows(each)
    return (Table(columns=columns, rows=tuple(rows), caption="80 of 100 such steps are meant to lie in the brackets"),)


def _speeds(each: Calibrated) -> tuple[Table, ...]:
    """What a calibration of the device in general means: the speed of known models."""
    if not each.speeds:
        return ()
    rows = tuple(
        (
            known.model,
            f"{known.batch:,}",
            known.unit,
            known.reason if known.a_second is None else span(known.a_second, units.count),
        )
        for known in each.speeds
    )
    columns = (
        Column(name="known model"),
        Column(name="batch", numeric=True),
        Column(name="unit"),
        Column(name="a second"),
    )
    caption = (
        "trained on this device as it was measured, one step after another; 80 of 100 are meant to lie in the brackets"
    )
    return (Table(columns=columns, rows=rows, caption=caption),)


def _run_rows(each: Calibrated) -> list[tuple[str, str, str]]:
    rows = []
    if each.run_s is not None and each.run.samples is not None:
        amount = units.count(each.run.samples * each.tokens_per_sample)
        rows.append((f"{amount} {each.unit}", span(each.run_s, units.duration), "steps alone, one after another"))
        known = each.run_usd
        price = (
            each.run.price if each.run.price != "as given" else f"{units.usd(each.run.usd_per_h or 0.0)} an hour, given"
        )
        rows.append(
            (
                "dollars of that",
                span(known, units.usd) if known else "not known",
                price if known else "--usd-per-hour tells a price",
            )
        )
    return rows


def _comparison(found: Calibrations) -> Table:
    """Fastest first, each beside the fastest."""
    best = found.fastest[0] if found.fastest else None
    columns = (
        Column(name="backend"),
        Column(name="step"),
        Column(name="a second", numeric=True),
        Column(name="compile", numeric=True),
        Column(name="than the fastest"),
    )
    rows = [
        (
            each.name,
            span(each.prediction.step_s, units.duration),
            units.count(each.samples_per_s.mid),
            "-" if each.setup_s is None else units.duration(each.setup_s),
            _beside(each, best),
        )
        for each in found.fastest
        if each.prediction and each.samples_per_s and best
    ]
    rows += [(each.name, "not known", "-", "-", each.reason) for each in found.taken if each.prediction is None]
    rows += [(each.name, "failed", "-", "-", each.reason) for each in found.failed]
    return Table(
        title="compared",
        columns=columns,
        rows=tuple(rows),
        caption="a second: samples; compile: the longest set-up of a point; time and dollars are those of the "
        "whole run, where it and a price are known",
    )


def _beside(each: Calibrated, best: Calibrated) -> str:
    """How much more it takes than the fastest; nothing, where the intervals overlap."""
    if each is best or each.prediction is None or best.prediction is None:
        return "the fastest"
    own, least = each.prediction.step_s, best.prediction.step_s
    if own.low <= least.high:
        return "no clear difference"
    said = [f"{units.significant(own.mid / least.mid)} times as long"]
    if each.run_s is not None and best.run_s is not None:
        said.append(f"{units.duration(each.run_s.mid - best.run_s.mid)} more")
    if each.run_usd is not None and best.run_usd is not None:
        said.append(f"{units.usd(each.run_usd.mid - best.run_usd.mid)} more")
    return ", ".join(said)


def _notes(found: Calibrations, said: Collection[str]) -> tuple[str, ...]:
    """Where each is, what was chosen, what speaks against it."""
    lines = []
    for each in found.taken:
        taken = each.calibration
        mark, whose = taken.fingerprint, f"{each.name}: " if found.compared else ""
        versions = ", ".join(f"{name} {version}" for name, version in mark.versions.items())
        driver = f", driver {mark.driver}" if mark.driver else ""
        lines.append(f"{whose}kept as {taken.id}: {versions}{driver}; 'zenplan calibrations show {taken.id}' shows it")
        lines += [f"a proxy model: {taken.stand_in}"] if taken.stand_in else []
        lines += [f"{whose}doubt: {doubt}" for doubt in (each.prediction.doubts if each.prediction else ())]
        lines += [*_general(taken), *each.facts, *(f"{whose}{note}" for note in taken.notes if not told(note, said))]
    if not found.compared:
        lines += [f"failed: {each.name}: {each.reason}" for each in found.failed]
    return tuple(dict.fromkeys(lines))


def _general(taken: Calibration) -> list[str]:
    """What a sweep is worth: how far off its own points are, when they are left out of the fit."""
    if taken.kind != SWEEP:
        return []
    try:
        fit = fit_sweep(taken.measured, taken.fingerprint.clock, kind_of(taken.fingerprint))
    except DataError as error:
        return [f"too little for models in general: {error.message}"]
    off = median(abs(math.expm1(each)) for each in fit.left_out)
    return [f"points left out of the fit are predicted {units.percent(off)} off in the median"]
