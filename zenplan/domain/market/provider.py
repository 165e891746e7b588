"""Provider classes, and how many devices are to be had of them without a reservation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zenplan.domain import checks
from zenplan.domain.provenance import Origin


class ProviderClass(StrEnum):
    """What kind of business rents a machine out."""

    HYPERSCALER = "hyperscaler"  # a general cloud of many regions and services
    CLOUD = "cloud"  # rents GPUs out of data centres that it runs or contracts
    MARKETPLACE = "marketplace"  # single machines of many owners
    UNKNOWN = "unknown"  # of a plugin or a table of one's own


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemandLimit:
    """The largest cluster that is usually had on demand; a larger one needs a reservation.

    Attributes:
        devices: of the whole cluster.
        origin, source: where the number is from.
        quota, quota_origin: what an account has to have first, and where that is from; empty where it is not known.
        term_s: the shortest reservation of a larger cluster; None where that is not known.
        term_source: where that is from; empty without it.
    """

    devices: int
    origin: Origin
    source: str
    quota: str = ""
    quota_origin: Origin = Origin.ASSUMED
    term_s: float | None = None
    term_source: str = ""

    def __post_init__(self) -> None:
        checks.positive("on-demand limit", devices=self.devices, term_s=self.term_s)
        checks.named("on-demand limit", source=self.source)
