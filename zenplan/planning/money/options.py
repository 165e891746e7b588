"""What is looked at: so many machines of an offer, on a cluster; in columns, for there may be a hundred thousand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import overload

import numpy as np
import numpy.typing as npt

from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import Billing, Offer, Offers, Terms
from zenplan.domain.market.provider import OnDemandLimit
from zenplan.planning.physics.columns import Array

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """So many machines of one offer.

    Attributes:
        cluster: its place in the list of clusters.
        on_demand: how many of them are usually had without a reservation; None where that is not known.
        unpriced: it has no on-demand price and is looked at all the same: its bill is without dollars.
        interruptions: how often a spot machine is taken; None for what the operations assume.
    """

    offer: Offer
    terms: Terms | None
    nodes: int
    cluster: int
    on_demand: OnDemandLimit | None = None
    unpriced: bool = False
    interruptions: Interruptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the options of offers that differ in name, region and prices alone have in common.

    Attributes:
        like: one of the offers.
        terms, on_demand, unpriced, interruptions: as of ``Option``.
        sizes: numbers of machines, each with its cluster's place; none for offers that are not looked at.
    """

    like: Offer
    terms: Terms | None = None
    on_demand: OnDemandLimit | None = None
    unpriced: bool = False
    interruptions: Interruptions | None = None
    sizes: tuple[tuple[int, int], ...] = ()


class Options(Sequence[Option]):
    """Every size of every offer, offer by offer; each is made when it is asked for.

    Args:
        offers: table by table.
        kind: the place of each offer's kind.
        kinds: of offers.

    Attributes:
        kind: the place of each option's kind, shape (n,).
        nodes, cluster: of each option, shape (n,).
    """

    def __init__(self, offers: Sequence[Offers], kind: Sequence[int], kinds: Sequence[Kind]) -> None:
        self._offers, self._kinds = offers, kinds
        self._starts = list(accumulate(map(len, offers), initial=0))
        of_offer = np.array(kind, dtype=np.intp)
        many = np.array([len(each.sizes) for each in kinds], dtype=np.intp)[of_offer]
        self._offer: Index = np.repeat(np.arange(len(of_offer)), many)
        self.kind: Index = of_offer[self._offer]
        sizes = np.array([size for each in kinds for size in each.sizes], dtype=np.intp).reshape(-1, 2)
        first = np.cumsum([0, *(len(each.sizes) for each in kinds)])[self.kind]
        place = np.arange(len(self._offer)) - np.repeat(np.cumsum(many) - many, many)
        self.nodes, self.cluster = sizes[first + place].T

    @classmethod
    def of(cls, options: Sequence[Option]) -> Options:
        """Those options in columns."""
        if isinstance(options, cls):
            return options
        kinds = [
            Kind(
                like=each.offer,
                terms=each.terms,
                on_demand=each.on_demand,
                unpriced=each.unpriced,
                interruptions=each.interruptions,
                sizes=((each.nodes, each.cluster),),
            )
            for each in options
        ]
        return cls([Offers.of(each.offer for each in options)], range(len(options)), kinds)

    @property
    def devices(self) -> Array:
        """All of the machines of each option, shape (n,)."""
        each = np.array([float(kind.like.instance.devices) for kind in self._kinds])
        devices: Array = self.nodes * each[self.kind]
        return devices

    @property
    def vcpus(self) -> Array:
        """Of one machine of each option, shape (n,); nan where it is not known."""
        each = np.array([float(kind.like.instance.vcpus or np.nan) for kind in self._kinds])
        found: Array = each[self.kind]
        return found

    @property
    def terms(self) -> tuple[Sequence[Terms | None], Index]:
        """The distinct terms, and the place among them of each option's, shape (n,)."""
        distinct = {id(kind.terms): kind.terms for kind in self._kinds}
        places = {key: place for place, key in enumerate(distinct)}
        return list(distinct.values()), np.array([places[id(k.terms)] for k in self._kinds], dtype=np.intp)[self.kind]

    @property
    def providers(self) -> Sequence[str]:
        """Of the machines of each option."""
        tables = np.searchsorted(self._starts, self._offer, side="right") - 1
        keys, which = np.unique(tables * len(self._kinds) + self.kind, return_inverse=True)
        names = [
            self._offers[key // len(self._kinds)].provider or self._kinds[key % len(self._kinds)].like.instance.provider
            for key in keys.tolist()
        ]
        return [names[place] for place in which.tolist()]

    @property
    def unpriced(self) -> npt.NDArray[np.bool_]:
        """Whether each is looked at without a price."""
        found: npt.NDArray[np.bool_] = np.array([kind.unpriced for kind in self._kinds])[self.kind]
        return found

    def usd_per_h(self, billing: Billing) -> Array:
        """Price of one machine of each option, shape (n,); nan where it is not known."""
        spot = billing is Billing.SPOT
        columns = [np.frombuffer(each.spot if spot else each.on_demand) for each in self._offers if len(each)]
        usd: Array = np.concatenate(columns)[self._offer]
        return usd

    def old(self, billing: Billing, today: date) -> npt.NDArray[np.bool_]:
        """Options whose price of that kind is old, or has no date; not those without one."""
        spot = billing is Billing.SPOT
        old: npt.NDArray[np.bool_] = np.concatenate(
            [
                np.array([*(price.is_old(today) for price in each.dated), False])[
                    each.spot_like if spot else each.on_demand_like
                ]
                for each in self._offers
                if len(each)
            ]
        )[self._offer]
        return old & ~np.isnan(self.usd_per_h(billing))

    def taken_per_s(self, assumed: tuple[float, float, float], known: bool) -> Array:
        """Low, middle and high rate at which a spot machine of each option is taken, shape (3, n).

        Args:
            assumed: where nothing is known.
            known: whether what is known counts.
        """
        rates = (kind.interruptions.per_node_s if known and kind.interruptions else None for kind in self._kinds)
        return np.array([rate.ends if rate else assumed for rate in rates]).T[:, self.kind]

    def __len__(self) -> int:
        return len(self._offer)

    @overload
    def __getitem__(self, place: int) -> Option: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Option, ...]: ...

    def __getitem__(self, place: int | slice) -> Option | tuple[Option, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(len(self))[place])
        kind, offer = self._kinds[self.kind[place]], int(self._offer[place])
        table = bisect_right(self._starts, offer) - 1
        return Option(
            offer=self._offers[table][offer - self._starts[table]],
            terms=kind.terms,
            nodes=int(self.nodes[place]),
            cluster=int(self.cluster[place]),
            on_demand=kind.on_demand,
            unpriced=kind.unpriced,
            interruptions=kind.interruptions,
        )
