"""Cross-validation: errors on runs that were left out of the fit, and the fit of all stages with intervals from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import Interval
from zenplan.fitting.fit import fit, fitted_to
from zenplan.fitting.intervals import LeftOut, fit_interval, left_out_traits
from zenplan.fitting.model import Model
from zenplan.fitting.prior import STAGES, Stage, start
from zenplan.fitting.published import (
    Box,
    document,
    generation,
    published_runs,
    publisher,
    thinned,
    trained_model,
)

# Runs on more devices than this are left out together, to see how the fit carries to a larger scale.
LARGE = 128

# Of a known publisher's documents.
_PARTS = 4
# Whose runs are judged: publishers of which no run was fitted, and those of which others were.
NEW, KNOWN = "new publishers", "known publishers"

Observed = Mapping[str, Sequence[LeftOut]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFit:
    """A stage, fitted.

    Attributes:
        runs: of its tables, those that can be predicted.
        begin: the coefficients before it.
        fitted: those after it, with the interval still to come.
        observed: errors on what was left out of it, by what that was: ``NEW`` publishers, ``KNOWN`` ones,
            ``generation``, ``scale``.
    """

    stage: Stage
    runs: Sequence[Run]
    begin: Coefficients
    fitted: Coefficients
    observed: Observed


def fitted_stages(
    folder: Path,
    stages: Sequence[Stage] = STAGES,
    processes: int | None = None,
    box: Box = Box.OPEN,
    validated: bool = True,
) -> tuple[StageFit, ...]:
    """The fits that follow each other, each cross-validated where asked.

    Args:
        folder: where the stages' tables are, as ``benchmarks/published``.
        stages: in their order.
        processes: as in ``left_out``.
        box: which publishers' runs it is fitted to.
        validated: whether errors on what is left out are found too, which takes most of the time.

    Raises:
        InputFileError: a table is not there, or is none of runs.
    """
    found, c = list[StageFit](), start()
    for stage in stages:
        runs = published_runs((folder / name for name in stage.tables), c, box)
        begin, c = c, fitted_to(runs, stage, c)
        observed = observed_errors(runs, stage, begin, processes) if validated else {}
        found.append(StageFit(stage=stage, runs=runs, begin=begin, fitted=c, observed=observed))
    return tuple(found)


def with_intervals(language: StageFit, other: StageFit) -> Coefficients:
    """The coefficients after both stages, with the intervals of language models and of the other families."""
    return replace(other.fitted, interval=interval_of(language.observed), other_interval=interval_of(other.observed))


def observed_errors(
    all_runs: Sequence[Run], stage: Stage, begin: Coefficients, processes: int | None = None
) -> dict[str, Sequence[LeftOut]]:
    """Errors on publishers left out in turn, on parts of publishers whose other runs are fitted, on whole
    generations, and on all runs above a scale."""
    keys: dict[str, Callable[[Run], Hashable]] = {
        NEW: publisher,
        KNOWN: part_of(all_runs),
        "generation": generation,
        "scale": large,
    }
    found = {name: left_out_traits(left_out(all_runs, key, stage, begin, processes), key) for name, key in keys.items()}
    found["scale"] = [o for o in found["scale"] if large(o.run)]
    alone = {name for name, parts in _parts(all_runs, keys[KNOWN]).items() if len(parts) == 1}
    # A publisher of one document about one model has nothing else that could be fitted.
    found[KNOWN] = [o for o in found[KNOWN] if publisher(o.run) not in alone]
    return {name: observed for name, observed in found.items() if observed}


def part_of(all_runs: Sequence[Run]) -> Callable[[Run], Hashable]:
    """The group of a run that is left out while others of its publisher are fitted: some of its documents, or models
    where it has one document, of which each publisher has up to ``_PARTS`` groups."""
    documents, models = _parts(all_runs, document), _parts(all_runs, trained_model)

    def part(run: Run) -> Hashable:
        name = publisher(run)
        several, own = (documents, document(run)) if len(documents[name]) > 1 else (models, trained_model(run))
        return name, several[name][own] % _PARTS

    return part


def _parts(all_runs: Sequence[Run], key: Callable[[Run], Hashable]) -> Mapping[str, dict[Hashable, int]]:
    """Each publisher's values of a key, numbered as they come."""
    found: dict[str, dict[Hashable, int]] = {}
    for run in all_runs:
        own = found.setdefault(publisher(run), {})
        own.setdefault(key(run), len(own))
    return found


def large(run: Run) -> bool:
    """Whether a run is above the scale that is left out as a whole."""
    return run.devices > LARGE


def interval_of(observed: Observed) -> Interval:
    """The interval that goes with the coefficients."""
    new, known = observed[NEW], observed.get(KNOWN, ())
    far = [o for name in ("generation", "scale") for o in observed.get(name, ())]
    publishers = len({publisher(o.run) for o in new})
    return fit_interval(
        new, known, far, f"80 % of {len(new):,} published runs of {publishers} publishers, each left out of the fit"
    )


def left_out(
    all_runs: Sequence[Run],
    key: Callable[[Run], Hashable],
    stage: Stage,
    begin: Coefficients,
    processes: int | None = None,
) -> list[tuple[Run, float]]:
    """Runs with ln(predicted / measured) of their speed under coefficients fitted without their group.

    Args:
        all_runs: those of the stage's tables.
        key: the group of a run; each group is left out in turn.
        stage: what is fitted.
        begin: where each fit begins: nothing of what is left out may have left a trace there.
        processes: of this machine that fit at once; None: one for each core. Where processes cannot be forked, or
            for 1, this one does it all.
    """
    names = sorted({key(r) for r in all_runs}, key=str)
    parts = [[i for i, r in enumerate(all_runs) if key(r) == name] for name in names]
    shared = (all_runs, stage, begin)
    if processes == 1 or "fork" not in get_all_start_methods():
        found = [_errors_without(part, *shared) for part in parts]
    else:
        # Forked processes inherit what data sheets' read-only mappings keep from being sent to them.
        context = get_context("fork")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_inherit, initargs=shared) as pool:
            found = list(pool.map(_errors_without_inherited, parts))
    return [
        (all_runs[i], e) for part, errors in zip(parts, found, strict=True) for i, e in zip(part, errors, strict=True)
    ]


# What a forked process was given: the runs, the stage, and where the fit begins.
_INHERITED: list[tuple[Sequence[Run], Stage, Coefficients]] = []


def _inherit(all_runs: Sequence[Run], stage: Stage, begin: Coefficients) -> None:
    _INHERITED[:] = [(all_runs, stage, begin)]


def _errors_without_inherited(part: Sequence[int]) -> list[float]:
    return _errors_without(part, *_INHERITED[0])


def _errors_without(part: Sequence[int], all_runs: Sequence[Run], stage: Stage, begin: Coefficients) -> list[float]:
    """Errors on some runs, given by index, under coefficients fitted to the others."""
    out = set(part)
    kept = thinned([r for i, r in enumerate(all_runs) if i not in out])
    # A group that is all there is leaves what was believed before.
    fitted = fit(Model(kept, begin), stage, begin, begin) if kept else begin
    model = Model([all_runs[i] for i in part], fitted)
    return [float(e) for e in model.errors(model.efficiencies(fitted))]
