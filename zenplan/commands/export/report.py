"""``zenplan export``: what was written, beside the model that it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zenplan import units
from zenplan.domain.measured.export import WRITTEN, Export
from zenplan.domain.report import Column, Report, Table


def export_report(found: Sequence[Export]) -> Report:
    """What came of each form."""
    written = [each for each in found if each.state == WRITTEN]
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: list(map(_record, found)),
        verdict=f"Run {found[0].run}: {len(written)} of {units.many(len(found), 'export')} written and checked.",
        tables=(exports_table(written),) if written else (),
        notes=tuple(_notes(found, written)),
    )


def exports_table(found: Sequence[Export]) -> Table:
    """Each beside the model: size, figures, difference, and how long it takes."""
    names = list(dict.fromkeys(n for each in found if each.scores for n in each.scores.values))
    timed = found[0].timed
    columns = (
        Column(name="form", whole=True),
        Column(name="size", numeric=True),
        *(Column(name=name, numeric=True) for name in names),
        Column(name="difference", numeric=True),
        Column(name="one sample", numeric=True),
        Column(name=f"batch of {timed}", numeric=True),
    )
    return Table(
        title="exports",
        columns=columns,
        rows=(*(_row(each, names) for each in found), _original(found[0], names)),
        caption="difference: the largest, as a share of the largest number of the model; times are medians",
    )


def _row(each: Export, names: Sequence[str]) -> tuple[str, ...]:
    scores = each.scores
    values = scores.values if scores else {}
    return (
        each.name,
        units.size(each.bytes or 0),
        *(_value(values.get(name)) for name in names),
        "–" if each.relative is None else f"{each.relative:.1e}",
        _time(scores.one_s if scores else None),
        _time(scores.batch_s if scores else None),
    )


def _original(each: Export, names: Sequence[str]) -> tuple[str, ...]:
    original = each.original
    values = original.values if original else {}
    return (
        "the model",
        units.size(each.original_bytes),
        *(_value(values.get(name)) for name in names),
        "",
        _time(original.one_s if original else None),
        _time(original.batch_s if original else None),
    )


def _value(value: float | None) -> str:
    return "–" if value is None else units.significant(value, 4)


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else units.duration(seconds)


def _notes(found: Sequence[Export], written: Sequence[Export]) -> list[str]:
    lines = [
        f"{each.name} is not written: {f'layer {each.layer}: ' if each.layer else ''}{each.why}."
        for each in found
        if each.state != WRITTEN
    ]
    for each in written:
        if each.batch:
            lines.append(f"{each.name} takes {units.many(each.batch, 'sample')} at once, no more and no less.")
        if each.quantize:
            lines.append(f"{each.name}: {lost(each)}.")
    if written:
        first = written[0]
        which = f"{first.samples:,} samples of the {first.part} set"
        lines.append(f"Scored on {which}, on {units.many(first.threads, 'thread')}; the model on TensorFlow in fp32.")
        lines += [f"In {each.path}." for each in written]
    return lines


def lost(each: Export) -> str:
    """What weights in fewer bits cost, figure by figure."""
    if each.scores is None or each.original is None:
        return "nobody knows what it loses"
    before, after = each.original.values, each.scores.values
    return ", ".join(
        f"{name} {units.significant(after[name], 4)} where it was {units.significant(before[name], 4)}"
        for name in after
        if name in before
    )


def _record(each: Export) -> Mapping[str, Any]:
    scores, original = each.scores, each.original
    return {
        "run": each.run,
        "form": each.form,
        "quantize": each.quantize,
        "state": each.state,
        "layer": each.layer,
        "why": each.why,
        "path": each.path,
        "bytes": each.bytes,
        "difference": each.difference,
        "relative": each.relative,
        "loss": scores.values.get("loss") if scores else None,
        "original_loss": original.values.get("loss") if original else None,
        "one_s": scores.one_s if scores else None,
        "original_one_s": original.one_s if original else None,
        "batch_s": scores.batch_s if scores else None,
        "original_batch_s": original.batch_s if original else None,
    }


def _document(found: Sequence[Export]) -> Any:
    from zenplan.commands.export.document import exports_document

    return exports_document(found)
