"""What a price provider has to keep, as tests."""

from __future__ import annotations

import re
import socket
import statistics
import time
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import pytest

from zenplan.adapters.clock import today
from zenplan.domain.market.offer import Offer, Price, PriceTable
from zenplan.errors import DataError, UsageError
from zenplan.protocols import PriceProvider
from zenplan.testing.border import own_items, sheets, taken
from zenplan.testing.server import LoopbackHttp, Reply, Server

_HOOK = "zenplan_price_providers"
# What a source may answer when it is not well; a good one's answer is another.
_ILL: Mapping[str, Reply] = {
    "an error of the server": Reply(body={"message": "try again"}, status=500),
    "no such page": Reply(body={"message": "gone"}, status=404),
    "a page for people": Reply(body="<html>maintenance</html>", headers={"Content-Type": "text/html"}),
    "half of an answer": Reply(body={"items": ["x" * 10_000]}, truncated=True),
    "another schema": Reply(body={"unexpected": True}),
    "an empty list": Reply(body=[]),
    "null": Reply(body=None),
    "nothing in time": Reply(body={}, delay_s=2.0),
}
_LATE_S = 0.5
_PEERS_DIFFER = 10.0


class ProviderContract:
    """The tests. Derive a class of a name that begins with ``Test``, and give it a provider.

    Attributes:
        provider: that is tested.
        pages: what its live source answers, by path, as of ``Server``: as recorded, or as it is documented; empty where
            it has none, and ``fetch`` says so.
        unknown: accelerators that it rents out and zenplan has no data sheet of.
        undated: whether prices without a date are meant.
        environment: variables that ``fetch`` needs, such as a key.
        patience_s: in which the bundled table is there.
    """

    provider: ClassVar[PriceProvider]
    pages: ClassVar[Mapping[str, Any]] = {}
    unknown: ClassVar[Collection[str]] = ()
    undated: ClassVar[bool] = False
    environment: ClassVar[Mapping[str, str]] = {}
    patience_s: ClassVar[float] = 2.0

    @pytest.fixture
    def live(self, monkeypatch: pytest.MonkeyPatch) -> PriceTable:
        """What ``fetch`` makes of the pages."""
        if not self.pages:
            pytest.skip("it has no live source")
        self._set(monkeypatch)
        with Server(self.pages) as server:
            return self.provider.fetch(LoopbackHttp(server=server))

    def _set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    # --- the table that ships with it

    def test_it_is_a_provider(self) -> None:
        """It has the members, and a name that can be typed after ``--provider``."""
        assert isinstance(self.provider, PriceProvider)
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", self.provider.name), f"the name {self.provider.name!r}"

    def test_the_bundled_table_needs_no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is there without a connection, soon, and is the same each time."""

        def refuse(*_: object) -> None:
            raise AssertionError("bundled() uses the network")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        start = time.monotonic()
        table = self.provider.bundled()
        assert time.monotonic() - start < self.patience_s
        assert table == self.provider.bundled()
        assert table.offers, "the bundled table has no offers"

    def test_zenplan_takes_all_of_the_bundled_table(self) -> None:
        """Types, names, dates, units and duplicates pass the border: nothing is left out."""
        found = taken(_HOOK, self.provider)
        assert found.problems == ()
        (guarded,) = found.items
        table = found.plugins.bundled_table(guarded)
        assert found.problems == ()
        assert table.left_out == ()
        assert len(table.offers) == len(self.provider.bundled().offers)

    def test_prices_have_a_day_and_a_source(self) -> None:
        """Each was seen somewhere on a day, and not tomorrow."""
        _dated(self.provider.bundled(), self.undated)

    def test_prices_are_no_placeholders(self) -> None:
        """Their sources are pages that there can be. Those of a plugin that was just begun are none, and it is skipped."""
        if any(price.is_placeholder for _, price in _prices(self.provider.bundled())):
            pytest.skip("prices whose source is example.com or the like: put your own in their place")

    def test_accelerators_are_known(self) -> None:
        """By a name or an alias; others are named in ``unknown``."""
        assert strangers(self.provider.bundled()) - set(self.unknown) == set()

    def test_prices_can_be(self) -> None:
        """Spot is not above on-demand, and no device costs ten times as much or as little as with others."""
        _plausible(self.provider.bundled())

    # --- the live source

    def test_the_live_table_is_of_the_same_kind(self, live: PriceTable) -> None:
        """Nothing of it is left out, its prices are dated, and a machine of both tables is the same one."""
        assert live.offers, "the live table has no offers"
        assert live.provider == self.provider.name
        assert [o for o in live.offers if o.instance.provider != live.provider] == []
        _dated(live, self.undated)
        _plausible(live)
        assert strangers(live) - set(self.unknown) == set()
        live_ones, bundled = _machines(live), _machines(self.provider.bundled())
        both = live_ones.keys() & bundled.keys()
        assert {name: live_ones[name] for name in both} == {name: bundled[name] for name in both}

    def test_zenplan_takes_all_of_the_live_table(self, live: PriceTable, monkeypatch: pytest.MonkeyPatch) -> None:
        """As of the bundled one."""
        self._set(monkeypatch)
        found = taken(_HOOK, self.provider)
        with Server(self.pages) as server:
            table = found.items[0].fetch(LoopbackHttp(server=server))
        assert found.problems == ()
        assert len(table.offers) == len(live.offers)

    @pytest.mark.parametrize("what", _ILL)
    def test_a_source_that_is_not_well_is_one_error(self, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A DataError (or a UsageError, of a key that is missing): no other exception, no empty table, no old one."""
        self._set(monkeypatch)
        with Server({"": _ILL[what]}) as server, pytest.raises((DataError, UsageError)) as raised:
            self.provider.fetch(LoopbackHttp(server=server, timeout_s=_LATE_S))
        error = raised.value
        assert error.message
        assert "\n" not in error.message + error.hint


def _dated(table: PriceTable, undated: bool) -> None:
    late = [
        f"{_called(offer)}: {price.as_of}" for offer, price in _prices(table) if price.as_of and price.as_of > today()
    ]
    assert late == []
    without = [_called(offer) for offer, price in _prices(table) if price.as_of is None]
    assert undated or without == []


def strangers(table: PriceTable) -> set[str]:
    """Accelerators of the table that zenplan has no data sheet of."""
    known = sheets()
    strange = set()
    for name in {offer.instance.accelerator for offer in table.offers}:
        try:
            known.by_name(name)
        except UsageError:
            strange.add(name)
    return strange


def _machines(table: PriceTable) -> dict[str, tuple[str, int]]:
    """Machine to its accelerator, by its canonical name where it has one, and how many."""
    known, strange = sheets(), strangers(table)
    return {
        i.name: (i.accelerator if i.accelerator in strange else known.by_name(i.accelerator).name, i.devices)
        for i in (offer.instance for offer in table.offers)
    }


def _plausible(table: PriceTable) -> None:
    dear = [
        f"{_called(o)}: spot {o.spot.usd_per_h}, on-demand {o.on_demand.usd_per_h}"
        for o in table.offers
        if o.spot and o.on_demand and o.spot.usd_per_h > o.on_demand.usd_per_h
    ]
    assert dear == []
    # Of all that others ask, and of spot or on-demand alone: a spot machine may cost a tenth of most on-demand ones.
    peers: dict[tuple[str, bool | None], list[float]] = {}
    for provider in own_items(_HOOK):
        for offer, price in _prices(provider.bundled()):
            for spot in (None, price is offer.spot):
                peers.setdefault((offer.instance.accelerator, spot), []).append(
                    price.usd_per_h / offer.instance.devices
                )
    odd, machines = [], _machines(table)
    for offer, price in _prices(table):
        accelerator, mine = machines[offer.instance.name][0], price.usd_per_h / offer.instance.devices
        keys = (accelerator, None), (accelerator, price is offer.spot)
        others = [statistics.median(peers[key]) for key in keys if key in peers]
        if others and not any(1 / _PEERS_DIFFER < mine / each < _PEERS_DIFFER for each in others):
            odd.append(f"{_called(offer)}: ${mine:.3g} a device and hour, others ${others[0]:.3g}")
    assert odd == []


def _prices(table: PriceTable) -> list[tuple[Offer, Price]]:
    return [(offer, price) for offer in table.offers for price in (offer.on_demand, offer.spot) if price]


def _called(offer: Offer) -> str:
    return f"{offer.instance.name} in {offer.region}"
