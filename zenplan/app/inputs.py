"""What every use case starts from: the catalogue, the price tables and the families that plugins give."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from zenplan.domain.catalogue import Catalogue
from zenplan.domain.offer import Offer, PriceTable
from zenplan.domain.workload import Workload
from zenplan.errors import DataError, UnknownName, UsageError
from zenplan.plugins import Plugins
from zenplan.protocols import WorkloadFamily


def catalogue(plugins: Plugins) -> Catalogue:
    """The data sheets of all plugins."""
    return Catalogue(accelerators=plugins.accelerators())


def price_tables(plugins: Plugins, sheets: Catalogue, own: Path | None) -> tuple[PriceTable, ...]:
    """Every provider's table. A table in the user's own file takes the place of the provider's it names.

    Raises:
        InputFileError: the user's file cannot be used.
    """
    mine: tuple[PriceTable, ...] = ()
    if own is not None:
        from zenplan.adapters.price_table import read_price_csv

        # Aliases are names too; the local day, so that nobody loses a price dated today.
        mine = read_price_csv(own, lambda name: sheets.by_name(name).name, date.today())
    replaced = {t.provider for t in mine}
    others = (plugins.bundled_table(p) for p in plugins.price_providers() if p.name not in replaced)
    return (*mine, *others)


def filtered(tables: Sequence[PriceTable], sheets: Catalogue, gpu: str | None, provider: str | None,
             region: str | None, spot: bool) -> tuple[PriceTable, ...]:  # fmt: skip
    """The tables with only the offers that pass; a name that nobody has is an error.

    Raises:
        UnknownName: an accelerator, provider or region that no table has.
    """
    wanted = sheets.by_name(gpu).name if gpu else None
    if provider and provider not in {t.provider for t in tables}:
        raise UnknownName("provider", provider, (t.provider for t in tables), "zenplan prices")
    tables = [t for t in tables if provider in (None, t.provider)]
    regions = {o.region for t in tables for o in t.offers}
    if region and region not in regions:
        raise UnknownName(
            f"region of {provider}" if provider else "region", region, regions, "zenplan prices"
        )

    def passes(offer: Offer) -> bool:
        return (wanted in (None, offer.instance.accelerator) and region in (None, offer.region)
                and (not spot or offer.spot is not None))  # fmt: skip

    return tuple(
        PriceTable(provider=t.provider, terms=t.terms, left_out=t.left_out,
                   offers=tuple(o for o in t.offers if passes(o)))
        for t in tables
    )  # fmt: skip


def models(families: Sequence[WorkloadFamily]) -> tuple[tuple[str, Workload], ...]:
    """Every named model that its family can lower, with the name of that family."""
    found = []
    for family in families:
        for name in family.presets():
            # A plugin that fails on one of its models is named in its problems; the others still answer.
            with contextlib.suppress(DataError):
                found.append((family.name, family.lower({"model": name})))
    return tuple(found)


def model(families: Sequence[WorkloadFamily], name: str) -> tuple[str, Workload]:
    """One named model, lowered, with the name of its family. Raises UsageError: no family knows it."""
    family = family_of(families, name)
    return family.name, family.lower({"model": name})


def family_of(families: Sequence[WorkloadFamily], model: str | None) -> WorkloadFamily:
    """The family that has a model of that very name, or zenplan's own, which comes last: it knows sizes,
    configurations and spellings, and says what is near.

    Raises:
        UsageError: there is no family at all.
    """
    if not families:
        raise UsageError("no plugin knows any family of models", "'zenplan plugins' says what failed")
    return next((f for f in families if model is not None and model in f.presets()), families[-1])
