"""RunPod's prices, as a zenplan plugin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zenplan import DataError, Http, PriceProvider, PriceTable, hookimpl, read_price_folder

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class RunPod:
    """RunPod's pods: the table that ships with the plugin."""

    name: str = "runpod"

    def bundled(self) -> PriceTable:
        """Pods of 1, 2, 4 and 8 GPUs, in both tiers, at the dates in the table."""
        (table,) = read_price_folder(_DATA)
        return table

    def fetch(self, http: Http) -> PriceTable:
        """Raises DataError: there is no live client yet."""
        raise DataError(
            "zenplan-runpod has no live client yet", "the bundled table is dated; a newer release may refresh it"
        )


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``runpod``."""
    return (RunPod(),)
