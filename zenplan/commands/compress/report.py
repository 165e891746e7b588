"""``zenplan compress``: smaller versions beside the model that they are of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from zenplan import units
from zenplan.domain.measured.compression import PRUNE, Compression, Version
from zenplan.domain.measured.training_run import ACCURACY
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Report, Table

_BOUNDS: Final = {
    "min_accuracy": "--min-accuracy",
    "min_kept": "--min-metric",
    "max_share": "--max-share",
    "max_mb": "--max-mb",
    "max_ms": "--max-ms",
}


def compression_report(found: Compression) -> Report:
    """The report."""
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: [_record(found, each) for each in (found.original, *found.versions)],
        verdict=_verdict(found),
        tables=(_table(found),),
        notes=tuple(_notes(found)),
    )


def within(found: Compression) -> str:
    """The bounds, for people."""
    bounds = found.bounds
    parts = [
        "" if bounds.min_accuracy is None else f"an accuracy of {units.significant(bounds.min_accuracy, 4)} or more",
        "" if bounds.min_kept is None else f"{units.percent(bounds.min_kept)} of the {found.metric} or better",
        "" if bounds.max_share is None else f"up to {units.percent(bounds.max_share)} of the size",
        "" if bounds.max_mb is None else f"up to {units.significant(bounds.max_mb)} MB",
        "" if bounds.max_ms is None else f"up to {units.significant(bounds.max_ms)} ms",
    ]
    return ", ".join(filter(None, parts))


def _verdict(found: Compression) -> str:
    best = next((each for each in found.versions if each.name == found.chosen), None)
    if best is None:
        return f"No smaller version of {found.name} has {within(found)}."
    return (
        f"{best.name} is the smallest version of {found.name} with {within(found)}: {_percent(found.share(best))} of the "
        f"size, {_percent(found.kept(best))} of the {found.metric}."
    )


def _table(found: Compression) -> Table:
    shown = (found.original, *(each for each in found.versions if each.scores is not None))
    columns = (
        Column(name="version", whole=True),
        Column(name="size", numeric=True),
        Column(name="of it", numeric=True),
        Column(name="zipped", numeric=True, optional=True),
        Column(name=found.metric, numeric=True),
        Column(name="kept", numeric=True),
        Column(name="one sample", numeric=True),
        Column(name=f"batch of {found.timed}", numeric=True),
        *((Column(name="$ / million", numeric=True),) if found.usd_per_h is not None else ()),
        Column(name="within"),
    )
    chosen = next((number for number, each in enumerate(shown) if each.name == found.chosen), None)
    return Table(
        title="versions",
        columns=columns,
        rows=tuple(_row(found, each) for each in shown),
        caption="kept: of the model's own figure; times are medians of calls of all versions in turns",
        emphasis=chosen,
    )


def _row(found: Compression, version: Version) -> tuple[str, ...]:
    scores, value, usd = version.scores, found.figure(version), found.usd_per_million(version)
    misses = [_BOUNDS[name] for name in found.misses(version)]
    return (
        version.name,
        "–" if version.bytes is None else units.size(version.bytes),
        _percent(found.share(version)),
        "–" if version.packed_bytes is None else units.size(version.packed_bytes),
        "–" if value is None else units.significant(value, 4),
        _percent(found.kept(version)),
        _time(scores.one_s if scores else None),
        _time(scores.batch_s if scores else None),
        *(("–" if usd is None else units.usd(usd),) if found.usd_per_h is not None else ()),
        "" if not version.method else f"not {', '.join(misses)}" if misses else "yes",
    )


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else "∞" if math.isinf(ratio) else f"{100 * ratio:.1f}%"


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else units.duration(seconds)


def _notes(found: Compression) -> list[str]:
    lines = [
        f"{each.name} is not there: {f'layer {each.layer}: ' if each.layer else ''}{each.why}."
        for each in found.versions
        if each.scores is None
    ]
    lines.append(
        f"Scored on {found.samples:,} samples of the {found.part} set, on {found.backend} with "
        f"{units.many(found.threads, 'thread')}{_doubt(found)}."
    )
    trained = [each for each in found.versions if each.steps]
    if trained:
        took = sum({(each.train_s, each.steps): each.train_s for each in trained}.values())
        told = "" if found.predicted_s is None else f", where {units.duration(found.predicted_s)} were predicted"
        lines.append(f"Training took {units.duration(took)}{told}.")
    if any(each.method == PRUNE and each.scores for each in found.versions):
        lines.append(
            "Zeros of pruning make a file smaller that is compressed, and no call faster: hardware multiplies with them "
            "too. A student is faster, whose layers are smaller."
        )
    if found.path:
        lines.append(f"In {found.path}.")
    return lines


def _doubt(found: Compression) -> str:
    """How far an accuracy may be off by the choice of samples alone."""
    value = found.figure(found.original)
    if found.metric != ACCURACY or value is None or not found.samples:
        return ""
    doubt = Range.of_share(value, found.samples)
    span = units.span(units.significant(doubt.low, 2), units.significant(doubt.high, 2))
    return f"; of so few, the model's own accuracy is {span} (95 %)"


def _record(found: Compression, version: Version) -> Mapping[str, Any]:
    scores = version.scores
    return {
        "run": found.run,
        "version": version.name,
        "method": version.method,
        "quantize": version.quantize,
        "why": version.why,
        "bytes": version.bytes,
        "packed_bytes": version.packed_bytes,
        "share": found.share(version),
        "parameters": version.parameters,
        "zeros": version.zeros,
        found.metric: found.figure(version),
        "kept": found.kept(version),
        "one_s": scores.one_s if scores else None,
        "batch_s": scores.batch_s if scores else None,
        "usd_per_million": found.usd_per_million(version),
        "chosen": version.name == found.chosen,
    }


def _document(found: Compression) -> Any:
    from zenplan.commands.compress.document import compression_document

    return compression_document(found)
