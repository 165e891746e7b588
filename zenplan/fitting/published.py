"""Published runs as the fit reads them, and what groups them: source, publisher, accelerator, generation.

The one place of the fit that knows the columns of a table. Beside the tables lie ``publishers.csv``, which says who
measured the runs of a source, and ``locked_box.csv``, the publishers that a fit may not see before it is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

from zenplan.adapters.files import csv_file
from zenplan.adapters.runs.table import open_runs
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.backtesting.runs import Run, runs_of
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import BY_NAME

# Rows of one source that a fit sees.
MAX_ROWS = 200
_PUBLISHERS, _BOX = "publishers.csv", "locked_box.csv"


class Box(StrEnum):
    """Which runs are read: without those of the locked publishers, theirs alone, or all."""

    CLOSED = "closed"
    ONLY = "only"
    OPEN = "open"


def rows_of(table: Path) -> list[Mapping[str, str]]:
    """The rows of a table of runs, by column, with their publisher where the folder knows it; an empty cell is unknown.

    Raises:
        InputFileError: there is no such table, or it is none of runs.
    """
    publishers = _pairs(table.parent / _PUBLISHERS)
    with open_runs(table) as opened:
        return [{"publisher": _publisher(row.cells.get("source", ""), publishers), **row.cells} for row in opened.rows]


def locked(folder: Path) -> frozenset[str]:
    """The publishers in the locked box of a folder of tables."""
    return frozenset(name for name, locked in _pairs(folder / _BOX, "publisher", "locked") if locked == "yes")


def published_runs(tables: Iterable[Path], coefficients: Coefficients, box: Box = Box.OPEN) -> list[Run]:
    """The runs of some tables that can be predicted, in their order; rows that cannot are left out.

    Args:
        tables: CSV files of ``benchmarks/published``, or others in their columns.
        coefficients: for the efficiency of each run's cluster.
        box: which publishers' runs are read.

    Raises:
        InputFileError: there is no such table, or it is none of runs.
    """
    found = runs_of(read_rows(tables, box), Catalogue(accelerators=read_accelerators()), coefficients)
    return [run for run in found if isinstance(run, Run)]


def read_rows(tables: Iterable[Path], box: Box = Box.OPEN) -> list[Mapping[str, str]]:
    """The rows of some tables, in their order, as of ``rows_of``; ``box`` as of ``published_runs``."""
    return [row for table in tables for row in rows_of(table) if _read(row, table.parent, box)]


def _read(row: Mapping[str, str], folder: Path, box: Box) -> bool:
    return box is Box.OPEN or (row["publisher"] in locked(folder)) == (box is Box.ONLY)


@cache
def _pairs(path: Path, key: str = "source", value: str = "publisher") -> tuple[tuple[str, str], ...]:
    """Two columns of a table; none where there is no such file."""
    if not path.exists():
        return ()
    return tuple((row[key], row[value]) for _, row in csv_file.read_rows(path, (key, value), "table of publishers"))


def _publisher(source: str, publishers: Iterable[tuple[str, str]]) -> str:
    return next((name for prefix, name in publishers if source.startswith(prefix)), "")


def publisher_of(source: str, folder: Path) -> str:
    """Who measured what a document of that name has, by the folder's table; the document where nobody knows."""
    return _publisher(source, _pairs(folder / _PUBLISHERS)) or source


def source(run: Run) -> str:
    """The document that a run is from."""
    return run.measured.source


def publisher(run: Run) -> str:
    """Who measured a run; of a source that nobody knows the publisher of, the source itself."""
    return run.measured.publisher or source(run)


def study(run: Run) -> str:
    """What runs of one script are in common: of other models, a repository and the model's folder in it. Twenty logs of
    one benchmark script on as many machines are one study when it is left out."""
    if run.measured.family not in BY_NAME:
        return source(run)
    repository, _, path = source(run).partition(":")
    return f"{repository}:{path.rpartition('/')[0]}"


def accelerator(run: Run) -> str:
    """The product that a run was made on."""
    return run.cluster.accelerator.name


def generation(run: Run) -> str:
    """The accelerator's architecture."""
    return run.cluster.accelerator.architecture


def trained_model(run: Run) -> Hashable:
    """What is trained: the same for runs of one model at one size of its input."""
    names = ("model", "params", "seq_len", "layers", "width", "image_size", "task", "fused_attention")
    return tuple(getattr(run.measured, name) for name in names)


def document(run: Run) -> str:
    """The document that a run is from, whichever revision of it."""
    return re.split(r"[@\[]", source(run))[0].strip()


def configuration(run: Run) -> Hashable:
    """Runs that have it in common differ in their release or in nothing that a table has."""
    measured = run.measured
    how = (
        "task",
        "global_batch",
        "micro_batch",
        "dp",
        "tp",
        "pp",
        "cp",
        "ep",
        "vp",
        "zero_stage",
        "recompute",
        "options",
    )
    what = (accelerator(run), run.devices, run.plan.precision.name, measured.framework, measured.compiled)
    return publisher(run), trained_model(run), what, tuple(getattr(measured, name) for name in how)


def setting(run: Run) -> Hashable:
    """Who measured a run, in which software and precision."""
    measured, plan = run.measured, run.plan
    how = (measured.framework, measured.compiled, measured.channels_last)
    return study(run), plan.precision.name, plan.software, *how


def by_group(errors: Iterable[tuple[Run, float]], key: Callable[[Run], Hashable]) -> Mapping[Hashable, list[float]]:
    """Errors by group, groups and errors in the order of the runs."""
    groups: dict[Hashable, list[float]] = {}
    for run, error in errors:
        groups.setdefault(key(run), []).append(error)
    return groups


def thinned(all_runs: Sequence[Run]) -> list[Run]:
    """The runs without every one of a source beyond ``MAX_ROWS``: a source of a thousand rows teaches no more than
    one of some hundreds, and weighs as much. Those that stay are evenly spread over its table."""
    groups = by_group([(r, float(index)) for index, r in enumerate(all_runs) if _teaches(r)], source)
    kept = [places[i] for places in groups.values() for i in spread_evenly(len(places), MAX_ROWS)]
    return [all_runs[int(index)] for index in sorted(kept)]


def spread_evenly(count: int, most: int) -> list[int]:
    """At most so many of the places 0 to ``count``, evenly spread."""
    few = min(count, most)
    return [i * count // few for i in range(few)]


def _teaches(run: Run) -> bool:
    """Whether a fit sees it. Small models over a network that nobody named say nothing but how slow that was."""
    named = run.measured.network_bytes_per_s or run.measured.family not in BY_NAME
    return bool(named) or run.cluster.nodes == 1
