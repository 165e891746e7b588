"""``zenplan federate``: what came out beside the same trained in one place, and what each client had and did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zenplan import units
from zenplan.commands.train.judged import warnings
from zenplan.domain.measured.federation import Federation
from zenplan.domain.measured.training_run import FINISHED, RunResult
from zenplan.domain.report import Column, Report, Table

# Counts by class that a line of the table has room for.
_MOST_CLASSES = 4


def federation_report(result: RunResult, found: Federation, folder: Path) -> Report:
    """What came out.

    Args:
        result: of its run; folder: that it is in.
    """
    return Report(
        make_document=lambda: _document(result, found),
        make_records=lambda: _records(found),
        verdict=_verdict(result, found),
        tables=tuple(_tables(result, found)),
        notes=tuple(_notes(result, found, folder)),
    )


def _verdict(result: RunResult, found: Federation) -> str:
    status = result.status
    part, name = _judged(result)
    how = f"{units.many(found.rounds, 'round')} of {units.many(len(found.clients), 'client')}"
    if status.state != FINISHED:
        return f"Run {status.id} is {status.state} after {how} of {found.wanted:,} wanted."
    value = result.metrics.get(part, {}).get(name)
    if value is None:
        return f"Run {status.id} is finished: {how}."
    other = found.central.metrics.get(part, {}).get(name) if found.central else None
    beside = "" if other is None else f", {units.significant(other, 4)} in one place"
    return f"Run {status.id} is finished: {how}, {part} {name} {units.significant(value, 4)}{beside}."


def _judged(result: RunResult) -> tuple[str, str]:
    """The part and the figure that a run is told by."""
    part = "test" if "test" in result.metrics else "validation"
    values = result.metrics.get(part, {})
    return part, next((name for name in values if name != "loss"), "loss")


def _tables(result: RunResult, found: Federation) -> Iterator[Table]:
    columns: tuple[Column, ...] = (Column(name=""), Column(name="federated", numeric=True))
    central = found.central
    if central is not None:
        columns = (*columns, Column(name="in one place", numeric=True), Column(name="difference", numeric=True))
    rows: list[tuple[str, ...]] = []
    for part, values in result.metrics.items():
        for name, value in values.items():
            other = central.metrics.get(part, {}).get(name) if central else None
            rows.append((f"{part} {name}", _figure(value), *(_beside(value, other) if central else ())))
    samples = sum(each.averaged * each.samples for each in found.clients) * found.local_epochs
    more = [("samples trained on", f"{samples:,}", f"{central.samples:,}" if central else "")]
    more += [("time", units.duration(result.status.spent.total_s), units.duration(central.wall_s) if central else "")]
    more += [("moved", units.size((found.up_bytes or 0) + (found.down_bytes or 0)), "0")] if found.up_bytes else []
    rows += [(name, value, *((other, "") if central else ())) for name, value, other in more]
    yield Table(title="what came out", columns=columns, rows=tuple(rows))
    if found.clients:
        yield _clients(found)


def _beside(value: float, other: float | None) -> tuple[str, str]:
    return ("–", "–") if other is None else (_figure(other), f"{value - other:+.4f}")


def _figure(value: float) -> str:
    return units.significant(value, 4)


def _clients(found: Federation) -> Table:
    classes = len(found.clients[0].classes)
    shown = 0 < classes <= _MOST_CLASSES
    names = ("samples", *(("by class",) if shown else ()), "steps a round", "averaged", "dropped", "left out")
    return Table(
        title="clients",
        columns=(Column(name="client", numeric=True), *(Column(name=name, numeric=True) for name in names)),
        rows=tuple(
            (
                str(each.number),
                f"{each.samples:,}",
                *((" ".join(map(str, each.classes)),) if shown else ()),
                str(each.steps),
                str(each.averaged),
                str(each.dropped),
                str(each.left_out),
            )
            for each in found.clients
        ),
        caption="averaged, dropped, left out: rounds; left out is who sent weights that are no numbers",
    )


def _notes(result: RunResult, found: Federation, folder: Path) -> Iterator[str]:
    yield from warnings(result)
    how = "at random" if found.alpha is None else f"by Dirichlet({found.alpha:g}) over classes"
    times = "once" if found.local_epochs == 1 else f"{found.local_epochs:,} times"
    yield f"Rows are split {how}; in a round a client goes over its own {times}."
    if found.up_bytes is not None and found.down_bytes is not None:
        up, down = units.size(found.up_bytes), units.size(found.down_bytes)
        each = units.size(found.weights_bytes)
        yield f"{found.engine}, {found.how}: {up} from clients, {down} to them, as it counted; the weights are {each}."
    if found.round_s:
        mean, trained = (sum(each) / found.rounds for each in (found.round_s, found.client_s))
        yield f"A round took {units.duration(mean)}, of which clients trained {units.duration(trained)}, in turns."
    if found.clip:
        yield f"Differential privacy: changes cut to a norm of {found.clip:g}, noise of {found.noise:g} times that."
    if found.central is None:
        yield "No run of the same in one place is here to compare with: --compare trains one."
    elif result.status.state == FINISHED:
        yield f"In one place: run {found.central.run}."
    yield f"In {folder}."


def _records(found: Federation) -> list[Mapping[str, Any]]:
    names = ("number", "samples", "steps", "averaged", "dropped", "left_out")
    return [{name: getattr(each, name) for name in names} for each in found.clients]


def _document(result: RunResult, found: Federation) -> Any:
    from zenplan.commands.federate.document import federation_document

    return federation_document(result, found)
