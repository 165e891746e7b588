"""How far predicted scaling is from published runs of one configuration on several counts of devices.

    python benchmarks/scaling_published.py            publishers left out of the fits that predict their series
    python benchmarks/scaling_published.py --quick    the shipped coefficients only
    python benchmarks/scaling_published.py --rows     every series, count by count
    python benchmarks/scaling_published.py --readme   also write the figures into docs/scaling.md

Efficiency is the speed of one device over that at the smallest count of the series. An error is in points: percentage
points of efficiency, predicted less published. A weak series has the same batch for each device, a strong one the same in
all. The series are those of ``scaling.csv`` and all that the other tables have. Each publisher weighs the same.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from statistics import mean, median

import numpy as np
import readme
from tables import PUBLISHED, paths, published

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, predicted_speeds, runs_of
from zenplan.domain.fit.coefficients import Coefficient, Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import BY_NAME
from zenplan.fitting.fit import fit, groups_of
from zenplan.fitting.intervals import quantile
from zenplan.fitting.model import Model
from zenplan.fitting.prior import STAGES, START, Stage, start
from zenplan.fitting.published import published_runs, publisher_of, rows_of, thinned

Cells = Mapping[str, str]

# The largest count with this efficiency or more is how many devices still work for their money.
EFFICIENT = 0.8
# What the median of points is held to.
BAR = 8.0
LARGE = 512
_TABLES = ("language_models.csv", "small_transformers.csv", "other_models.csv")
# What differs between the rows of a series.
_APART = frozenset(
    (
        *("id", "devices", "nodes", "node_devices", "network_gbit_per_s_per_device", "global_batch", "dp"),
        *("licence", "confidence", "read", "note", "tokens_per_s_per_device", "samples_per_s_per_device"),
    )
)
# Its series differ in what no column of that table has, and stand in ``scaling.csv``.
_ELSEWHERE = "InternLM/InternEvo"
# A series has at least this many times as many devices at its end.
_LONG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Rows of one configuration, from the smallest count of devices on; several of a count stand together."""

    name: str
    publisher: str
    kind: str
    rows: tuple[Cells, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A series with its efficiencies, one for each count of devices; that of the smallest is 1."""

    series: Series
    devices: tuple[int, ...]
    published: tuple[float, ...]
    predicted: tuple[float, ...]
    across: bool
    language: bool

    @property
    def points(self) -> list[float]:
        """Predicted less published, in percentage points, of each count but the smallest."""
        pairs = zip(self.predicted[1:], self.published[1:], strict=True)
        return [100.0 * (guess - real) for guess, real in pairs]

    @property
    def workers(self) -> tuple[int, int]:
        """The efficient number of devices, published and predicted, of the counts there are."""
        return _efficient(self.devices, self.published), _efficient(self.devices, self.predicted)


def _efficient(devices: Sequence[int], efficiencies: Sequence[float]) -> int:
    return max(n for n, share in zip(devices, efficiencies, strict=True) if share >= EFFICIENT)


# --- the series


def all_series() -> list[Series]:
    """Those of ``scaling.csv``, of the other tables of runs, and of MLPerf's results."""
    own = [_series(name, group) for name, group in _grouped(_rows("scaling.csv"), lambda r: r["series"]).items()]
    found = [s for table in _TABLES for s in _of_table(_rows(table))]
    return [*own, *found, *_of_mlperf()]


def _rows(table: str) -> list[Cells]:
    return rows_of(PUBLISHED / table)


def _grouped(rows: Iterable[Cells], key: Callable[[Cells], Hashable]) -> dict[Hashable, list[Cells]]:
    groups: dict[Hashable, list[Cells]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _of_table(rows: Sequence[Cells]) -> Iterator[Series]:
    """Rows that differ in their devices alone: with the same batch for each (weak) or in all (strong)."""
    known = [row for row in rows if row["devices"] and row["global_batch"] and _ELSEWHERE not in row["source"]]

    def weak(row: Cells) -> Hashable:
        return _configuration(row), int(row["global_batch"]) / int(row["devices"])

    def strong(row: Cells) -> Hashable:
        return _configuration(row), row["global_batch"]

    for key in (weak, strong):
        for group in _grouped(known, key).values():
            counts = {int(row["devices"]) for row in group}
            if max(counts) >= _LONG * min(counts):
                yield _series(f"{group[0]['source']} {group[0]['model']}", group)


def _configuration(row: Cells) -> Hashable:
    return tuple((name, text) for name, text in row.items() if name not in _APART)


def _of_mlperf() -> Iterator[Series]:
    """Results of one submitter at one batch. Those that stand again in a later round count once."""
    results = {row["id"]: row for row in published("mlperf_runs.csv")}
    rows = [{**row, "publisher": results[row["id"]]["submitter"]} for row in _rows("mlperf_throughput.csv")]
    columns = ("publisher", "model", "accelerator", "precision", "source", "framework", "global_batch")
    seen = set()
    for group in _grouped(rows, lambda row: tuple(row[name] for name in columns)).values():
        counts = {int(row["devices"]) for row in group}
        speeds = frozenset((row["devices"], row["samples_per_s_per_device"]) for row in group)
        if max(counts) >= _LONG * min(counts) and speeds not in seen:
            seen.add(speeds)
            yield _series(f"MLPerf {group[0]['source'][-4:]} {group[0]['model']}", group)


def _series(name: Hashable, rows: Sequence[Cells]) -> Series:
    ordered = tuple(sorted(rows, key=lambda row: int(row["devices"])))
    batches = {row["global_batch"] for row in ordered}
    return Series(
        name=str(name),
        publisher=ordered[0]["publisher"] or publisher_of(ordered[0]["source"], PUBLISHED),
        kind="strong" if len(batches) == 1 else "weak",
        rows=ordered,
    )


# --- the coefficients, without a publisher

# From the shipped coefficients on, which are fitted to all, so few steps arrive where many from the start do.
_STEPS = 3


@cache
def _fitted_runs() -> Mapping[str, Sequence[Run]]:
    """The runs that a fit sees, by stage."""
    return {stage.tables[0]: thinned(published_runs(paths(stage.tables), start())) for stage in STAGES}


def coefficients_without(publisher: str, stages: Sequence[Stage] = STAGES) -> Coefficients:
    """Fitted to all runs but this publisher's; the shipped ones where it has none."""
    found = read_coefficients()
    begin, before, moved = start(), frozenset[str](), False
    for stage in stages:
        runs = _fitted_runs()[stage.tables[0]]
        kept = [run for run in runs if run.measured.publisher != publisher]
        moved = moved or len(kept) < len(runs)
        if moved:
            found = fit(Model(kept, found), stage, begin, found, _STEPS)
        before |= {group for run in kept for group in groups_of(run).values()}
        begin = _only(found, before)
    return found


def _only(c: Coefficients, groups: Set[str]) -> Coefficients:
    """The coefficients with the factors of these groups, and those that are not fitted."""

    def kept(one: Coefficient) -> Coefficient:
        factors = {g: f for g, f in one.factors.items() if g in groups or g in START[one.name].factors}
        return replace(one, factors=factors)

    return replace(c, all={name: kept(one) for name, one in c.all.items()})


# --- the scores


def score(some: Sequence[Series], coefficients: Coefficients) -> list[Scored]:
    """Series predicted under some coefficients. A count that cannot be predicted is left out."""
    rows = [row for series in some for row in series.rows]
    made = list(runs_of(rows, Catalogue(accelerators=read_accelerators()), coefficients))
    runs = [run for run in made if isinstance(run, Run)]
    speeds = iter(predicted_speeds(runs))
    each = iter([(run, next(speeds)[1]) if isinstance(run, Run) else None for run in made])
    found = (_scored(series, [next(each) for _ in series.rows]) for series in some)
    return [scored for scored in found if scored is not None]


def _scored(series: Series, made: Sequence[tuple[Run, float] | None]) -> Scored | None:
    counts: dict[int, list[tuple[Run, float]]] = {}
    for pair in filter(None, made):
        counts.setdefault(pair[0].devices, []).append(pair)
    if len(counts) < 2:
        return None
    real = [mean(run.tokens_per_s for run, _ in pairs) for pairs in counts.values()]
    guessed = [mean(speed for _, speed in pairs) for pairs in counts.values()]
    last = next(reversed(counts.values()))[0][0]
    return Scored(
        series=series,
        devices=tuple(counts),
        published=tuple(speed / real[0] for speed in real),
        predicted=tuple(speed / guessed[0] for speed in guessed),
        across=last.devices > last.cluster.linked_devices,
        language=last.measured.family not in BY_NAME,
    )


def _score_of(name: str) -> list[Scored]:
    some = [s for s in all_series() if s.publisher == name]
    # What the other families add to language models moves nothing of theirs.
    others = any(row["family"] in BY_NAME for s in some for row in s.rows)
    return score(some, coefficients_without(name, STAGES if others else STAGES[:1]))


def left_out(some: Sequence[Series]) -> list[Scored]:
    """Each series under coefficients that its publisher's runs have not been fitted to."""
    names = sorted({series.publisher for series in some})
    _fitted_runs()
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        return [scored for group in pool.map(_score_of, names) for scored in group]


# --- what is beyond a count that was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """A weak series, of which the step to its second count is known, as ``calibrate`` measures it, and the rest predicted.

    Attributes:
        errors: of each count after the second ln(published / predicted) efficiency, over the square root of the doublings
            since the second.
        off: low, median and high of the errors of all other publishers' series.
    """

    scored: Scored
    errors: tuple[float, ...]
    off: tuple[float, float, float]

    @property
    def held(self) -> list[bool]:
        """Whether each error lies between the others' low and high."""
        return [self.off[0] <= error <= self.off[2] for error in self.errors]

    def efficient(self, off: float) -> float:
        """The efficient number if efficiency is that much off, over the published one."""
        one = self.scored
        ratio = one.published[1] / one.predicted[1]
        later = zip(one.devices[2:], one.predicted[2:], strict=True)
        found = [ratio * share * math.exp(off * _far(one, devices)) for devices, share in later]
        return _efficient(one.devices, (*one.published[:2], *found)) / one.workers[0]


def beyond(found: Sequence[Scored]) -> list[Beyond]:
    """The weak series of three counts or more, each publisher's beside the errors of all others."""
    some = [one for one in found if one.series.kind == "weak" and len(one.devices) > _LONG]
    errors = {id(one): _beyond(one) for one in some}
    makers = {one.series.publisher for one in some}
    off = {name: _off([one for one in some if one.series.publisher != name], errors) for name in makers}
    return [Beyond(scored=one, errors=errors[id(one)], off=off[one.series.publisher]) for one in some]


def _beyond(one: Scored) -> tuple[float, ...]:
    ratio = one.published[1] / one.predicted[1]
    each = zip(one.devices[2:], one.published[2:], one.predicted[2:], strict=True)
    return tuple(math.log(real / guess / ratio) / _far(one, devices) for devices, real, guess in each)


def _far(one: Scored, devices: int) -> float:
    return math.sqrt(math.log2(devices / one.devices[1]))


def _off(some: Sequence[Scored], errors: Mapping[int, Sequence[float]]) -> tuple[float, float, float]:
    """The ends and the middle of 80 % of the errors, each publisher with the same weight."""
    counts = Counter(one.series.publisher for one in some for _ in errors[id(one)])
    values = np.array([error for one in some for error in errors[id(one)]])
    weights = np.array([1.0 / counts[one.series.publisher] for one in some for _ in errors[id(one)]])
    low, mid, high = (quantile(values, weights, share) for share in (0.1, 0.5, 0.9))
    return low, mid, high


def _beyond_table(found: Sequence[Scored]) -> str:
    """Whether ranges hold, and the efficient number at either end and in the middle."""
    each = beyond(found)
    low, mid, high = _off([one.scored for one in each], {id(one.scored): one.errors for one in each})
    makers: dict[str, list[Beyond]] = {}
    for one in each:
        makers.setdefault(one.scored.series.publisher, []).append(one)

    def share(of: Mapping[int, float]) -> str:
        return f"{100 * mean(mean(of[id(one)] for one in group) for group in makers.values()):.0f} %"

    held = {id(one): mean(one.held) for one in each}
    rows = []
    for title, end in (("low end", 0), ("middle", None), ("high end", 2)):
        ratios = {id(one): one.efficient(0.0 if end is None else one.off[end]) for one in each}
        drop = [ratios[id(one)] for one in each if one.scored.workers[0] < one.scored.devices[-1]]
        signs = {key: float(np.sign(ratio - 1.0)) for key, ratio in ratios.items()}
        shares = [share({key: float(of == sign) for key, of in signs.items()}) for sign in (1.0, 0.0, -1.0)]
        rows.append(f"| {title} | {median(drop):.1f} × | " + " | ".join(shares) + " |")
    said = (
        f"Of {len(each)} weak series of three counts or more, of {len(makers)} publishers, the step to the second count is "
        f"taken as measured. Beyond it, 80 % of the efficiencies (ln, published over predicted, over the square root of the "
        f"doublings) lie between {low:.3f} and {high:+.3f}, the median is {mid:.3f}. The range of the other publishers "
        f"holds {share(held)} of each one's."
    )
    head = "| efficient number | over the published | too high | the same | too low |\n|---|---:|---:|---:|---:|"
    return "\n\n".join((said, "\n".join((head, *rows))))


# --- the tables

_HEAD = ("series", "publishers", "counts", "median points", "bias", f"within {BAR:.0f}", "efficient number", "the same")


def _cells(title: str, some: Sequence[Scored]) -> list[str]:
    """A row under ``_HEAD``; each publisher weighs the same, and of one each series does."""
    makers: dict[str, list[Scored]] = {}
    for one in some:
        makers.setdefault(one.series.publisher, []).append(one)

    def over(of: Callable[[Scored], float]) -> list[float]:
        return [mean(of(one) for one in group) for group in makers.values()]

    sizes = [median(abs(p) for one in group for p in one.points) for group in makers.values()]
    near = over(lambda one: mean(abs(p) <= BAR for p in one.points))
    drop = [one for one in some if one.workers[0] < one.devices[-1]]
    ratio = f"{median(one.workers[1] / one.workers[0] for one in drop):.1f} ×" if drop else ""
    return [
        title,
        str(len(some)),
        str(len(makers)),
        str(sum(len(one.points) for one in some)),
        f"{median(sizes):.1f}",
        f"{mean(over(lambda one: mean(one.points))):+.1f}",
        f"{100 * mean(near):.0f} %",
        ratio,
        f"{100 * mean(over(lambda one: one.workers[0] == one.workers[1])):.0f} %",
    ]


def _table(title: str, rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {title} | " + " | ".join(_HEAD) + " |", "|---|" + "---:|" * len(_HEAD)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


_KINDS: Mapping[str, Callable[[Scored], bool]] = {
    "weak: the same batch for each device": lambda one: one.series.kind == "weak",
    "strong: the same batch in all": lambda one: one.series.kind == "strong",
    "language models": lambda one: one.language,
    "other families": lambda one: not one.language,
    "within a node, or one link": lambda one: not one.across,
    "over a network": lambda one: one.across,
    f"to {LARGE} devices or more": lambda one: one.devices[-1] >= LARGE,
    "MLPerf Training": lambda one: one.series.name.startswith("MLPerf"),
    f"published efficiency falls below {EFFICIENT:.0%}".replace("%", " %"): lambda one: one.published[-1] < EFFICIENT,
}


def report(found: Sequence[Scored]) -> str:
    """The tables, as markdown: of all, by kind, by publisher."""
    kinds = [(title, [one for one in found if has(one)]) for title, has in _KINDS.items()]
    makers = sorted({one.series.publisher for one in found})
    by_maker = [(name, [one for one in found if one.series.publisher == name]) for name in makers]
    alike = [abs(points) for one in found for points in one.points]
    return "\n\n".join(
        (
            _table("publishers left out", [_cells("**all**", found), *(_cells(t, some) for t, some in kinds if some)]),
            f"Of all {len(alike)} counts alike, whoever published them, the median is {median(alike):.1f} points.",
            _beyond_table(found),
            _table("publisher", [_cells(name, some) for name, some in by_maker]),
        )
    )


def show(found: Sequence[Scored]) -> Iterator[str]:
    """Every series, the farthest off first: devices, published and predicted efficiency."""
    for one in sorted(found, key=lambda one: -max(abs(p) for p in one.points)):
        counts = zip(one.devices[1:], one.published[1:], one.predicted[1:], strict=True)
        said = " ".join(f"{n}: {real:.2f} {guess:.2f}" for n, real, guess in counts)
        yield f"{one.series.publisher}, {one.series.name}, {one.series.kind} from {one.devices[0]}: {said}"


def main() -> None:
    """Score, print, and write into the documents when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the shipped coefficients, fitted to these publishers too")
    parser.add_argument("--rows", action="store_true", help="print every series")
    parser.add_argument("--readme", action="store_true", help="write the figures into docs/scaling.md")
    arguments = parser.parse_args()
    if arguments.quick and arguments.readme:
        parser.error("--quick has no figures on what was left out, which the document is about")
    some = all_series()
    found = score(some, read_coefficients()) if arguments.quick else left_out(some)
    if arguments.rows:
        print("\n".join(show(found)))
    text = report(found)
    print(text)
    if arguments.readme:
        readme.write("scaling", text)


if __name__ == "__main__":
    main()
