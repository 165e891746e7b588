"""What a run pays beside its machines: storage of checkpoints and data, disks, the way in and out, less credits.

A price that is not known is a range of what others ask, never 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from zenplan.domain.answer.estimate import Part
from zenplan.domain.market.credit import Credit
from zenplan.domain.market.offer import Terms
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.planning.physics.columns import Array
from zenplan.units import DAY_S, GB, MONTH_S

_OF_A_MONTH: Final = GB * MONTH_S
# Prices of providers that publish none: from the least to the most of ``data/terms.csv``, in dollars for a GB (and month).
_STORAGE: Final = Range(low=0.018, mid=0.023, high=0.05)
_EGRESS: Final = Range(low=0.0, mid=0.0085, high=0.12)
# A disk is in the price of many machines; gp3 of AWS is $0.08 and gp2 $0.10 for a GB and month (us-east-1, read
# 2026-11-30 at https://c3x.dev/resources/aws/aws_ebs_volume).
_DISK: Final = Range(low=0.0, mid=0.08, high=0.10)
# Clouds take data in for nothing, but where they lie now may ask for the way out: nothing for what is published, $0.02
# between regions of one cloud (recalled, AWS), $0.09 out of another one (``data/terms.csv``, AWS).
_INGRESS: Final = Range(low=0.0, mid=0.02, high=0.09)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """What a byte costs, for a second where it is stored."""

    usd: Range
    origin: Origin
    why: str


def _rate(known: float | None, usual: Range, unit: float, terms: Terms | None, what: str) -> _Rate:
    if known is not None and terms is not None:
        return _Rate(usd=Range.exactly(known), origin=Origin.PUBLISHED, why=f"${known * unit:.4g} {what}")
    said = f"${usual.low:g}–{usual.high:g} {what}, as others ask: not known of this provider"
    return _Rate(usd=usual * (1.0 / unit), origin=Origin.ASSUMED, why=said)


def egress_usd_per_byte(terms: Terms | None) -> Range:
    """What taking a byte out costs at a provider: as published, else as others ask."""
    return _rate(terms.egress_usd_per_byte if terms else None, _EGRESS, GB, terms, "a GB").usd


# In the order of the quantities of ``Stored``.
CHECKPOINTS, EGRESS = "checkpoint storage", "egress of the weights"
NAMES: Final = (CHECKPOINTS, "data set storage", "disks", "data in", EGRESS)


def _rates(terms: Terms | None) -> tuple[_Rate, ...]:
    month, way = "a GB and month", "a GB"
    storage, disk, out, into = (
        (terms.storage_usd_per_byte_s, terms.disk_usd_per_byte_s, terms.egress_usd_per_byte, terms.ingress_usd_per_byte)
        if terms
        else (None,) * 4
    )
    kept = _rate(storage, _STORAGE, _OF_A_MONTH, terms, month)
    return (
        kept,
        kept,
        _rate(disk, _DISK, _OF_A_MONTH, terms, month),
        _rate(into, _INGRESS, GB, terms, way),
        _rate(out, _EGRESS, GB, terms, way),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Bytes of a run.

    Attributes:
        checkpoints: all that are kept at a time.
        data: of the data set, each sample once.
        disk: of each machine.
        weights: that are carried away in the end.
    """

    checkpoints: float
    data: Range
    disk: float
    weights: float

    def quantities(self, time_s: Array, nodes: Array) -> Iterator[Array]:
        """Bytes, or bytes times seconds, of each part; low, middle and high of n runs, shape (3, n).

        Args:
            time_s: wall-clock, shape (3, n); nan where a run has no end.
            nodes: machines, shape (n,).
        """
        data: Array = np.array([[self.data.low], [self.data.mid], [self.data.high]])
        yield self.checkpoints * time_s
        yield data * time_s
        yield self.disk * nodes * time_s
        yield np.broadcast_to(data, time_s.shape)
        yield np.full_like(time_s, self.weights)


def beside_usd(stored: Stored, time_s: Array, nodes: Array, terms: Sequence[Terms | None]) -> Array:
    """Dollars beside the machines, low, middle and high of n runs, shape (3, n); credits are not taken off.

    Args:
        stored: bytes of a run.
        time_s, nodes: as of ``Stored.quantities``.
        terms: each run's, None where nothing is known of them.
    """
    distinct = {id(each): each for each in terms}
    places = {key: place for place, key in enumerate(distinct)}
    which: npt.NDArray[np.intp] = np.array([places[id(each)] for each in terms], dtype=np.intp)
    # Parts, low to high, distinct terms.
    rates = np.array([[rate.usd.ends for rate in _rates(each)] for each in distinct.values()])
    total: Array = np.zeros_like(time_s)
    for place, quantity in enumerate(stored.quantities(time_s, nodes)):
        total += quantity * rates[which, place].T
    return total


def beside_parts(stored: Stored, time_s: Array, nodes: float, terms: Terms | None) -> tuple[Part, ...]:
    """The same for one run, part by part; what costs nothing, and is known to, is left out.

    Args:
        stored: bytes of a run.
        time_s: low, middle and high wall-clock, shape (3,).
        nodes: machines.
        terms: of the provider.
    """
    found = []
    quantities = stored.quantities(time_s[:, None], np.array([nodes]))
    for name, rate, quantity in zip(NAMES, _rates(terms), quantities, strict=True):
        low, mid, high = (float(q) * usd for q, usd in zip(quantity[:, 0], rate.usd.ends, strict=True))
        found.append(Part(name=name, low_usd=low, mid_usd=mid, high_usd=high, origin=rate.origin, why=rate.why))
    return tuple(part for part in found if part.high_usd or part.origin is not Origin.PUBLISHED)


# --- credits


def credited_usd(usd: Array, time_s: Array, credits: Sequence[Credit], today: date) -> Array:
    """How much of what is spent evenly over a time is paid by credits, those that expire first being used up first.

    Args:
        usd, time_s: dollars and wall-clock seconds, of one shape.
        credits: of one provider.
        today: when it starts.
    """
    used: Array = np.zeros_like(usd)
    for credit in sorted(credits, key=lambda each: each.until or date.max):
        window_s = np.inf if credit.until is None else max(((credit.until - today).days + 1) * DAY_S, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            within = np.where(time_s > 0, np.minimum(window_s / time_s, 1.0), float(window_s > 0))
            payable = np.where(np.isfinite(usd), usd, 0.0) * np.nan_to_num(within)
        used += np.clip(payable - used, 0.0, credit.usd)
    return used


def credits_why(credits: Sequence[Credit]) -> str:
    """What credits there are, for people."""
    told = (f"${c.usd:,.0f} until {c.until}" if c.until else f"${c.usd:,.0f}" for c in credits)
    return f"{', '.join(told)}: {'; '.join(dict.fromkeys(c.source for c in credits))}"
