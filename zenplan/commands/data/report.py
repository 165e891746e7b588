"""``zenplan data show``: files, records, bytes and tokens, each with its range, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zenplan import units
from zenplan.commands.shared.data import span_of
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Report, Table
from zenplan.domain.training.data_set import DataSet, LeftOut


def data_report(data: DataSet) -> Report:
    """The data set as figures with their ranges, and what was left out."""
    return Report(
        make_document=lambda: _document(data),
        make_records=lambda: [_record(data)],
        tables=(_figures(data), *left_out(data.left_out, data.whole)),
        notes=(f"{data.how}.", *_columns(data)),
    )


def _document(data: DataSet) -> Any:
    from zenplan.commands.data.document import data_document

    return data_document(data)


def _record(data: DataSet) -> dict[str, Any]:
    return {
        "path": data.path,
        "kind": str(data.kind),
        "files": data.files,
        "size_bytes": data.size_bytes,
        "records": data.records.mid,
        "text_bytes": data.text_bytes.mid if data.text_bytes else None,
        "tokens": data.tokens.mid if data.tokens else None,
        "tokens_low": data.tokens.low if data.tokens else None,
        "tokens_high": data.tokens.high if data.tokens else None,
        "tokens_per_record": data.tokens_per_record.mid if data.tokens_per_record else None,
        "median_tokens": data.median_tokens,
        "p95_tokens": data.p95_tokens,
    }


def _figures(data: DataSet) -> Table:
    rows: list[tuple[str, str, str]] = [
        ("files", f"{data.files:,}", f"{', '.join(data.formats)}"),
        ("on disk", units.size(data.size_bytes), ""),
        (data.kind.record, units.count(data.records.mid), _range(data.records)),
    ]
    if data.classes:
        rows.append(("folders of images", f"{data.classes:,}", "classes, where they are sorted so"))
    if data.text_bytes:
        rows.append(("text", units.size(data.text_bytes.mid), _range(data.text_bytes, size=True)))
    if data.tokens:
        rows.append(("tokens", units.count(data.tokens.mid), _range(data.tokens)))
    if data.tokens_per_record:
        mean = data.tokens_per_record
        rows.append((f"tokens of {data.kind.record}, mean", units.count(mean.mid), _range(mean)))
    for name, value in (("half have at most", data.median_tokens), ("95 % have at most", data.p95_tokens)):
        if value is not None:
            rows.append((name, units.count(value), "tokens"))
    columns = (Column(name="figure"), Column(name="value", numeric=True), Column(name="80 % range"))
    return Table(title=f"{data.path}: {data.kind}", columns=columns, rows=tuple(rows))


def _range(figure: Range, size: bool = False) -> str:
    if figure.low == figure.high:
        return "counted"
    return span_of(figure, units.size if size else units.count) or f"± {units.percent(figure.high / figure.mid - 1.0)}"


def left_out(lines: Sequence[LeftOut], whole: bool) -> tuple[Table, ...]:
    """What was left out, by reason; no table where nothing was.

    Args:
        lines: by reason.
        whole: whether all was read, and not a sample.
    """
    if not lines:
        return ()
    columns = (Column(name="left out", numeric=True), Column(name="why"), Column(name="the first"))
    rows = tuple(
        (f"{each.count:,} {each.what if each.count > 1 else each.what[:-1]}", each.why, each.example) for each in lines
    )
    sampled = not whole and any(each.what == "records" for each in lines)
    caption = "of records, those in what was read" if sampled else ""
    return (Table(title="Left out", columns=columns, rows=rows, caption=caption),)


def _columns(data: DataSet) -> tuple[str, ...]:
    if not data.columns:
        return ()
    read = f"; read: {', '.join(data.text_columns)}" if data.text_columns else "; none of them has text"
    return (f"Columns: {', '.join(data.columns)}{read}.",)
