"""Compare: an estimate for each combination of what was given more than once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.options import FLAGS
from zenplan.domain.answer.comparison import Case, Comparison
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UsageError
from zenplan.planning.money.ranking import Wish, figure

MOST = 40
# What a comparison without anything to compare is of.
DEFAULT = "gpu"
# Flags of amounts, in which commas part thousands; and a list, as flags of names take one.
_AMOUNTS = ("COUNT", "SIZE", "USD", "NUMBER", "PERCENT", "TIME")
_LIST, _THOUSANDS = r"[0-9.]+\w*%?(?:, *[0-9.]+\w*%?)+", r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])"


def combinations(given: Mapping[str, Sequence[Any]]) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Flags that were given more than once, and each combination of the values of all.

    Raises:
        UsageError: there are more than ``MOST``, or a number has commas that part no thousands.
    """
    for name, texts in given.items():
        if FLAGS[name].metavar in _AMOUNTS:
            _check_single(FLAGS[name].flag, texts or ())
    names = tuple(name for name in FLAGS if len(given.get(name) or ()) > 1)
    values = {name: tuple(dict.fromkeys(each)) for name, each in given.items() if each}
    combined = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
    if len(combined) > MOST:
        raise UsageError(f"{len(combined)} estimates are too many to compare", f"the most is {MOST}")
    return names, combined


def _check_single(flag: str, texts: Sequence[str]) -> None:
    for text in texts:
        if re.fullmatch(_LIST, text) and not re.match(_THOUSANDS, text):
            several = " ".join(f"{flag} {each.strip()}" for each in text.split(","))
            raise UsageError(f"{flag} takes one amount at a time, not '{text}'", f"several are: {several}")


def compare(
    names: Sequence[str],
    asked: Sequence[tuple[tuple[str, ...], Request]],
    known: Known,
    show: Callable[[float], None],
) -> Comparison:
    """The answers, one after another.

    Args:
        names: flags that differ.
        asked: their values, and the request with them.
        known: what all are answered from.
        show: called with the share that is done, 0 to 1.

    Raises:
        UsageError: one of the requests is wrong.
        NoFit: none of them can be run.
    """
    cases = []
    for number, (values, request) in enumerate(asked):
        try:
            cases.append(Case(values=values, answer=estimate(request, known, sensitive=False)))
        except NoFit as error:
            cases.append(Case(values=values, answer=None, why=error.message))
        show((number + 1) / len(asked))
    if not any(case.answer for case in cases):
        raise NoFit(f"none of {len(cases)} can be run: {cases[0].why}", "each of them alone says what would help")
    return Comparison(names=tuple(names), cases=tuple(cases))


def each_accelerator(known: Known) -> Iterator[str]:
    """Accelerators that somebody rents out and that are made for training."""
    offered = {offer.instance.accelerator for table in known.tables for offer in table.offers}
    return (sheet.name for sheet in known.catalogue if sheet.trains and sheet.name in offered)


def ranked(found: Comparison, most: int) -> Comparison:
    """The cases that can be run, at most so many: the one first that would be recommended of all, the next after it."""

    def order(case: Case) -> float:
        best, usd = case.best, case.best.total_usd if case.best else None
        if case.answer is None or best is None or usd is None:
            return math.inf
        old = best.price is not None and best.price.is_old(case.answer.today)
        return figure(Wish.of(case.answer.request), usd.mid, best.wall_clock_s.mid, old)

    able = sorted((case for case in found.cases if case.answer), key=order)
    return Comparison(names=found.names, cases=tuple(able[:most]))
