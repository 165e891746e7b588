"""The publishers that were set aside before the fit was begun: what the finished method says of their runs.

    python benchmarks/locked_box.py --open      fit without them, predict them once, keep what came out

``published/locked_box.csv`` lists them; ``measured/locked_box.json`` is what came out, with the commit and the day, and
is never written over: whoever has looked once cannot look for the first time again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tables import PUBLISHED, judgement, paths, score_cells, score_table

from zenplan.domain.fit.coefficients import Coefficients
from zenplan.fitting.fit import errors_of
from zenplan.fitting.intervals import Judged, LeftOut, Score, distinct
from zenplan.fitting.left_out import NEW, Observed, fitted_stages, with_intervals
from zenplan.fitting.prior import LANGUAGE, OTHERS
from zenplan.fitting.published import Box, published_runs, publisher
from zenplan.planning.physics.interval import spread_of

KEPT = Path(__file__).parent / "measured" / "locked_box.json"
_NAMES = {"language": "language models", "other": "other families"}


def opened(coefficients: Coefficients, tables: Sequence[str]) -> list[Judged]:
    """The runs of the box beside what is predicted for them, configurations once."""
    runs = published_runs(paths(tables), coefficients, Box.ONLY)
    # ln(predicted / measured) of a speed is ln(measured / predicted) of its time.
    once = distinct(LeftOut(run, error, {}) for run, error in errors_of(runs, coefficients))
    return [Judged(o.run, o.error, spread_of(o.run.plan, o.run.cluster, not o.run.guessed)) for o in once]


def _figures(runs: Sequence[Judged]) -> dict[str, Any]:
    score = Score.of(runs)
    return {name: getattr(score, name) for name in score.__dataclass_fields__}


def _scored(left_out: Sequence[Judged], box: Sequence[Judged]) -> dict[str, Any]:
    """By publisher, and all together; beside the same of the publishers that were not locked."""
    names = sorted({publisher(j.run) for j in box})
    return {
        "unlocked": _figures(left_out),
        "locked": _figures(box),
        "publishers": {name: _figures([j for j in box if publisher(j.run) == name]) for name in names},
    }


def table() -> str:
    """What came out, as markdown; empty before the box was opened."""
    if not KEPT.exists():
        return ""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    rows = []
    for stage, name in _NAMES.items():
        found = kept[stage]
        rows.append(_cells(f"{name}: publishers in the fit, each left out", found["unlocked"]))
        rows.append(_cells(f"**{name}: publishers in the locked box**", found["locked"]))
        rows += [_cells(f"{name}: {maker}", figures) for maker, figures in found["publishers"].items()]
    return score_table(f"set aside before the fit, opened on {kept['date']}", rows)


def _cells(title: str, figures: dict[str, Any]) -> list[str]:
    return score_cells(title, Score(**{**figures, **{n: tuple(figures[n]) for n in ("error_range", "coverage_range")}}))


def main() -> None:
    """Open the box, once."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--open", action="store_true", help="look: it can be done once")
    arguments = parser.parse_args()
    if arguments.open and KEPT.exists():
        parser.error(f"{KEPT.name} is there: the box has been opened")
    if arguments.open:
        stages = fitted_stages(PUBLISHED, box=Box.CLOSED)
        c = with_intervals(*stages)
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        document: dict[str, Any] = {"date": date.today().isoformat(), "commit": commit.stdout.strip()}
        for name, stage, tables in zip(_NAMES, stages, (LANGUAGE.tables, OTHERS.tables), strict=True):
            observed: Observed = stage.observed
            document[name] = _scored(judgement(observed, NEW), opened(c, tables))
        KEPT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(table() or "not opened yet")


if __name__ == "__main__":
    main()
