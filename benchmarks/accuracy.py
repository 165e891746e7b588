"""How far predictions are from published, measured training runs.

    python benchmarks/accuracy.py               the tables: what is scored was left out of the fit
    python benchmarks/accuracy.py --quick       the shipped coefficients only (fitted to these rows)
    python benchmarks/accuracy.py --readme      also write the figures into README.md

Scored on tokens a second and device, never on a printed MFU: sources count FLOP differently. A summary is
taken for each source and averaged, so that a source of 200 rows weighs as much as one of 5.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import baselines
import other_families
import readme
from tables import PUBLISHED, Errors, cells, macro, paths, published, table

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, runs_of
from zenplan.domain.answer.backtest import Summary, size_of
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import ZenplanError
from zenplan.fitting.fit import errors_of
from zenplan.fitting.intervals import checked, plain
from zenplan.fitting.left_out import LARGE, Observed, fitted_stages
from zenplan.fitting.prior import LANGUAGE, OTHERS
from zenplan.fitting.published import accelerator, by_group, generation, published_runs, source

# The runs that other models are judged by too.
_JUDGED = ("SC21 paper", "Korthikanti", "llm-foundry")
_SMALL, _FEW = 350e6, 8


def scale(run: Run) -> str:
    """One node or more."""
    return "one node" if run.cluster.nodes == 1 else "several nodes"


def size(run: Run) -> str:
    """Parameters, in three classes."""
    return size_of(run.measured.params or math.nan)


def software(run: Run) -> str:
    """The kind of framework."""
    return str(run.plan.software or "not known")


def told(run: Run) -> str:
    """Whether the row has the whole configuration."""
    return "in part" if run.guessed else "in full"


def six_nd(run: Run, utilisation: float = 0.4) -> float:
    """ln(predicted / measured) of the rule of thumb: 6·N·D FLOP at 40 % of the bf16 or fp16 peak."""
    sheet = run.cluster.accelerator
    dense = sheet.peak("fp16" if run.plan.precision.name in ("fp16", "fp32", "tf32") else "bf16")
    peak = dense if dense is not None else max(sheet.peak_flop_per_s.values())
    active = run.measured.active_params or run.measured.params or math.nan
    return math.log(utilisation * peak / (6.0 * active) / run.tokens_per_s)


def grouped(errors: Errors, key: Callable[[Run], Hashable]) -> list[list[str]]:
    """A row for each group, each averaged over its sources."""
    rows = []
    for name in sorted({key(run) for run, _ in errors}, key=str):
        mine = [(run, e) for run, e in errors if key(run) == name]
        rows.append(cells(str(name), macro(by_group(mine, source))))
    return rows


def named(run: Run) -> str:
    """The source, short."""
    return source(run)[-60:]


def _of(table_name: str, errors: Errors) -> Errors:
    """The errors on the rows of one table."""
    ids = {row["id"] for row in published(table_name)}
    return [(run, e) for run, e in errors if run.measured.id in ids]


def _rules(all_runs: Sequence[Run], fitted: Errors) -> list[list[str]]:
    """What others say, on the same rows where they can say anything."""
    rows = [cells("6·N·D at 40 % of peak", macro(by_group([(r, six_nd(r)) for r in all_runs], source)))]
    if baselines.installed():
        said = [(r, e) for r in all_runs if (e := baselines.llm_analysis(r)) is not None]
        rows.append(cells(f"llm-analysis at its documented {baselines.EFFICIENCY}", macro(by_group(said, source))))
    rows.append(cells("zenplan, fitted to these runs", macro(by_group(fitted, source))))
    return rows


def _left_out(observed: Observed) -> list[list[str]]:
    keys = {"source": source, "accelerator": accelerator, "generation": generation, "scale": source}
    names = {
        "source": "**zenplan, each source left out of the fit**",
        "accelerator": "zenplan, each accelerator left out, averaged over accelerators",
        "generation": "zenplan, each generation left out, averaged over generations",
        "scale": f"zenplan, all runs above {LARGE} devices left out",
    }
    return [cells(names[n], macro(by_group(_of(LANGUAGE.tables[0], plain(observed[n])), keys[n]))) for n in observed]


def _small(fitted: Errors, best: Errors) -> str:
    """The other table: encoders and small decoders."""
    rows = [
        cells(title, macro(by_group(_of(LANGUAGE.tables[1], errors), source)))
        for title, errors in (("fitted", fitted), ("each source left out of the fit", best))
    ]
    return table("small transformers", rows)


def _targets(fitted: Errors, best: Errors) -> str:
    """The runs that everybody's model is judged by, and the small ones."""
    rows = []
    for title, errors in (("fitted", fitted), ("left out", best)):
        mine = [e for r, e in errors if any(word in source(r) for word in _JUDGED)]
        rows.append(cells(f"Megatron SC21 table 1, Korthikanti table 5, llm-foundry ({title})", Summary.of(mine)))
        small = [e for r, e in errors if (r.measured.params or math.inf) <= _SMALL and r.devices <= _FEW]
        rows.append(cells(f"up to 350M parameters on up to {_FEW} devices ({title})", Summary.of(small)))
    return table("rows, each counted once", rows)


def _coverage(observed: Observed) -> str:
    together = [o for name in ("source", "generation", "scale") for o in observed[name]]
    ids = {row["id"] for row in published(LANGUAGE.tables[0])}
    lines = ["| 80 % interval | holds | median half-width |", "|---|---:|---:|"]
    for name, judged, key in (
        ("runs of a source that neither fit nor interval knew", "source", source),
        ("of an accelerator whose runs the interval did not know", "source", accelerator),
        ("of a generation that neither knew", "generation", generation),
        (f"of more than {LARGE} devices, unknown to the fit, by source", "scale", source),
    ):
        found = checked(together, [o for o in observed[judged] if o.run.measured.id in ids], key)
        lines.append(f"| {name} | {100 * found.coverage:.0f} % | {100 * found.half_width:.0f} % |")
    return "\n".join(lines)


def _notes(outcomes: Sequence[Run | ZenplanError]) -> str:
    skipped = Counter(re.sub(r"\d+", "N", r.message) for r in outcomes if not isinstance(r, Run))
    all_runs = [r for r in outcomes if isinstance(r, Run)]
    return (
        f"{len(all_runs)} runs from {len({source(r) for r in all_runs})} sources; {sum(skipped.values())} rows are not "
        "scored: " + "; ".join(f"{n} × {why}" for why, n in sorted(skipped.items())) + ". "
        f"{100 * sum(r.fits for r in all_runs) / len(all_runs):.0f} % of these runs are found to fit memory; all did."
    )


def report(coefficients: Coefficients, observed: Observed, other: Observed) -> str:
    """All tables, as markdown; without what was left out, of both stages, what is fitted alone."""
    outcomes = list(runs_of(published(), Catalogue(accelerators=read_accelerators()), coefficients))
    all_runs = [r for r in outcomes if isinstance(r, Run)]
    errors = errors_of(published_runs(paths(LANGUAGE.tables), coefficients), coefficients)
    fitted = _of(LANGUAGE.tables[0], errors)
    out, how = (plain(observed["source"]), "sources left out") if observed else (errors, "fitted")
    best = _of(LANGUAGE.tables[0], out)
    parts = [table("language models", [*_rules(all_runs, fitted), *_left_out(observed)])]
    if observed:
        parts += [_coverage(observed), _targets(fitted, best), _small(errors, out)]
    for title, key in (
        ("generation", generation),
        ("software", software),
        ("scale", scale),
        ("size", size),
        ("configuration stated", told),
        ("source", named),
    ):
        parts.append(table(f"{title} ({how})", grouped(best, key)))
    others = published_runs(paths(OTHERS.tables), coefficients)
    return "\n\n".join([*parts, _notes(outcomes), *other_families.report(other, others, coefficients)])


def main() -> None:
    """Score, print, and write into the README when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="do not refit with sources left out")
    parser.add_argument("--readme", action="store_true", help="write the figures into README.md")
    arguments = parser.parse_args()
    if arguments.quick and arguments.readme:
        parser.error("--quick has no figures on what was left out, which the README is about")
    observed: Sequence[Observed] = [{}, {}]
    if not arguments.quick:
        observed = [stage.observed for stage in fitted_stages(PUBLISHED)]
    text = report(read_coefficients(), *observed)
    print(text)
    if arguments.readme:
        readme.write("accuracy", text)


if __name__ == "__main__":
    main()
