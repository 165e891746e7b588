"""The answer to ``zenplan layouts`` as a report: the list, the trade-off drawn in text, and what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zenplan import units
from zenplan.commands.shared.sentences import padded, spread, tight
from zenplan.domain.answer.estimate import Estimate, part_name
from zenplan.domain.answer.tradeoff import Fewer, Tradeoff
from zenplan.domain.report import Column, Report, Table
from zenplan.domain.training.layout import Layout
from zenplan.planning.search.tradeoff import why

# How many of a unit the cost is told of: a token is next to nothing.
_BILLION, _MILLION = ("a billion", 1e9), ("a million", 1e6)
# A size that saves less than this is not worth a word.
_SAVING = 0.01
# Times as long as the fastest, up to which layouts are drawn.
_DRAWN = 3.0


def layouts_report(found: Tradeoff) -> Report:
    """The whole answer."""
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: (_record(found, e) for e in found.listed),
        tables=(_list(found), _plot(found)),
        notes=_notes(found),
    )


def _document(found: Tradeoff) -> Any:
    from zenplan.commands.layouts.document import document

    return document(found)


def _record(found: Tradeoff, estimate: Estimate) -> Mapping[str, Any]:
    """One layout of the list on one level, for CSV."""
    from zenplan.commands.layouts.document import tried
    from zenplan.documents import plain

    whole = plain(tried(found, estimate))
    shares = ("memory_share", "mfu", "samples_per_s", "tokens_per_s_per_device")
    return {
        **whole["layout"],
        "step_s": estimate.step.total_s,
        **estimate.step.parts(),
        "memory_bytes": estimate.memory.total_bytes,
        **{name: whole[name] for name in shares},
    }


def _where(found: Tradeoff) -> str:
    return f"{found.cluster.devices:,} × {found.cluster.accelerator.name}"


def shown(layout: Layout, between: str = " ") -> str:
    """A layout with its degrees and the rest apart, for a cell of two lines."""
    return f"{layout.degrees}{between}{layout.batches}"


def _list(found: Tradeoff) -> Table:
    load = found.plan.workload
    columns = (
        Column(name="#", numeric=True),
        Column(name="layout"),
        Column(name=f"step,\n{load.unit}/s\na device", numeric=True),
        Column(name="MFU", numeric=True),
        Column(name="memory\nof a\ndevice", numeric=True),
        Column(name="loses\nmost to"),
    )
    rows = tuple(
        (
            str(place),
            shown(e.layout, "\n"),
            f"{units.duration(e.step.total_s)}\n{units.count(_units_per_s(found, e))}",
            units.percent(e.mfu),
            f"{units.size(e.memory.total_bytes)}\n{_filled(e)}",
            _loses(e),
        )
        for place, e in enumerate(found.listed, 1)
    )
    order = "fastest" if found.by == "time" else "leanest"
    return Table(
        title=f"{found.plan.workload.name} on {_where(found)}: layouts, {order} first", columns=columns, rows=rows
    )


def _units_per_s(found: Tradeoff, estimate: Estimate) -> float:
    return estimate.samples_per_s * found.plan.workload.tokens_per_sample / found.cluster.devices


def _filled(estimate: Estimate) -> str:
    """What share of a device its peak fills."""
    return units.percent(estimate.memory.total_bytes / estimate.cluster.accelerator.capacity_bytes)


def _loses(estimate: Estimate) -> str:
    """The largest part of the step that is no product and no attention."""
    parts = {name: s for name, s in estimate.step.parts().items() if name != "compute_s"}
    name = max(parts, key=lambda each: parts[each])
    return f"{part_name(name)}\n{units.percent(parts[name] / estimate.step.total_s)}"


def _plot(found: Tradeoff) -> Table:
    """The frontier, memory across and time up; what takes much longer than the fastest is told, not drawn."""
    slowest_s = _DRAWN * found.fastest.step.total_s
    near = [e for e in found.frontier if e.step.total_s <= slowest_s]
    points = [Point(across=e.memory.total_bytes, up=e.step.total_s, mark=_mark(found, e)) for e in near]
    low, high = units.size(points[-1].across), units.size(points[0].across)
    columns = (
        Column(name="step", numeric=True),
        Column(name=f"memory of a device, from {low} to {high}", optional=True),
    )
    count = "one layout" if len(points) == 1 else f"{len(points)} layouts"
    title = f"Step time against memory: {count} that no other beats in both"
    rows = drawn(points, units.duration)
    return Table(title=title, columns=columns, rows=rows, caption=_caption(found), drawing=True)


def _mark(found: Tradeoff, estimate: Estimate) -> str:
    return "F" if estimate is found.fastest else "L" if estimate is found.leanest else "o"


def _caption(found: Tradeoff) -> str:
    first, last = found.fastest, found.leanest
    if len(found.frontier) == 1:
        return f"F fastest and leanest: {shown(first.layout)}"
    longer = last.step.total_s / first.step.total_s
    leanest = "L leanest" if longer <= _DRAWN else "The leanest, not drawn"
    return (
        f"F fastest: {shown(first.layout)}. {leanest}: {shown(last.layout)}, "
        f"{units.size(last.memory.total_bytes)}, {units.significant(longer)} times as long."
    )


def _notes(found: Tradeoff) -> tuple[str, ...]:
    batch = found.plan.batch_fact
    return (
        *filter(None, (tight(found.fastest),)),
        *_second(found),
        *_cost(found),
        *(
            (f"A step is {batch.value} ({batch.origin}), {found.plan.precision.name}, {found.plan.optimizer.name}.",)
            if batch
            else ()
        ),
        *_padding(found),
        f"Compared {units.many(found.considered, 'layout')}, of which {found.fitting:,} fit; of those with the "
        "same degrees, only the ones that no other beats in both time and memory are listed.",
        spread(found.fastest),
    )


def _padding(found: Tradeoff) -> tuple[str, ...]:
    """What the fastest computes beside the batch that was asked for."""
    told = padded(found.fastest.layout, found.plan.global_batch)
    return (f"The fastest {told}; the others take their time and count for nothing.",) if told else ()


def _second(found: Tradeoff) -> tuple[str, ...]:
    if found.runner_up is None:
        return ("No layout with other degrees fits.",)
    return (f"Runner-up: {shown(found.runner_up.layout)} {why(found.runner_up)}.",)


def _cost(found: Tradeoff) -> tuple[str, ...]:
    """What a token costs on all of the devices, and which fewer of them are faster or cheaper."""
    price, fewer = found.price, _fewer(found)
    if price is None:
        return (f"No on-demand price of {found.cluster.accelerator.name} is known.", *fewer)
    many, unit = _many(found)[0], found.plan.workload.unit
    return (
        f"On these devices the fastest is the cheapest: {_usd_of_many(found, found.sizes[0])} for {many} {unit} at "
        f"{units.usd(price.usd_per_h)} a GPU-hour ({price.offer}, {price.seen}).",
        *fewer,
    )


def _fewer(found: Tradeoff) -> tuple[str, ...]:
    """The fastest of the smaller sizes, where it beats the whole, and the cheapest; nothing where none fits."""
    whole, *smaller = found.sizes
    if not smaller:
        return ()
    fastest = min(smaller, key=lambda size: size.sample_s)
    told = [fastest] if fastest.sample_s < (1.0 - _SAVING) * whole.sample_s else []
    if found.cheapest not in (whole, *told) and _saved(whole, found.cheapest) >= _SAVING:
        told.append(found.cheapest)
    if told:
        return (f"{'; '.join(_beside(found, size) for size in told)}.",)
    if len(smaller) == 1:
        return (f"{smaller[0].devices:,} devices are no cheaper.",)
    return (
        f"None of {len(smaller)} smaller sizes, from {smaller[-1].devices:,} to {smaller[0].devices:,} devices, "
        "is cheaper.",
    )


def _saved(whole: Fewer, size: Fewer) -> float:
    """What of the device-seconds for a sample a smaller size saves; below nought where it takes more."""
    return 1.0 - size.devices * size.sample_s / (whole.devices * whole.sample_s)


def _beside(found: Tradeoff, size: Fewer) -> str:
    """A smaller size beside the whole: ``512 devices take 1.5 times as long and cost 25 % less ($410)``."""
    whole, ratio = found.sizes[0], size.sample_s / found.sizes[0].sample_s
    price = f" ({_usd_of_many(found, size)})" if found.price else ""
    one = size.devices == 1
    takes, costs = ("takes", "costs") if one else ("take", "cost")
    speed = f"{takes} {units.significant(ratio)} times as long"
    if ratio < 1.0:
        speed = f"{'is' if one else 'are'} {units.significant(1.0 / ratio)} times as fast"
    devices = "1 device" if one else f"{size.devices:,} devices"
    return f"{devices} {speed} and {costs} {units.percent(_saved(whole, size))} less{price}"


def _many(found: Tradeoff) -> tuple[str, float]:
    return _BILLION if found.plan.workload.unit == "tokens" else _MILLION


def _usd_of_many(found: Tradeoff, size: Fewer) -> str:
    return units.usd((size.usd_per_token or 0.0) * _many(found)[1])


# --- a plot in letters
#
# A plot in text: points on a grid of letters, for any terminal.

_WIDTH, _HEIGHT = 60, 10
# From so many points on, the plot has its full height; fewer have a line each, and one between each two.
_MANY = 5
# What lies between the points: a blank would be lost where a format drops blanks.
_GROUND = "·"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where it is, in any two units, and the letter it is drawn with."""

    across: float
    up: float
    mark: str


def drawn(points: Sequence[Point], show: Callable[[float], str]) -> tuple[tuple[str, str], ...]:
    """Lines of the plot from the top down, each with what its height stands for, where a point is on it.

    Args:
        points: at least one. Where several meet, the first of them is seen.
        show: the height for people.

    Both axes go from the least to the most; heights are on a logarithmic scale, as ratios are what matters.
    """
    across, up = [p.across for p in points], [math.log(p.up) for p in points]
    lines = _HEIGHT if len(points) >= _MANY else 2 * len(points) - 1
    grid = [[_GROUND] * _WIDTH for _ in range(lines)]
    heights: dict[int, float] = {}
    for point, height in reversed(list(zip(points, up, strict=True))):
        row = lines - 1 - _cell(height, up, lines)
        grid[row][_cell(point.across, across, _WIDTH)] = point.mark
        heights[row] = point.up
    return tuple((show(heights[r]) if r in heights else "", "".join(line)) for r, line in enumerate(grid))


def _cell(value: float, values: Sequence[float], cells: int) -> int:
    """Which of so many cells between the least and the most it falls into; the first where all are one."""
    low, high = min(values), max(values)
    return round((value - low) / (high - low) * (cells - 1)) if high > low else 0
