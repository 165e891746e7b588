"""What the functions of ``zenplan`` return: nouns that also know their document and their table."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zenplan.commands.launch import launched
from zenplan.domain.answer import answer, backtest, purchase, retraining, run_serving, serving, tradeoff
from zenplan.domain.hardware import catalogue, device
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import Offer, PriceTable
from zenplan.domain.measured import calibrated, compression, explanation, training_run
from zenplan.domain.measured.export import Export
from zenplan.domain.report import Report
from zenplan.domain.training import data_card

if TYPE_CHECKING:
    from zenplan.commands.train.search.use_case import Trial

T = TypeVar("T")


class Shown:
    """A result as its command shows it: ``print`` writes the table, a notebook draws it."""

    __slots__ = ()

    def report(self) -> Report:
        """The answer in both shapes: tables for people, a document for programs."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The published JSON document, as ``--format json`` prints it: of JSON types, ``schema`` first."""
        return _document(self.report())

    def __str__(self) -> str:
        """The tables, as wide as the terminal."""
        from zenplan.adapters.formats import table

        return table(self.report()).rstrip("\n")

    def _repr_html_(self) -> str:
        from zenplan.adapters.formats import html

        return html(self.report())


class Answer(Shown, answer.Answer):
    """The quotes that answer ``estimate``, and what was looked at to find them; the first is ``recommended``."""

    __slots__ = ()

    def report(self, explain: bool = False) -> Report:
        """As ``zenplan estimate`` shows it; with the derivation of the first quote where ``explain``."""
        from zenplan.commands.estimate.report import estimate_report

        return estimate_report(self, explain)

    def to_dict(self, explain: bool = False) -> dict[str, Any]:
        """The document of ``zenplan estimate --format json``; with that of ``--explain``, every formula and number."""
        return _document(self.report(explain))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to that file, as ``--save``: for ``zenplan diff``. What is there and is no plan stays there.

        Raises:
            UsageError: there is another file of that name.
            ZenplanError: no file can be written there.
        """
        from zenplan.commands.estimate.document import document
        from zenplan.commands.estimate.saved_plan import write_plan

        write_plan(Path(path), document(self, ()))


class Tradeoff(Shown, tradeoff.Tradeoff):
    """The layouts of one cluster beside each other; ``fastest`` and ``leanest`` are the ends of the frontier."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan layouts`` shows it."""
        from zenplan.commands.layouts.report import layouts_report

        return layouts_report(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Shown, purchase.Purchase):
    """Hardware of one's own beside ``rents``, of which ``best`` is the cheapest; ``cheaper`` is "buy" or "rent"."""

    today: date

    def report(self) -> Report:
        """As ``zenplan buy`` shows it."""
        from zenplan.commands.buy.report import purchase_report

        return purchase_report(self, self.today)


class Backtest(Shown, backtest.Backtest):
    """Measured runs beside what is predicted for them: ``rows``, ``skipped`` and ``groups``."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan backtest`` shows it, with the five rows that are farthest off."""
        from zenplan.commands.backtest.report import backtest_report

        return backtest_report(self, 5)


class Calibrations(Shown, calibrated.Calibrations):
    """What was measured on this machine, and what is predicted from it: ``taken``, ``failed`` and ``fastest``."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan calibrate`` shows it."""
        from zenplan.commands.calibrate.report import calibrate_report

        return calibrate_report(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Shown, device.Profile):
    """The GPUs of this machine and the host, when it was read; by the index of a GPU ``sheets`` has its data sheet, and
    ``why`` the reason why it has none; ``processor`` is that of the processor, None where the catalogue has none."""

    sheets: Mapping[int, Accelerator | None]
    why: Mapping[int, str]
    processor: Accelerator | None

    def report(self) -> Report:
        """As ``zenplan profile`` shows it."""
        from zenplan.commands.profile.report import profile_report

        return profile_report(self, self.sheets, self.why, self.processor)


class Catalogue(Shown, catalogue.Catalogue):
    """Data sheets of accelerators, in their order; ``by_name`` finds one by its name, an alias or what NVML calls it."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan accelerators`` shows it."""
        from zenplan.commands.accelerators.report import accelerators_report

        return accelerators_report(tuple(self))


class DataCard(Shown, data_card.DataCard):
    """What became of data that were prepared: ``parts``, ``dropped``, ``classes``, ``passes`` over it, ``fingerprint``."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan data prepare`` shows it."""
        from zenplan.commands.data.card_report import card_report

        return card_report(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun(Shown, training_run.RunResult):
    """What came out of a training run: ``status``, ``metrics``, ``prediction``, ``model``; it lies in ``folder``."""

    folder: Path

    def report(self) -> Report:
        """As ``zenplan train`` and ``zenplan runs show`` show it."""
        from zenplan.commands.train.report import train_report

        return train_report(self, self.folder)


class Launch(Shown, launched.Launched):
    """Files that run a plan elsewhere: ``files`` in ``folder``, the ``job``, and ``next``, the line that hands them over."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan launch`` shows it."""
        from zenplan.commands.launch.report import launch_report

        return launch_report(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedRun(TrainedRun):
    """The best run of a search, as a ``TrainedRun``; with all ``trials``, which lie in ``search_folder``.

    What is shown of it, and its document, are those of the search: ``zenplan.search/1``.
    """

    trials: tuple[Trial, ...]
    search_folder: Path

    def report(self) -> Report:
        """As ``zenplan train`` shows a search."""
        from zenplan.commands.train.search.report import search_report

        best = next(trial for trial in self.trials if trial.folder == self.folder)
        return search_report(self.trials, best, self.search_folder)


class Explanation(Shown, explanation.Explanation):
    """What the answers of a trained model come from: ``samples`` or ``importance``, with ``checks``."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan explain`` shows it."""
        from zenplan.commands.explain.report import explanation_report

        return explanation_report(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a page, ``.html``, or the picture of its first sample to a ``.png``.

        Raises:
            UsageError: it is another kind of file; ZenplanError: it cannot be written.
        """
        from zenplan.commands.explain.from_flags import write_picture

        write_picture(Path(path), self)


class RetrainPlan(Shown, retraining.RetrainPlan):
    """When to train again: the ``interval`` of the least cost, and when a limit is ``reached``, in ``days``."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan retrain-plan`` shows it."""
        from zenplan.commands.retrain_plan.report import retrain_report

        return retrain_report(self)


class Compression(Shown, compression.Compression):
    """Smaller ``versions`` of a run's model beside it, and the name of the one that is ``chosen``; it lies at ``path``."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan compress`` shows it."""
        from zenplan.commands.compress.report import compression_report

        return compression_report(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write its picture, ``.svg`` or ``.png``.

        Raises:
            UsageError: it is another kind of file; ZenplanError: it cannot be written.
        """
        from zenplan.commands.compress.from_flags import write_picture

        write_picture(Path(path), self)


class Exports(Shown, tuple[Export, ...]):
    """The exports of a run, one of each form: its ``state`` says whether it was written."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan export`` shows them."""
        from zenplan.commands.export.report import export_report

        return export_report(self)


class ServingCost(Shown, serving.Serving):
    """What serving a language model takes; the first of ``services`` is ``best``."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan serve-cost`` shows it today."""
        from zenplan.adapters.clock import today
        from zenplan.commands.serve_cost.report import serving_report

        return serving_report(self, today())

    def manifest(self, kind: str, model: str | None = None) -> str:
        """What serves it: a command (``vllm``, ``trtllm``) or a file (``compose``, ``kubernetes``).

        Args:
            kind: of those four.
            model: the repository or folder that is loaded; None for the name that was priced, to be replaced.
        """
        from zenplan.commands.serve_cost.manifests import manifest_of

        return manifest_of(self, kind, model)


class RunServingCost(Shown, run_serving.RunServing):
    """What serving the model of a finished run takes on a machine as this one, measured here."""

    __slots__ = ()

    def report(self) -> Report:
        """As ``zenplan serve-cost RUN`` shows it."""
        from zenplan.commands.run_serving.report import run_serving_report

        return run_serving_report(self)


class Prices(Shown, tuple[PriceTable, ...]):
    """The price table of each provider."""

    __slots__ = ()

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Those of all tables, table by table, not by price; an offer's ``on_demand`` and ``spot`` are None if unknown."""
        return tuple(offer for table in self for offer in table.offers)

    def report(self) -> Report:
        """As ``zenplan prices`` shows it today."""
        from zenplan.adapters.clock import today
        from zenplan.commands.prices.report import prices_report

        return prices_report(self, today())


def result(kind: type[T], noun: Any, **more: Any) -> T:
    """The noun as a result: with the same fields, and ``more``."""
    return kind(**{f.name: getattr(noun, f.name) for f in fields(noun) if f.init}, **more)


def _document(report: Report) -> dict[str, Any]:
    from zenplan.adapters.formats import to_json

    document: dict[str, Any] = json.loads(to_json(report))
    return document
