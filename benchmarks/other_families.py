"""How far predictions are from published runs of anything but language models, by family; and from single operators.

Part of ``accuracy.py``, which prints it. Each figure is averaged over publishers: one of a thousand rows
weighs as much as one of five.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from statistics import median

from tables import PUBLISHED, Errors, cells, macro, score_cells, score_table, table

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.backtesting.runs import Run
from zenplan.commands.backtest.use_case import backtest
from zenplan.domain.answer.backtest import Kind, ScoredRow, Summary
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.workload import LANGUAGE
from zenplan.fitting.fit import errors_of
from zenplan.fitting.intervals import Judged, Score, plain
from zenplan.fitting.left_out import KNOWN, LARGE, NEW, Observed
from zenplan.fitting.published import by_group, publisher, source

# The families of the short table, as it calls them; the rest are its last line.
SHORT = {
    "convnet": "convnets",
    "vision transformer": "vision transformers",
    "recurrent": "recurrent networks",
    "recommender": "recommenders",
}
REST = "other families"
_THROUGH_HOST, _PCIE, _NVLINK = "over PCIe, through the host (GeForce)", "over PCIe", "NVLink or NVSwitch"


def _family(run: Run) -> str:
    return run.plan.workload.family


def _task(run: Run) -> str:
    """What the model is usually trained for, where its family has several: detection, translation, ..."""
    usual = run.plan.workload.usual
    return usual.task if usual is not None else ""


def _families(runs: Iterable[Run]) -> list[str]:
    """The families there are, those of the short table first."""
    there = {_family(run) for run in runs}
    return [*(name for name in SHORT if name in there), *sorted(there - SHORT.keys())]


def _counted(run: Run) -> bool:
    """Whether the row says its FLOP and its activations."""
    return bool(run.measured.flop_per_sample and run.measured.activations_per_sample)


def short(found: Sequence[Judged]) -> list[list[str]]:
    """A row for each of the large families, and one for all others."""
    parts: dict[str, list[Judged]] = {title: [] for title in (*SHORT.values(), REST)}
    for each in found:
        parts[SHORT.get(_family(each.run), REST)].append(each)
    return [score_cells(title, Score.of(mine)) for title, mine in parts.items() if mine]


def _totals(found: Mapping[str, Sequence[Judged]]) -> str:
    """All families together, by what was left out."""
    titles = {
        NEW: "**new publishers: all of each left out**",
        KNOWN: "publishers it knows: a quarter of their documents left out",
        "generation": "each generation left out",
        "scale": f"all runs above {LARGE} devices left out",
    }
    rows = [score_cells(title, Score.of(found[name])) for name, title in titles.items() if found.get(name)]
    return score_table("all other families", rows)


def by_family(found: Mapping[str, Sequence[Judged]]) -> Iterator[str]:
    """A table of errors and intervals for each family and its tasks, for each kind of group that was left out."""
    for name, title in (
        (NEW, "new publishers: all of each left out"),
        (KNOWN, "publishers it knows: a quarter of their documents left out"),
        ("generation", "each generation left out"),
    ):
        every = found.get(name, ())
        rows = []
        for family in _families(j.run for j in every):
            mine = [j for j in every if _family(j.run) == family]
            rows.append(score_cells(family, Score.of(mine)))
            rows += [score_cells(f"{family}, {which}", Score.of(some)) for which, some in _parts(mine)]
        if rows:
            yield score_table(title, rows)


def _parts(mine: Sequence[Judged]) -> Iterator[tuple[str, list[Judged]]]:
    """Runs of one family by the task of their model, and those of which the counts are known; what is all of it is none."""
    tasks = sorted({_task(j.run) for j in mine} - {""})
    parts = [(task, [j for j in mine if _task(j.run) == task]) for task in tasks]
    parts.append(("FLOP and activations in the row", [j for j in mine if _counted(j.run)]))
    yield from ((which, some) for which, some in parts if 0 < len(some) < len(mine))


def by_publisher(found: Sequence[Judged]) -> str:
    """Every publisher of every family, left out."""
    rows = []
    for family in _families(j.run for j in found):
        mine = [j for j in found if _family(j.run) == family]
        for name in sorted({publisher(j.run) for j in mine}):
            score = Score.of([j for j in mine if publisher(j.run) == name])
            rows.append(score_cells(f"{family}: {name}", score, alone=True))
    return score_table("family and publisher (left out)", rows, alone=True)


def scaling(errors: Errors) -> str:
    """Speed of a device among several over that of one alone, measured and predicted, by what joins them."""
    alone: dict[Hashable, tuple[float, float]] = {}
    for run, error in errors:
        if run.devices == 1:
            alone[_same(run)] = (run.tokens_per_s, error)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run, error in errors:
        if run.devices > 1 and run.cluster.nodes == 1 and _same(run) in alone:
            speed, own = alone[_same(run)]
            measured = run.tokens_per_s / speed
            box = _box(run.cluster)
            found[box].append((measured, measured * math.exp(error - own)))
    lines = ["| one node, against one device | rows | measured | predicted | apart, median |", "|---|" + "---:|" * 4]
    for box, pairs in found.items():
        shown = " | ".join(_span([pair[i] for pair in pairs]) for i in (0, 1))
        apart = median(abs(math.log(p / m)) for m, p in pairs)
        lines.append(f"| {box} | {len(pairs)} | {shown} | {apart:.3f} |")
    return "\n".join(lines)


def _box(cluster: Cluster) -> str:
    """What joins the devices; a bridge of two does not join eight."""
    if cluster.accelerator.link_bytes_per_s and cluster.linked_devices >= cluster.devices:
        return _NVLINK
    return _PCIE if cluster.accelerator.peer_access else _THROUGH_HOST


def _same(run: Run) -> Hashable:
    """What a run on one device and one on several have in common."""
    measured, micro = run.measured, run.layouts[0].micro_batch
    device = measured.accelerator.name
    return (source(run), device, measured.model, measured.written_precision, measured.compiled, micro)


def _span(values: Sequence[float]) -> str:
    """Tenth percentile, median and ninetieth."""
    ordered = sorted(values)
    low, high = (ordered[min(int(q * len(ordered)), len(ordered) - 1)] for q in (0.1, 0.9))
    return f"{low:.2f} – {median(ordered):.2f} – {high:.2f}"


def _rows(name: str, coefficients: Coefficients, kind: Kind) -> list[ScoredRow]:
    found = backtest(PUBLISHED / name, Catalogue(accelerators=read_accelerators()), coefficients)
    return [row for row in found.rows if row.kind is kind]


def operators(coefficients: Coefficients) -> str:
    """Single operators of DeepBench: none of them was in the fit."""
    scored = _rows("operators.csv", coefficients, Kind.OPERATOR)
    groups = {"": scored}
    for row in scored:
        groups.setdefault(f"{row.family}, {row.task}", []).append(row)
    rows = [
        cells(name or "all, each counted once", Summary.of([r.error for r in mine])) for name, mine in groups.items()
    ]
    return table("single operators, never fitted", rows)


def keras(coefficients: Coefficients) -> str:
    """Milliseconds of a step by model and backend: measured, and predicted."""
    scored = _rows("keras_backends.csv", coefficients, Kind.THROUGHPUT)
    models: dict[str, dict[str, ScoredRow]] = defaultdict(dict)
    for row in scored:
        models[row.model][row.framework] = row
    backends = sorted({row.framework for row in scored})
    lines = ["| samples/s: measured / predicted | " + " | ".join(backends) + " |", "|---|" + "---:|" * len(backends)]
    for model, found in models.items():
        shown = [f"{found[b].measured:.3g} / {found[b].predicted.mid:.3g}" if b in found else "–" for b in backends]
        lines.append(f"| {model} | " + " | ".join(shown) + " |")
    errors = [row.error for row in scored if row.family not in LANGUAGE]
    return (
        "\n".join(lines)
        + f"\n\nBeyond language models: median ln error {median(map(abs, errors)):.3f} of {len(errors)} rows, none fitted."
    )


def report(
    observed: Observed, found: Mapping[str, Sequence[Judged]], runs: Sequence[Run], coefficients: Coefficients
) -> Iterator[str]:
    """All tables, as markdown.

    Args:
        observed: what was left out of this stage's fit; empty for what is fitted alone.
        found: the same runs beside their intervals.
        runs: the published ones.
        coefficients: what is shipped.
    """
    yield "### Other families"
    fitted = errors_of(runs, coefficients)
    by_name = {name: [(r, e) for r, e in fitted if _family(r) == name] for name in _families(runs)}
    yield table("other families (fitted)", [cells(n, macro(by_group(e, publisher))) for n, e in by_name.items()])
    if observed:
        yield _totals(found)
        yield from by_family(found)
        yield by_publisher(found[NEW])
        yield scaling(plain(observed[NEW]))
    yield operators(coefficients)
    yield keras(coefficients)
