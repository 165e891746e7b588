"""The answer to ``zenplan layouts`` as a report: the list, the trade-off drawn in text, and what it says."""

from __future__ import annotations

from zenplan import units
from zenplan.domain.estimate import Estimate
from zenplan.domain.layout import Layout
from zenplan.domain.report import Column, Report, Table
from zenplan.domain.tradeoff import Fewer, Tradeoff
from zenplan.planning.tradeoff import part_name, why
from zenplan.reports.layouts_document import document, record
from zenplan.reports.text_plot import Point, drawn

SCHEMA = "zenplan.layouts/1"
_BILLION = 1e9
# A size that saves less than this is not worth a word.
_SAVING = 0.01
# Times as long as the fastest, up to which layouts are drawn.
_DRAWN = 3.0


def layouts_report(found: Tradeoff) -> Report:
    """The whole answer."""
    return Report(
        schema=SCHEMA,
        document=document(found),
        records=tuple(record(found, e) for e in found.listed),
        tables=(_list(found), _plot(found)),
        notes=_notes(found),
    )


def _where(found: Tradeoff) -> str:
    return f"{found.cluster.devices:,} × {found.cluster.accelerator.name}"


def shown(layout: Layout, between: str = " ") -> str:
    """A layout with its degrees and the rest apart, for a cell of two lines."""
    degrees, _, rest = str(layout).partition(" mb")
    return f"{degrees}{between}mb{rest}"


def _list(found: Tradeoff) -> Table:
    columns = (
        Column(name="#", numeric=True), Column(name="layout"), Column(name="step,\ntokens/s\na device", numeric=True),
        Column(name="MFU", numeric=True), Column(name="memory\nof a\ndevice", numeric=True),
        Column(name="loses\nmost to"),
    )  # fmt: skip
    rows = tuple(
        (
            str(place),
            shown(e.layout, "\n"),
            f"{units.duration(e.step.total_s)}\n{units.count(_tokens_per_s(found, e))}",
            units.percent(e.mfu),
            f"{units.size(e.memory.total_bytes)}\n{_filled(e)}",
            _loses(e),
        )
        for place, e in enumerate(found.listed, 1)
    )
    order = "fastest" if found.by == "time" else "leanest"
    return Table(title=f"{found.plan.workload.name} on {_where(found)}: layouts, {order} first",
                 columns=columns, rows=rows)  # fmt: skip


def _tokens_per_s(found: Tradeoff, estimate: Estimate) -> float:
    return estimate.samples_per_s * found.plan.workload.tokens_per_sample / found.cluster.devices


def _filled(estimate: Estimate) -> str:
    """What share of a device its peak fills."""
    return units.percent(estimate.memory.total_bytes / estimate.cluster.accelerator.capacity_bytes)


def _loses(estimate: Estimate) -> str:
    """The largest part of the step that is no product and no attention."""
    parts = {name: s for name, s in estimate.step.parts().items() if name != "compute_s"}
    name = max(parts, key=lambda each: parts[each])
    return f"{part_name(name)}\n{units.percent(parts[name] / estimate.step.total_s)}"


def _step_s(found: Tradeoff, estimate: Estimate) -> float:
    """Seconds of a step of the batch that was asked for, without what it was rounded up by."""
    return (
        estimate.step.total_s
        * found.plan.global_batch
        / min(estimate.layout.global_batch, found.plan.global_batch)
    )


def _plot(found: Tradeoff) -> Table:
    """The frontier, memory across and time up; what takes much longer than the fastest is told, not drawn."""
    slowest_s = _DRAWN * _step_s(found, found.fastest)
    near = [e for e in found.frontier if _step_s(found, e) <= slowest_s]
    points = [Point(across=e.memory.total_bytes, up=_step_s(found, e), mark=_mark(found, e)) for e in near]
    low, high = units.size(points[-1].across), units.size(points[0].across)
    columns = (Column(name="step", numeric=True),
               Column(name=f"memory of a device, from {low} to {high}", optional=True))  # fmt: skip
    title = f"Step time against memory: {len(points)} layouts that no other beats in both"
    return Table(title=title, columns=columns, rows=drawn(points, units.duration), caption=_caption(found))


def _mark(found: Tradeoff, estimate: Estimate) -> str:
    return "F" if estimate is found.fastest else "L" if estimate is found.leanest else "o"


def _caption(found: Tradeoff) -> str:
    first, last = found.fastest, found.leanest
    if len(found.frontier) == 1:
        return f"F fastest and leanest: {shown(first.layout)}"
    longer = _step_s(found, last) / _step_s(found, first)
    leanest = "L leanest" if longer <= _DRAWN else "The leanest"
    return (f"F fastest: {shown(first.layout)}. {leanest}: {shown(last.layout)}, "
            f"{units.size(last.memory.total_bytes)}, {units.significant(longer)} times as long.")  # fmt: skip


def _notes(found: Tradeoff) -> tuple[str, ...]:
    facts = {f.name: f for f in found.plan.facts}
    batch = facts.get("global batch")
    step_s, evidence = found.fastest.step_s, found.fastest.evidence
    return (
        *_second(found),
        *_cost(found),
        *((f"A step is {batch.value} ({batch.origin}), {found.plan.precision.name}, {found.plan.optimizer.name}.",)
          if batch else ()),
        f"Compared {found.considered:,} layouts, of which {found.fitting:,} fit; of those with the same degrees, "
        "only the ones that no other beats in both time and memory are listed.",
        f"A step may take ×{step_s.low / step_s.mid:.2f} to ×{step_s.high / step_s.mid:.2f} of that; {evidence}.",
    )  # fmt: skip


def _second(found: Tradeoff) -> tuple[str, ...]:
    if found.runner_up is None:
        return ("No layout with other degrees fits.",)
    return (f"Runner-up: {shown(found.runner_up.layout)} {why(found.runner_up)}.",)


def _cost(found: Tradeoff) -> tuple[str, ...]:
    """What a token costs on all of the devices, and whether fewer of them are cheaper."""
    whole, best = found.sizes[0], found.cheapest
    saved = 1.0 - best.devices * best.sample_s / (whole.devices * whole.sample_s)
    fewer = "fewer devices are no cheaper"
    if best is not whole and saved >= _SAVING:
        fewer = (f"{best.devices:,} devices take {units.significant(best.sample_s / whole.sample_s)} times as long "
                 f"and cost {units.percent(saved)} less")  # fmt: skip
    if found.price is None:
        return (f"No on-demand price of {found.cluster.accelerator.name} is known; {fewer}.",)
    date = f"as of {found.price.as_of}" if found.price.as_of else "of unknown date"
    return (
        f"On these devices the fastest is the cheapest: {_per_billion(whole)} for a billion tokens at "
        f"{units.usd(found.price.usd_per_h)} a GPU-hour ({found.price.offer}, {date}); {fewer}"
        + (f" ({_per_billion(best)})." if best is not whole and saved >= _SAVING else "."),
    )


def _per_billion(size: Fewer) -> str:
    return units.usd((size.usd_per_token or 0.0) * _BILLION)
