"""``zenplan runs``: the list of them, and several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from zenplan import units
from zenplan.commands.runs.use_case import Entry
from zenplan.commands.shared.shorten import shortened
from zenplan.commands.train.beside import Row, rows
from zenplan.commands.train.report import run_record
from zenplan.domain.measured.training_run import RunStatus
from zenplan.domain.report import Column, Report, Table

# Letters of a name in the list.
_NAME: Final = 20
_WHOLE_NAMES: Final = "…: 'zenplan runs show RUN' has the whole name"


def runs_report(found: Sequence[Entry], left_out: Sequence[str]) -> Report:
    """The list."""
    columns = (
        Column(name="run", whole=True),
        Column(name="model"),
        Column(name="state"),
        Column(name="step", numeric=True),
        Column(name="predicted", numeric=True, optional=True),
        Column(name="took", numeric=True),
        Column(name="dollars", numeric=True, optional=True),
        Column(name="loss", numeric=True),
    )
    names = shortened([each.result.status.name for each in found], _NAME)
    rows = tuple(_row(each, name) for each, name in zip(found, names, strict=True))
    short = any(row[1].partition("\n")[0] != each.result.status.name for row, each in zip(rows, found, strict=True))
    return Report(
        make_document=lambda: _document(found, left_out),
        make_records=lambda: [run_record(each.result) for each in found],
        verdict="" if found else "There is no run yet: 'zenplan train --demo' makes one.",
        tables=(Table(columns=columns, rows=rows, caption=_WHOLE_NAMES if short else ""),) if found else (),
        notes=(*left_out, *_unseen(found)),
    )


def _unseen(found: Sequence[Entry]) -> list[str]:
    """Runs that say they go on, on other machines."""
    others = [each.result.status for each in found if each.alive is None]
    why = "is not seen from here: {} writes, if it still does"
    return [f"run {each.id} {why.format(each.host or 'another machine')}" for each in others]


def _row(found: Entry, name: str) -> tuple[str, ...]:
    status, known = found.result.status, found.result.prediction
    loss = found.result.metrics.get("validation", {}).get("loss", found.result.last_loss)
    return (
        status.id,
        f"{name}\non {', '.join(filter(None, (status.backend, status.together)))}",
        state_of(found),
        f"{status.step:,}\nof {status.steps:,}",
        units.duration(known.run_s.mid) if known and known.run_s else "–",
        units.duration(status.spent.total_s),
        "–" if status.usd is None else units.usd(status.usd),
        "–" if loss is None else units.significant(loss, 4),
    )


def _on(status: RunStatus) -> str:
    return ", ".join(filter(None, (status.backend, status.device, status.together)))


def state_of(found: Entry) -> str:
    """How it stands, for people."""
    status = found.result.status
    return f"{status.state}: {status.reason}" if status.reason not in ("", status.state) else status.state


def comparison_report(found: Sequence[Entry]) -> Report:
    """Several side by side, part by part."""
    names = [each.result.status.id for each in found]
    parts = [{row.name: row for row in rows(each.result)} for each in found]
    lines: list[tuple[str, ...]] = [
        ("model", *(each.result.status.name for each in found)),
        ("on", *(_on(each.result.status) for each in found)),
        ("state", *map(state_of, found)),
    ]
    for name in dict.fromkeys(name for each in parts for name in each):
        lines.append((name, *(_cell(each.get(name)) for each in parts)))
    metrics = dict.fromkeys((p, n) for each in found for p, values in each.result.metrics.items() for n in values)
    for part, figure in metrics:
        values = [each.result.metrics.get(part, {}).get(figure) for each in found]
        lines.append((f"{part} {figure}", *("–" if v is None else units.significant(v, 4) for v in values)))
    return Report(
        make_document=lambda: _document(found, ()),
        make_records=lambda: [run_record(each.result) for each in found],
        tables=(
            Table(
                title="runs",
                columns=(Column(name="what"), *(Column(name=name, numeric=True) for name in names)),
                rows=tuple(lines),
                caption="actual (predicted)",
            ),
        ),
    )


def _cell(row: Row | None) -> str:
    if row is None:
        return "–"
    predicted, _, _, actual = row.shown()
    return f"{actual or '–'} ({predicted})" if predicted else actual or "–"


def _document(found: Sequence[Entry], left_out: Sequence[str]) -> Any:
    from zenplan.commands.runs.document import runs_document

    return runs_document(found, left_out)
