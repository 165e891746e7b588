"""What several test files start from."""

import os
import signal
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import date
from itertools import islice
from typing import Any

import pytest

from tests.session import ENVIRONMENT
from zenplan.adapters.clock import VARIABLE
from zenplan.adapters.prices.place import VARIABLE as PRICE_CACHE
from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.shared.known import known
from zenplan.domain.answer.answer import Answer
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.range import Range
from zenplan.domain.training.request import Request
from zenplan.plugins import load_plugins

# Ages of prices and finish dates are of one day, here and in the commands that tests start.
os.environ.setdefault(VARIABLE, "2026-11-29")
# Nor of whatever prices somebody fetched on this machine.
os.environ[PRICE_CACHE] = ""
# The commands and workers that tests start are compiled once, as an installed program is, and not at each start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.update(ENVIRONMENT)
# What a shell starts in the background has Ctrl-C ignored, and so have all that it starts: commands are tested with it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process begins with its share of the files that have slow tests, and ends with quick ones, of which another
    takes some when it has none left: pytest-xdist gives each as many tests, in their order."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = list(dict.fromkeys(item.path for item in items if item.get_closest_marker("slow")))
    place = {path: number % processes for number, path in enumerate(slow)}
    shares = [[item for item in items if place.get(item.path) == number] for number in range(processes)]
    quick = iter([item for item in items if item.path not in place])
    for number, share in enumerate(shares):
        count = len(items) * (number + 1) // processes - len(items) * number // processes
        share.extend(islice(quick, max(0, count - len(share))))
    items[:] = [item for share in shares for item in share] + list(quick)


@pytest.fixture(scope="session")
def ask() -> Callable[..., Answer]:
    """The use case on the bundled tables; ``prices`` may change each table first."""
    plugins = load_plugins({"ZENPLAN_PLUGINS": ""})
    world = known(plugins, None, None)

    def asked(prices: Callable[[PriceTable], PriceTable] = lambda table: table, **options: Any) -> Answer:
        return estimate(Request(**options), replace(world, tables=tuple(map(prices, world.tables))))

    return asked


@pytest.fixture(scope="session")
def of_today() -> Callable[[PriceTable], PriceTable]:
    """A table as if each price in it were of today: none stands behind another for its age."""
    today = date.fromisoformat(os.environ[VARIABLE])

    def renewed(table: PriceTable) -> PriceTable:
        offers = []
        for offer in table.offers:
            known = {n: p for n in ("on_demand", "spot") if (p := getattr(offer, n)) is not None}
            offers.append(replace(offer, **{n: replace(p, as_of=today) for n, p in known.items()}))
        return replace(table, offers=tuple(offers))

    return renewed


@pytest.fixture(scope="session")
def ranges() -> Callable[[Any], list[Range]]:
    """Every range anywhere inside a noun."""

    def found(noun: Any) -> list[Range]:
        if isinstance(noun, Range):
            return [noun]
        if isinstance(noun, tuple):
            return [r for each in noun for r in found(each)]
        if is_dataclass(noun):
            return [r for f in fields(noun) for r in found(getattr(noun, f.name))]
        return []

    return found
