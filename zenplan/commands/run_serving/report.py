"""What serving a run's model takes, as a report: servers, latency, the bill, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zenplan import units
from zenplan.commands.shared.predicted import middle_and_range, predicted_table, small_usd
from zenplan.domain.answer.run_serving import RunServing
from zenplan.domain.report import Column, Report, Table


def run_serving_report(found: RunServing) -> Report:
    """The answer."""
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: [_record(found)],
        verdict=_verdict(found),
        tables=(_answer(found), _calls(found)),
        notes=tuple(_notes(found)),
    )


def _document(found: RunServing) -> Any:
    from zenplan.commands.run_serving.document import document

    return document(found)


def _record(found: RunServing) -> dict[str, Any]:
    """As a row: each range in three columns, without the calls."""
    from zenplan.documents import plain

    row: dict[str, Any] = {}
    for name, value in dict(plain(_document(found))).items():
        if isinstance(value, dict):
            row |= {f"{name}_{end}": value[end] for end in ("low", "mid", "high")}
        elif name != "calls":
            row[name] = value
    return row


def _verdict(found: RunServing) -> str:
    replicas = round(found.replicas.mid)
    asked = found.rate_per_s if found.asked_per_s is None else found.asked_per_s
    texts = f"texts of {found.output_tokens:,} tokens" if found.output_tokens else "requests"
    what = f"{units.count(asked)} {texts} a second of run {found.run}"
    if found.asked_per_s is None:
        servers = "One machine as this one answers" if replicas == 1 else f"{replicas:,} machines as this one answer"
        answer = f"{servers} {what}"
    else:
        servers = "one machine as this one is" if replicas == 1 else f"{replicas:,} machines as this one are"
        answer = f"For {what} {servers} enough"
    latency = (
        f"half of them within {units.duration(found.p50_s.mid, 2)}, 99 % within {units.duration(found.p99_s.mid, 2)}"
    )
    month, thousand = found.usd_per_month, found.usd_per_1000
    bill = (
        ""
        if month is None or thousand is None
        else f"; {units.usd(month.mid)} a month, {small_usd(thousand.mid)} per 1000"
    )
    return f"{answer}: {latency}{bill}."


def _answer(found: RunServing) -> Table:
    rows = [
        ("machines", *middle_and_range(found.replicas, lambda n: f"{n:,.0f}")),
        ("half of the requests within", *middle_and_range(found.p50_s, lambda s: units.duration(s, 2))),
        ("99 % of them within", *middle_and_range(found.p99_s, lambda s: units.duration(s, 2))),
        ("busy", units.percent(found.utilisation), f"one answers {units.count(found.most_per_s)}/s at its limit"),
        ("samples of a call", units.significant(found.each.batch), f"{found.times.max_batch} at most"),
    ]
    month, thousand, used = found.usd_per_month, found.usd_per_1000, found.usd_per_1000_used
    if month is not None and thousand is not None and used is not None:
        rows += [
            ("a month", *middle_and_range(month, units.usd)),
            ("1000 requests on reservation", *middle_and_range(thousand, small_usd)),
            ("1000 requests on usage", *middle_and_range(used, small_usd)),
        ]
    return predicted_table(rows)


def _calls(found: RunServing) -> Table:
    times = found.times
    what = "texts of a step" if found.output_tokens else "samples of a call"
    rows = tuple(
        (str(size), units.duration(seconds, 3), units.count(size / seconds))
        for size, seconds in sorted(times.calls_s.items())
    )
    each = "tokens a second" if found.output_tokens else "samples a second"
    return Table(
        title="Measured here",
        columns=(Column(name=what, numeric=True), Column(name="takes", numeric=True), Column(name=each, numeric=True)),
        rows=rows,
    )


def _notes(found: RunServing) -> Iterator[str]:
    times = found.times
    yield (
        f"{found.backend}, {units.many(found.threads, 'thread')} of {found.processor}; the server itself works "
        f"{units.duration(times.request_s, 2)} a request and {units.duration(times.batch_s, 2)} a call."
    )
    if times.shared:
        yield "The model takes all cores: the server's own work holds it up, and is counted so."
    if found.usd_per_h is None:
        yield "No bill: --usd-per-hour says what such a machine costs."
    yield f"Ranges: of {found.basis}."
