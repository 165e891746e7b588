"""What a search came to: its trials, the best first, and where the best lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zenplan import units
from zenplan.commands.train.search.use_case import Trial, told, total
from zenplan.domain.report import Column, Report, Table


def search_report(trials: Sequence[Trial], best: Trial | None, out: Path) -> Report:
    """The report.

    Args:
        trials: in their order; best: None before they are run, or where none came to its end.
        out: the folder that they are in.
    """
    ran = any(trial.result is not None for trial in trials)
    return Report(
        make_document=lambda: search_document_of(trials, best, out),
        make_records=lambda: [_record(trial, best) for trial in trials],
        verdict=_verdict(trials, best, ran),
        tables=(Table(title="trials", columns=_COLUMNS, rows=tuple(_row(t) for t in sorted(trials, key=_order))),),
        notes=(f"The best is in {best.folder}; of the others, checkpoints and models are removed.",) if best else (),
    )


_COLUMNS = (
    Column(name="trial", numeric=True),
    Column(name="settings"),
    Column(name="validation loss", numeric=True),
    Column(name="steps", numeric=True),
    Column(name="state"),
    Column(name="predicted", numeric=True),
    Column(name="dollars", numeric=True),
)


def _order(trial: Trial) -> tuple[bool, float, int]:
    return trial.loss is None, trial.loss or 0.0, trial.number


def _verdict(trials: Sequence[Trial], best: Trial | None, ran: bool) -> str:
    time, usd = total(trials, lambda each: each.run_s), total(trials, lambda each: each.usd)
    predicted = f"{units.duration(time.mid)} at most" if time else "nobody knows how long"
    money = f", {units.usd(usd.mid)}" if usd else ""
    if not ran:
        count = sum(not trial.why for trial in trials)
        return f"{count} of {units.many(len(trials), 'trial')}: {predicted}{money}."
    if best is None:
        return "No trial came to its end."
    loss = units.significant(best.loss or 0.0, 4)
    return f"Trial {best.number} is the best, validation loss {loss}: {told(best.values)}."


def _row(trial: Trial) -> tuple[str, ...]:
    status = trial.result.status if trial.result else None
    usd, loss = trial.predicted.usd, trial.loss
    return (
        str(trial.number),
        told(trial.values),
        "" if loss is None else units.significant(loss, 4),
        "" if status is None else f"{status.step:,}",
        trial.why or ("" if status is None else status.reason.replace("_", " ")),
        "" if usd is None else units.usd(usd.mid),
        "" if status is None or status.usd is None else units.usd(status.usd),
    )


def _record(trial: Trial, best: Trial | None) -> Mapping[str, Any]:
    status = trial.result.status if trial.result else None
    return {
        "trial": trial.number,
        **trial.values,
        "validation_loss": trial.loss,
        "best": trial is best,
        "step": status.step if status else 0,
        "reason": status.reason if status else "",
        "total_s": status.spent.total_s if status else None,
        "usd": status.usd if status else None,
        "predicted_usd": trial.predicted.usd.mid if trial.predicted.usd else None,
    }


def search_document_of(trials: Sequence[Trial], best: Trial | None, out: Path) -> Any:
    """The document."""
    from zenplan.commands.shared.document import range_document
    from zenplan.commands.train.document import SearchDocument

    return SearchDocument(
        trials=tuple(map(_trial_document, trials)),
        best=best.number if best else None,
        predicted_s=range_document(total(trials, lambda each: each.run_s)),
        predicted_usd=range_document(total(trials, lambda each: each.usd)),
        folder=str(out),
    )


def _trial_document(trial: Trial) -> Any:
    from zenplan.commands.shared.document import range_document
    from zenplan.commands.train.document import TrialDocument

    status = trial.result.status if trial.result else None
    return TrialDocument(
        number=trial.number,
        values=dict(trial.values),
        why=trial.why,
        run=status.id if status else "",
        reason=status.reason if status else "",
        step=status.step if status else 0,
        validation_loss=trial.loss,
        total_s=status.spent.total_s if status else None,
        usd=status.usd if status else None,
        predicted_s=range_document(trial.predicted.run_s),
        predicted_usd=range_document(trial.predicted.usd),
        folder=str(trial.folder),
    )
