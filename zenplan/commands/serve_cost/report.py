"""What ``zenplan serve-cost`` answers: the service, its latency and bill, other degrees of parallelism beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from zenplan import units
from zenplan.commands.shared.ages import ask_first, days_old, seen
from zenplan.commands.shared.predicted import middle_and_range, predicted_table, small_usd
from zenplan.commands.shared.rents import is_doubtful
from zenplan.domain.answer.estimate import grounds_of
from zenplan.domain.answer.serving import Service, Serving
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Report, Table
from zenplan.domain.serving.model import ServedModel

_MILLION: Final = 1e6
# Of a service, what has a low and a high end.
_RANGES: Final = (
    *("replicas", "ttft_s", "tpot_s"),
    *("usd_per_h", "usd_per_month", "usd_per_request", "usd_per_request_used"),
)
# Of the degrees of parallelism, what fits a screen; the document has all.
_SHOWN: Final = 3
_MARKED: Final = " (* at an old price, or of a machine that is a guess)"


def serving_report(found: Serving, today: date) -> Report:
    """The answer of that day."""
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: [_record(each) for each in _document(found).services],
        verdict=_verdict(found, today),
        tables=tuple(_tables(found, today)),
        notes=tuple(_notes(found, today)),
    )


def _document(found: Serving) -> Any:
    from zenplan.commands.serve_cost.document import document

    return document(found)


def _record(service: Any) -> dict[str, Any]:
    """A service as a row: each range in three columns, empty where there is none."""
    from zenplan.documents import plain

    row: dict[str, Any] = {}
    for name, value in dict(plain(service)).items():
        if name in _RANGES:
            row |= {f"{name}_{end}": (value or {}).get(end) for end in ("low", "mid", "high")}
        else:
            row[name] = value
    return row


def _verdict(found: Serving, today: date) -> str:
    best, traffic = found.best, found.wanted.traffic
    replicas = round(best.replicas.mid)
    what = f"{best.devices:,} × {best.on.accelerator.name}"
    how = f" ({units.many(replicas, 'replica')} of {best.on.devices})" if best.on.devices > 1 else ""
    asked = (
        f"{_rate(best.rate_per_s)} of {found.model.name} at {traffic.input_tokens:,} in, {traffic.output_tokens:,} out"
    )
    first = f"{what}{how} {'answers' if best.devices == 1 else 'answer'} {asked}"
    if best.usd_per_month is None or best.usd_per_request is None or best.usd_per_request_used is None:
        bill = "no price of it is known, --usd-per-hour gives one"
    else:
        tokens = traffic.input_tokens + traffic.output_tokens
        bill = (
            f"{units.usd(best.usd_per_month.mid)} a month, {_per_million(best.usd_per_request, tokens)} per 1M tokens on "
            f"reservation ({_per_million(best.usd_per_request_used, tokens)} on usage)"
        )
    latency = f"first token {units.duration(best.ttft_s.mid, 2)}, then {units.duration(best.tpot_s.mid, 2)} a token"
    return f"{first}: {bill}; {latency}.{_against_api(found)}{_doubt(found, today)}"


def _doubt(found: Serving, today: date) -> str:
    """What is not sure of the price, and the cheapest that is; empty where all is."""
    offer, fresh = found.best.offer, found.fresh
    told = ask_first(bool(offer.guess), days_old(offer.on_demand, today)) if offer else ""
    if not told or fresh is None or fresh.offer is None or fresh.usd_per_month is None:
        return told and f" {told}"
    where = f"{fresh.devices:,} × {fresh.on.accelerator.name}, {fresh.offer.instance.provider}"
    return f" {told} The cheapest at a fresh price: {units.usd(fresh.usd_per_month.mid)} a month ({where})."


def _against_api(found: Serving) -> str:
    best, api = found.best, found.wanted.api_usd
    if api is None or best.usd_per_request is None:
        return ""
    monthly = units.usd(api * best.rate_per_s * units.MONTH_S)
    cheaper = "cheaper" if best.usd_per_request.mid <= api else "dearer"
    if best.even_rate_per_s is None:
        return f" Dearer than the API ({monthly} a month) at any rate: even busy, a request costs more."
    return f" {cheaper.capitalize()} than the API ({monthly} a month); even from {_rate(best.even_rate_per_s)} on."


def _rate(per_s: float) -> str:
    if per_s >= 0.1:
        return f"{units.count(per_s)}/s"
    return f"{units.significant(per_s * units.HOUR_S)}/h"


def _per_million(usd_per_request: Range, tokens: float) -> str:
    return small_usd(usd_per_request.mid / tokens * _MILLION)


def _tables(found: Serving, today: date) -> Iterator[Table]:
    best, traffic = found.best, found.wanted.traffic
    tokens = traffic.input_tokens + traffic.output_tokens
    rows = [
        ("GPUs", *middle_and_range(best.replicas * float(best.on.devices), lambda n: f"{n:,.0f}")),
        ("time to first token", *middle_and_range(best.ttft_s, lambda s: units.duration(s, 2))),
        ("time per output token", *middle_and_range(best.tpot_s, lambda s: units.duration(s, 2))),
    ]
    if best.usd_per_month and best.usd_per_request and best.usd_per_request_used:
        reserved, used = best.usd_per_request, best.usd_per_request_used
        rows += [
            ("a month", *middle_and_range(best.usd_per_month, units.usd)),
            ("1M tokens on reservation", *middle_and_range(reserved * (_MILLION / tokens), small_usd)),
            ("1M tokens on usage", *middle_and_range(used * (_MILLION / tokens), small_usd)),
        ]
    yield predicted_table(rows)
    marked = _MARKED if any(is_doubtful(each.offer, today) for each in found.services[:_SHOWN]) else ""
    if len(found.services) > 1:
        names = ("GPUs", "in flight", "busy", "first token", "a token", "a month")
        yield Table(
            title=f"By tensor-parallel degree{marked}",
            columns=(Column(name="tp"), *(Column(name=name, numeric=True) for name in names)),
            rows=tuple(_row(each, today) for each in found.services[:_SHOWN]),
            emphasis=0,
        )


def _row(each: Service, today: date) -> tuple[str, ...]:
    mark = "*" if is_doubtful(each.offer, today) else ""
    return (
        str(each.on.tp),
        f"{each.devices:,}",
        f"{units.significant(each.batch, 2)} of {each.limit}",
        units.percent(each.utilisation),
        units.duration(each.ttft_s.mid, 2),
        units.duration(each.tpot_s.mid, 2),
        "" if each.usd_per_month is None else f"{units.usd(each.usd_per_month.mid)}{mark}",
    )


def _notes(found: Serving, today: date) -> Iterator[str]:
    best = found.best
    yield (
        f"{best.on.software}: weights {units.size(best.stored_bytes)} {best.on.weights}, KV cache "
        f"{units.size(best.kept_bytes)} {best.on.cache} a request; {_rate(best.most_per_s)} a replica."
    )
    if best.offer is not None and best.offer.on_demand is not None:
        where = f"{best.offer.instance.provider} {best.offer.instance.name}"
        guess = ", a guess" if best.offer.guess else ""
        yield f"{best.machines:,} × {where} on demand, {seen(best.offer.on_demand, today)}{guess}."
    yield from found.left_out
    yield from _shape(found.model)
    sheet = best.on.accelerator
    if grounds_of(sheet) is Grounds.PUBLISHED:
        _, _, wider = found.basis.partition("; ")
        yield f"Ranges: of publishers left out of the fit (docs/serving.md){'; ' if wider else ''}{wider}."
    else:
        yield f"Ranges: assumed, those of other devices: no measurement on {sheet.name} or its like was fitted."
    for on, why in found.refused:
        yield f"Not with tp {on.tp}: {why}."


def _shape(model: ServedModel) -> Iterator[str]:
    """What stands behind a size alone."""
    shape = next((fact for fact in model.facts if fact.name == "shape" and fact.origin is Origin.ASSUMED), None)
    if shape is None:
        return
    all_heads = any(cache.heads == model.heads for cache in model.caches)
    less = (
        ", each with a KV cache of its own: models whose heads share one, as Llama 3, keep 4 to 8 times less"
        if all_heads
        else ""
    )
    yield f"The shape is assumed: {shape.value}{less}. --model or --config says."
