"""How far predictions are from published, measured training runs, and how often their intervals hold.

    python benchmarks/accuracy.py               the tables: what is scored was left out of the fit
    python benchmarks/accuracy.py --quick       the shipped coefficients only (fitted to these rows)
    python benchmarks/accuracy.py --readme      also write the figures into the README and docs/accuracy.md

Scored on tokens a second and device, never on a printed MFU: sources count FLOP differently. What is left out is a
publisher: who measured, with all of their documents. Each publisher weighs the same, a configuration that is published
for several releases counts once. A known publisher is one whose other documents (or models) are in the fit.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import baselines
import locked_box
import other_families
import readme
from tables import PUBLISHED, Errors, judgement, macro, paths, score_cells, score_table

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, runs_of
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import ZenplanError
from zenplan.fitting.fit import errors_of
from zenplan.fitting.intervals import Judged, Score
from zenplan.fitting.left_out import KNOWN, LARGE, NEW, Observed, fitted_stages
from zenplan.fitting.prior import LANGUAGE, OTHERS
from zenplan.fitting.published import Box, accelerator, by_group, generation, published_runs, publisher, read_rows

_FEW = 8
_LONG = 16384
# Accelerators of one kind, by architecture.
_PRETRAINING = {
    "Volta": ("Volta",),
    "Ampere": ("Ampere",),
    "Hopper": ("Hopper",),
    "Blackwell": ("Blackwell", "Blackwell Ultra"),
    "TPU": ("TPU",),
    "AMD": ("CDNA", "CDNA2", "CDNA3", "CDNA4"),
    "Gaudi and Trainium": ("Gaudi", "NeuronCore-v1", "NeuronCore-v2", "NeuronCore-v3"),
}


def pretrains(run: Run) -> bool:
    """Whether it is no fine-tuning."""
    return run.measured.written_task.lower() in ("", "pretrain")


def few(run: Run, *tasks: str) -> bool:
    """Whether it is a fine-tuning of one of these kinds on up to 8 devices."""
    return run.devices <= _FEW and run.measured.written_task.lower() in tasks


def _pretrains_on(architectures: Sequence[str]) -> Callable[[Run], bool]:
    return lambda r: pretrains(r) and generation(r) in architectures


def _runs_by(software: str) -> Callable[[Run], bool]:
    return lambda r: str(r.plan.software) == software


_KINDS: dict[str, Callable[[Run], bool]] = {
    **{f"pre-training on {name}": _pretrains_on(some) for name, some in _PRETRAINING.items()},
    f"LoRA, up to {_FEW} devices": lambda r: few(r, "lora"),
    f"QLoRA, up to {_FEW} devices": lambda r: few(r, "qlora"),
    f"all fine-tuning, up to {_FEW} devices": lambda r: few(r, "sft", "lora", "qlora"),
    "mixtures of experts": lambda r: r.plan.workload.experts > 1,
    f"sequences of {_LONG:,} tokens or more": lambda r: (r.measured.seq_len or 0) >= _LONG,
    "one device": lambda r: r.devices == 1,
    f"more than {LARGE} devices": lambda r: r.devices > LARGE,
    "the layout in full": lambda r: not r.guessed,
    "a layout that is not known in full": lambda r: r.guessed,
}


def six_nd(run: Run, utilisation: float = 0.4) -> float:
    """ln(predicted / measured) of the rule of thumb: 6·N·D FLOP at 40 % of the bf16 or fp16 peak."""
    sheet = run.cluster.accelerator
    dense = sheet.peak("fp16" if run.plan.precision.name in ("fp16", "fp32", "tf32") else "bf16")
    peak = dense if dense is not None else max(sheet.peak_flop_per_s.values())
    active = run.measured.active_params or run.measured.params or math.nan
    return math.log(utilisation * peak / (6.0 * active) / run.tokens_per_s)


def _rule(name: str, errors: Errors) -> list[str]:
    """A row of a rule that has no intervals; errors are ln(predicted / measured) speed."""
    summary = macro(by_group(errors, publisher))
    makers = len({publisher(r) for r, _ in errors})
    return [
        name,
        str(summary.rows),
        str(makers),
        f"{summary.median:.3f}",
        f"{100 * math.expm1(-summary.bias):+.0f} %",
        "",
        "",
    ]


def _rules(runs: Sequence[Run], coefficients: Coefficients) -> list[list[str]]:
    """What others say, on the same rows where they can say anything."""
    rows = [_rule("6·N·D at 40 % of peak", [(r, six_nd(r)) for r in runs])]
    if baselines.installed():
        said = [(r, e) for r in runs if (e := baselines.llm_analysis(r)) is not None]
        rows.append(_rule(f"llm-analysis at its documented {baselines.EFFICIENCY}", said))
    rows.append(_rule("zenplan, fitted to these runs", errors_of(runs, coefficients)))
    return rows


def judged_of(observed: Observed) -> dict[str, list[Judged]]:
    """Runs of each kind of left-out group beside the intervals of all other publishers."""
    return {name: judgement(observed, name) for name in observed}


def _whole(found: dict[str, list[Judged]]) -> list[list[str]]:
    names = {
        KNOWN: "zenplan, publishers it knows: a quarter of their documents left out",
        NEW: "**zenplan, new publishers: all of each left out**",
        "generation": "zenplan, each generation left out",
        "scale": f"zenplan, all runs above {LARGE} devices left out",
    }
    return [score_cells(title, Score.of(found[name])) for name, title in names.items() if found.get(name)]


def _by_kind(found: dict[str, list[Judged]], others: dict[str, list[Judged]]) -> str:
    """Kinds of language models' runs, and the other families, each beside the intervals of its own."""
    rows = []
    software = sorted({str(j.run.plan.software) for j in found[NEW] if j.run.plan.software})
    kinds = _KINDS | {f"{name} software": _runs_by(name) for name in software}
    for title, has in kinds.items():
        mine = [j for j in found[NEW] if has(j.run)]
        if mine:
            rows.append(score_cells(_never_seen(title, mine, found[NEW]), Score.of(mine)))
    return score_table("new publishers, by what they ran", [*rows, *other_families.short(others.get(NEW, ()))])


def _never_seen(title: str, mine: Sequence[Judged], every: Sequence[Judged]) -> str:
    """The title, and whether the fits that predicted these runs had none of their generation."""
    makers: dict[str, set[str]] = {}
    for each in every:
        makers.setdefault(generation(each.run), set()).add(publisher(each.run))
    return f"{title} (generation never seen)" if all(len(makers[generation(j.run)]) == 1 for j in mine) else title


def _by_publisher(found: dict[str, list[Judged]]) -> str:
    rows = []
    for name in sorted({publisher(j.run) for j in found[NEW]}):
        for kind, title in ((NEW, name), (KNOWN, f"{name}, some of whose runs are fitted")):
            mine = [j for j in found.get(kind, ()) if publisher(j.run) == name]
            if mine:
                rows.append(score_cells(title, Score.of(mine), alone=True))
    return score_table("publisher", rows, alone=True)


def _by_accelerator(found: dict[str, list[Judged]]) -> str:
    names = sorted({accelerator(j.run) for j in found[NEW]})
    rows = [score_cells(n, Score.of([j for j in found[NEW] if accelerator(j.run) == n])) for n in names]
    return score_table("accelerator (new publishers)", rows)


def _notes(outcomes: Sequence[Run | ZenplanError]) -> str:
    skipped = Counter(re.sub(r"\d+", "N", r.message) for r in outcomes if not isinstance(r, Run))
    all_runs = [r for r in outcomes if isinstance(r, Run)]
    makers = len({publisher(r) for r in all_runs})
    return (
        f"{len(all_runs):,} runs of {makers} publishers; {sum(skipped.values())} rows are not scored: "
        + "; ".join(f"{n} × {why}" for why, n in sorted(skipped.items()))
        + ". "
        f"{100 * sum(r.fits for r in all_runs) / len(all_runs):.0f} % of these runs are found to fit memory; all did."
    )


def report(coefficients: Coefficients, observed: Observed, other: Observed, box: Box = Box.OPEN) -> str:
    """All tables, as markdown; without what was left out, of both stages, what is fitted alone. ``box``: of whom."""
    rows = read_rows(paths(LANGUAGE.tables), box)
    outcomes = list(runs_of(rows, Catalogue(accelerators=read_accelerators()), coefficients))
    runs = [run for run in outcomes if isinstance(run, Run)]
    found, found_others = judged_of(observed), judged_of(other)
    parts = [score_table("language models", [*_rules(runs, coefficients), *_whole(found)])]
    if observed:
        parts += [locked_box.table(), _by_kind(found, found_others), _by_publisher(found), _by_accelerator(found)]
    others = published_runs(paths(OTHERS.tables), coefficients, box)
    tables = other_families.report(other, found_others, others, coefficients)
    return "\n\n".join([*filter(None, parts), _notes(outcomes), *tables])


def main() -> None:
    """Score, print, and write into the documents when asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="do not refit with publishers left out")
    parser.add_argument("--readme", action="store_true", help="write the figures into the documents")
    parser.add_argument("--box", type=Box, choices=list(Box), default=Box.CLOSED, help="whose runs are scored")
    arguments = parser.parse_args()
    if arguments.quick and arguments.readme:
        parser.error("--quick has no figures on what was left out, which the documents are about")
    observed: Sequence[Observed] = [{}, {}]
    if not arguments.quick:
        observed = [stage.observed for stage in fitted_stages(PUBLISHED, box=arguments.box)]
    text = report(read_coefficients(), observed[0], observed[1], arguments.box)
    print(text)
    if arguments.readme:
        readme.write("accuracy", text)


if __name__ == "__main__":
    main()
