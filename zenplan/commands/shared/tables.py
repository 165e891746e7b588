"""What every use case starts from: the catalogue, the price tables and the families that plugins give."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from zenplan.commands.shared.ages import seen
from zenplan.commands.shared.current import current_tables
from zenplan.commands.shared.output import warned
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import OLD_WITHIN, Billing, DevicePrice, Offer, Price, PriceTable
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.operations import Operations
from zenplan.errors import DataError, InputFileError, UnknownName, UsageError
from zenplan.plugins import Plugins
from zenplan.protocols import WorkloadFamily


def catalogue(plugins: Plugins) -> Catalogue:
    """The data sheets of all plugins."""
    return Catalogue(accelerators=plugins.accelerators())


def only(sheets: Catalogue, vendor: str | None, architecture: str | None) -> Catalogue:
    """The data sheets of that maker and that generation. Raises UnknownName: there are none."""
    found = sheets.accelerators
    for field, wanted in (("vendor", vendor), ("architecture", architecture)):
        if wanted:
            known = {getattr(accelerator, field) for accelerator in found}
            found = tuple(accelerator for accelerator in found if getattr(accelerator, field).lower() == wanted.lower())
            if not found:
                raise UnknownName(field, wanted, known)
    return Catalogue(accelerators=found)


def price_tables(
    plugins: Plugins,
    sheets: Catalogue,
    own: Path | None,
    fresh: bool = False,
    warn: Callable[[str], None] = warned,
    operations: Operations | None = None,
) -> tuple[PriceTable, ...]:
    """Every provider's table. A table in the user's own file takes the place of the provider's it names; a price book
    changes and adds to them; one that was fetched takes the place of an older one which ships with a distribution.

    Args:
        plugins: that have providers.
        sheets: every data sheet.
        own: a CSV of prices, or a price book in TOML; None without one.
        fresh: whether tables are fetched before. Where that fails, those that are there have to do.
        warn: told of what cannot be read, or not be fetched.
        operations: how hardware of one's own is operated, where the book does not say.

    Raises:
        InputFileError: the user's file cannot be used.
    """
    if own is not None and own.suffix.lower() == ".toml":
        return _by_the_book(price_tables(plugins, sheets, None, fresh, warn), sheets, own, operations or Operations())
    mine: tuple[PriceTable, ...] = ()
    if own is not None:
        from zenplan.adapters.clock import today
        from zenplan.adapters.prices.table import read_price_csv

        # Aliases are names too; the local day, so that nobody loses a price dated today.
        mine = read_price_csv(own, lambda name: sheets.by_name(name).name, today())
    replaced = {t.provider for t in mine}
    if fresh:
        from zenplan.commands.shared.refresh import refreshed

        refreshed(plugins, sheets, warn)
    others = (table for table in current_tables(plugins, warn) if table.provider not in replaced)
    return tuple(_classed(table) for table in (*mine, *others))


def _by_the_book(
    tables: tuple[PriceTable, ...], sheets: Catalogue, own: Path, operations: Operations
) -> tuple[PriceTable, ...]:
    from zenplan.adapters.clock import today
    from zenplan.adapters.prices.book import read_price_book
    from zenplan.planning.money.book import with_book

    book = read_price_book(own, sheets, operations)
    try:
        return tuple(map(_classed, with_book(tables, book, today())))
    except DataError as error:
        raise InputFileError(f"price book {own}: {error.message}", error.hint) from error


def _classed(table: PriceTable) -> PriceTable:
    """The table with the class of its provider, whoever the table is from: a plugin may take a provider's name over."""
    from zenplan.adapters.prices.table import known_terms
    from zenplan.adapters.tables.market import provider_class

    known = known_terms(table.provider)
    if known is not None and known.exceptions and (table.terms is None or not table.terms.exceptions):
        # Which machines are billed unlike the others is the provider's, whoever the table is from.
        table = replace(table, terms=replace(table.terms or known, exceptions=known.exceptions))
    return table if table.kind is not ProviderClass.UNKNOWN else replace(table, kind=provider_class(table.provider))


def models(families: Sequence[WorkloadFamily], only: str | None = None) -> tuple[tuple[str, Workload], ...]:
    """Every named model that its family can lower, with the name of that family.

    Args:
        only: a family's name, or a kind of model (as in ``Workload.family``), whose models alone are wanted.

    Raises:
        UnknownName: there is no such family.
    """
    names = [family.name for family in families]
    wanted = only.lower() if only else None
    found = []
    for family in families:
        # A family's own name is looked at first: then no other one's models have to be made.
        if wanted in names and wanted != family.name:
            continue
        for name in family.presets():
            # A plugin that fails on one of its models is named in its problems; the others still answer.
            with contextlib.suppress(DataError):
                found.append((family.name, family.lower({"model": name})))
    if wanted is None or wanted in names:
        return tuple(found)
    kept = tuple((name, w) for name, w in found if w.family == wanted)
    if not kept:
        raise UnknownName("family", only or "", (*names, *(w.family for _, w in found)), "zenplan workloads")
    return kept


def model(families: Sequence[WorkloadFamily], name: str, **options: Any) -> tuple[str, Workload]:
    """One named model, lowered with these options, and the name of its family.

    Raises:
        UsageError: no family knows it, or it has no such option.
    """
    return _family_of(families, name).name, lowered(families, {"model": name, **options})


def lowered(families: Sequence[WorkloadFamily], options: Mapping[str, Any]) -> Workload:
    """The workload of the family that knows the model; configurations and sizes go to zenplan's own, the last.

    Raises:
        UsageError: there is no family, or the options are wrong; UnknownName: no family knows the model.
    """
    name = options.get("model")
    family = _family_of(families, name)
    given = {key: value for key, value in options.items() if value is not None}
    if name is None or _knows(family, name):
        return family.lower(given)
    from zenplan.families.bare_names import size_of, with_size_told
    from zenplan.families.transformer.presets import INSTEAD, alike

    called, _, changes = name.partition(":")
    here = _other_name(families, called) or size_of(called)
    if here:
        parted = "," if ":" in here else ":"
        load = lowered(families, {**options, "model": f"{here}{parted}{changes}" if changes else here})
        return with_size_told(load, called, _names(families)) if here == size_of(called) else load
    try:
        return family.lower(given)
    except UnknownName:
        near = alike(called, _names(families))
        raise UnknownName("model", called, near, "zenplan workloads", INSTEAD) from None


def _names(families: Sequence[WorkloadFamily]) -> list[str]:
    return [each for family in families for each in family.presets()]


def _other_name(families: Sequence[WorkloadFamily], called: str) -> str | None:
    """What a model is called here that others call something else: ``CLIP ViT-B/32``, ``facebook/dinov2-base``."""
    from zenplan.adapters.tables.named_configurations import configurations_by_alias
    from zenplan.families.catalogue import named_here, names_of
    from zenplan.families.transformer.presets import plain

    for text in names_of(called):
        if named_here(text) != text:
            return named_here(text)
        if any(_knows(family, text) for family in families):
            return text
    return configurations_by_alias().get(plain(called))


def _family_of(families: Sequence[WorkloadFamily], model: str | None) -> WorkloadFamily:
    """The family that has a model of that very name; else one that has it but for case, punctuation and what stands
    after a colon; else zenplan's own, which comes last: it knows sizes, configurations and other names.

    Raises:
        UsageError: there is no family at all.
    """
    if not families:
        raise UsageError("no plugin knows any family of models", "'zenplan plugins' says what failed")
    if model is None:
        return families[-1]
    exact = next((f for f in families if model in f.presets()), None)
    return exact or next((f for f in families if _knows(f, model)), families[-1])


def _knows(family: WorkloadFamily, model: str) -> bool:
    from zenplan.families.named import name_of
    from zenplan.families.transformer.presets import plain

    return name_of(model) in map(plain, family.presets())


# --- the lowest price


def cheapest(accelerator: Accelerator, tables: Sequence[PriceTable], today: date) -> DevicePrice | None:
    """The lowest on-demand price of one device of that kind, in any number and place, that binds to no term; None where
    none is known.

    An old price, or one without a date, is the lowest only where no fresh one is within ``OLD_WITHIN`` times of it.
    """
    own = (o for table in tables for o in table.offers if o.instance.accelerator == accelerator.name)
    found = lowest(own, Billing.ON_DEMAND, today)
    if found is None:
        return None
    usd_per_h, offer, price = found
    return DevicePrice(
        usd_per_h=usd_per_h,
        offer=f"{offer.instance.provider} {offer.called}",
        as_of=price.as_of,
        seen=seen(price, today),
    )


def lowest(offers: Iterable[Offer], billing: Billing, today: date) -> tuple[float, Offer, Price] | None:
    """The lowest price of a device-hour that binds to no term, whose it is, and the price of the machine; None where none
    has one. Old prices as of ``cheapest``."""
    prices = [
        (price.usd_per_h / offer.instance.devices, offer, price)
        for offer in offers
        if offer.committed is None and (price := offer.price(billing)) is not None
    ]
    if not prices:
        return None
    least = min(prices, key=lambda each: each[0])
    fresh = min((p for p in prices if not p[2].is_old(today)), key=lambda each: each[0], default=least)
    return fresh if fresh[0] <= OLD_WITHIN * least[0] else least
