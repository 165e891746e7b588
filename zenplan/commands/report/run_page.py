"""A training run as a page: for a board, a customer, an auditor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from zenplan import units
from zenplan.adapters.corpus.prepared import read_card
from zenplan.adapters.corpus.preprocessing import TEXT, Preprocessor
from zenplan.adapters.formats import html
from zenplan.adapters.page import explanation as explanations
from zenplan.adapters.page.markup import Markup, element
from zenplan.adapters.page.page import plain_page
from zenplan.adapters.picture.curve import curve_svg
from zenplan.adapters.run_folder.folder import METRICS
from zenplan.adapters.run_folder.lines import read_metrics
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.commands.explain.report import explanation_report
from zenplan.commands.explain.use_case import Wanted, explained
from zenplan.commands.runs.use_case import Entry, entry
from zenplan.commands.train.ending import limits
from zenplan.commands.train.finished import FinishedRun, finished_run
from zenplan.commands.train.judged import warnings
from zenplan.commands.train.report import BESIDE, TAKEN, train_report
from zenplan.commands.train.scoring import compare
from zenplan.domain.measured.explanation import GRADIENTS, OCCLUSION
from zenplan.domain.report import Column, Report, Table
from zenplan.domain.training.data_card import DataCard
from zenplan.errors import DataError, InputFileError, UsageError, ZenplanError
from zenplan.worker.protocol import Score, Write, Written

Tell = Callable[[str, float], None]
# Classes of a matrix that is read at a glance, samples that are explained, and tokens that are written.
_CLASSES, _SAMPLES, _TOKENS = 12, 3, 100
_TIME_S = 600.0


def run_page(name: str, model: bool, tell: Tell) -> str:
    """The page of a run, by its id or folder.

    Args:
        model: whether it is asked for a matrix, a text and explanations, which takes seconds to minutes.
        tell: the stage, and the seconds since the start of it.

    Raises:
        UsageError: there is no such run; DataError: its folder holds something else.
    """
    found = entry(name)
    parts = [*_outcome(found), *_data(found)]
    if model:
        try:
            parts += _of_model(finished_run(name), tell)
        except ZenplanError as error:
            # What the model does not answer is left out, and said.
            parts.append(_section("What the model answers", element("p", f"Not known: {error.message}.")))
    parts.append(_section("Limits", element("ul", *(element("li", line) for line in limits(found.result)))))
    return plain_page("zenplan.run/1", Markup("".join(parts)))


def _section(title: str, *children: Markup) -> Markup:
    return element("section", element("h2", title), *children)


def _tables(*tables: Table) -> Markup:
    return Markup(html(Report(make_document=dict, make_records=tuple, tables=tables)))


def _outcome(found: Entry) -> Iterator[Markup]:
    report = train_report(found.result, found.folder)
    status = found.result.status
    yield element("p", element("strong", report.verdict))
    metrics = read_metrics(found.folder / METRICS)
    shown = {part: metrics.curve(part) for part in metrics.parts if part != "test"}
    yield _section("Loss", Markup(curve_svg(f"{status.name} on {status.backend}", metrics.training, shown)))
    tables = tuple(replace(each, title="") for each in report.tables if each.title == "metrics")
    if tables:
        yield _section("Metrics", _tables(*tables))
    beside = tuple(replace(each, title="") for each in report.tables if each.title in (BESIDE, TAKEN))
    # What is held against the figures stands among the limits.
    against = set(warnings(found.result))
    lines = (element("li", note) for note in report.notes if note not in against)
    yield _section("Predicted and actual", _tables(*beside), element("ul", *lines))


def _data(found: Entry) -> Iterator[Markup]:
    try:
        run = finished_run(str(found.folder))
        card = read_card(Path(run.job.data))
    except (UsageError, InputFileError, DataError) as error:
        yield _section("Data", element("p", f"Not known: {error.message}."))
        return
    yield _section("Data", *_card(card))


def _card(card: DataCard) -> Iterator[Markup]:
    told = f"{units.many(card.records, 'record')} of {units.many(card.files, 'file')}, {card.what}, from {card.source}"
    yield element("p", f"{told}; split by {card.split_by}.")
    rows = tuple(
        (each.name, f"{each.records:,}", "" if each.tokens is None else f"{each.tokens:,}", units.size(each.bytes))
        for each in card.parts
    )
    names = (("part", False), ("records", True), ("tokens", True), ("size", True))
    yield _tables(Table(columns=tuple(Column(name=n, numeric=r) for n, r in names), rows=rows))
    if card.dropped:
        dropped = tuple((each.what, f"{each.count:,}", each.why) for each in card.dropped)
        columns = (Column(name="left out"), Column(name="count", numeric=True), Column(name="why"))
        yield _tables(Table(columns=columns, rows=dropped))
    unused = (f"Not learned from: {card.unused_columns}.",) if card.unused else ()
    yield element("ul", *(element("li", note) for note in (*unused, *card.notes)))
    yield element("p", f"Fingerprint of the prepared data: {card.fingerprint}")


def _of_model(run: FinishedRun, tell: Tell) -> Iterator[Markup]:
    reader = Preprocessor.of(Path(run.job.data))
    if reader.what == TEXT and reader.decode is not None:
        yield _section("What it writes", element("p", reader.decode(_written(run, reader, tell)) or "nothing"))
    elif reader.classes:
        yield from _matrix(run, reader.classes, tell)
    method = GRADIENTS
    while True:
        try:
            found = explained(run, Wanted(method=method, samples=_SAMPLES, time_s=_TIME_S), None, tell)
            break
        except UsageError:
            # A model of which there are no gradients is explained by what any model takes.
            if method == OCCLUSION:
                raise
            method = OCCLUSION
    report = explanation_report(found)
    checks = tuple(each for each in report.tables if each.title == "checks")
    verdict = element("p", element("strong", report.verdict))
    missing = (element("p", f"Of its checks, {found.not_checked}."),) if found.not_checked else ()
    yield _section("What its answers come from", verdict, explanations.sections(found), _tables(*checks), *missing)


def _written(run: FinishedRun, reader: Preprocessor, tell: Tell) -> Sequence[int]:
    job = Write(what=f"run {run.id}", model=str(run.path), tokens=(reader.end or 0,), count=_TOKENS)
    found = run_job(job, run.backend, Limits(time_s=_TIME_S), tell)
    return found.tokens if isinstance(found, Written) else ()


def _matrix(run: FinishedRun, classes: Sequence[str], tell: Tell) -> Iterator[Markup]:
    if len(classes) > _CLASSES:
        return
    part = next((each for each in ("test", "validation") if each in run.result.metrics), "")
    if not part:
        return
    job = Score(what=f"run {run.id}", model=run.trained(), part=part, confusion=_CLASSES, threads=run.job.threads)
    (scored,) = compare(job, run.backend, Limits(time_s=_TIME_S), tell)
    if not scored.confusion:
        return
    rows = tuple(
        (name, *(f"{count:,}" for count in row), units.percent(row[number] / sum(row)) if sum(row) else "–")
        for number, (name, row) in enumerate(zip(classes, scored.confusion, strict=True))
    )
    columns = (Column(name="is \\ taken for"), *(Column(name=name, numeric=True) for name in (*classes, "right")))
    caption = f"{units.many(scored.samples, 'sample')} of {part} data"
    yield _section("Which classes are taken for which", _tables(Table(columns=columns, rows=rows, caption=caption)))
