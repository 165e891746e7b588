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
    """

    devices: int
    origin: Origin
    source: str

    def __post_init__(self) -> None:
        checks.positive("on-demand limit", devices=self.devices)
        checks.named("on-demand limit", source=self.source)
