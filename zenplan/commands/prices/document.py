"""The JSON document of what offers cost. Its schema is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta

from zenplan.commands.prices.doctor import Health
from zenplan.commands.prices.past import Beside, Spell
from zenplan.commands.shared.document import (
    Count,
    CountFromZero,
    Day,
    Moment,
    Name,
    NotNegative,
    Positive,
)
from zenplan.commands.shared.refresh import Verdict
from zenplan.documents import Document, fill
from zenplan.domain.market.offer import Offer, Price, PriceTable

_OnDemand = Annotated[
    Positive | None,
    Meta(description="on-demand price of the whole machine, in US dollars an hour; null where it is not known."),
]
_Spot = Annotated[
    Positive | None,
    Meta(description="spot price of the whole machine, in US dollars an hour; null where it is not known."),
]


class OfferDocument(Document):
    """A machine in a place, with its prices."""

    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    tier: Annotated[str | None, Meta(description="The provider's class of service; null where it has none.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    accelerator: Annotated[Name, Meta(description="Canonical name of the accelerator.")]
    devices: Annotated[Count, Meta(description="Accelerators in one machine, a count.")]
    vcpus: Annotated[Count | None, Meta(description="Virtual processors of one machine, a count.")]
    ram_bytes: Annotated[Positive | None, Meta(description="Memory of the host, in bytes.")]
    network_bytes_per_s: Annotated[
        Positive | None,
        Meta(
            description="Bandwidth between machines for each device, in bytes a second; null where it is not known, "
            "and then the machine is quoted alone."
        ),
    ]
    on_demand_usd_per_h: _OnDemand
    on_demand_as_of: Annotated[
        Day | None,
        Meta(description="The day it was seen, ISO 8601; null where that is not known."),
    ]
    on_demand_source: Annotated[str | None, Meta(description="Where it was read; null without a price.")]
    spot_usd_per_h: _Spot
    spot_as_of: Annotated[Day | None, Meta(description="The day it was seen, ISO 8601; null where that is not known.")]
    spot_source: Annotated[str | None, Meta(description="Where it was read; null without a price.")]
    term_s: Annotated[
        Positive | None,
        Meta(description="For how long whoever takes it pays, in seconds; null where its price is one by the hour."),
    ] = None


class TableDocument(Document):
    """One provider's table."""

    provider: Annotated[Name, Meta(description="Whose table it is.")]
    offers: Annotated[CountFromZero, Meta(description="Offers of it that are shown, a count.")]
    oldest: Annotated[Day | None, Meta(description="Day of the oldest price, ISO 8601; null where none has a date.")]
    oldest_age_days: Annotated[int | None, Meta(description="Age of that price today, in days.")]
    newest: Annotated[Day | None, Meta(description="Day of the newest price, ISO 8601; null where none has a date.")]
    newest_age_days: Annotated[int | None, Meta(description="Age of that price today, in days.")]
    undated: Annotated[CountFromZero, Meta(description="Prices without a date, a count.")]
    fetched_at: Annotated[
        Moment | None,
        Meta(description="When it was fetched, with its time zone; null where it ships with zenplan or a plugin."),
    ]
    granularity_s: Annotated[
        NotNegative | None,
        Meta(description="What billed time is rounded up to, in seconds; null where it is not known."),
    ]


class PricesDocument(Document, tag_field="schema", tag="zenplan.prices/1"):
    """Answer of 'zenplan prices'.

    What offers cost; null is not known, never 0.
    """

    offers: Annotated[tuple[OfferDocument, ...], Meta(description="Offers, the cheapest device-hour first.")]
    tables: Annotated[tuple[TableDocument, ...], Meta(description="How old each table is.")]
    left_out: Annotated[tuple[Name, ...], Meta(description="Rows that could not be used and why, one line each.")]


class VerdictDocument(Document):
    """What became of a provider."""

    provider: Annotated[Name, Meta(description="Who was asked.")]
    fetched: Annotated[bool, Meta(description="Whether its prices were had.")]
    failure: Annotated[str, Meta(description="Why they were not; empty where they were.")]
    offers: Annotated[CountFromZero, Meta(description="Offers of the table that is there for it now, a count.")]
    newest: Annotated[Day | None, Meta(description="Day of the newest price in it, ISO 8601; null where none has one.")]
    newest_age_days: Annotated[int | None, Meta(description="Age of that price today, in days.")]
    fetched_at: Annotated[
        Moment | None,
        Meta(description="When that table was fetched, with its time zone; null for one that ships with its plugin."),
    ]
    new: Annotated[CountFromZero, Meta(description="Offers that the table before did not have, a count.")]
    changed: Annotated[CountFromZero, Meta(description="Offers with another price than in the table before, a count.")]
    gone: Annotated[CountFromZero, Meta(description="Offers of the table before that it does not have, a count.")]
    set_aside: Annotated[
        tuple[Name, ...], Meta(description="Rows and prices of it that cannot be right, and why, one line each.")
    ]


class RefreshDocument(Document, tag_field="schema", tag="zenplan.prices-refresh/1"):
    """Answer of 'zenplan prices refresh'.

    What became of each provider that was asked.
    """

    providers: Annotated[tuple[VerdictDocument, ...], Meta(description="In the order of their plugins.")]


class DiffOfferDocument(Document):
    """An offer that changed, and its prices in both tables."""

    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    tier: Annotated[str | None, Meta(description="The provider's class of service; null where it has none.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    accelerator: Annotated[Name, Meta(description="Canonical name of the accelerator.")]
    devices: Annotated[Count, Meta(description="Accelerators in one machine, a count.")]
    change: Annotated[Literal["new", "changed", "gone"], Meta(description="What became of it.")]
    on_demand_usd_per_h_before: _OnDemand
    on_demand_usd_per_h: _OnDemand
    spot_usd_per_h_before: _Spot
    spot_usd_per_h: _Spot


class DiffTableDocument(Document):
    """Two tables of a provider."""

    provider: Annotated[Name, Meta(description="Whose they are.")]
    before: Annotated[Name, Meta(description="The one before: where it is from, and its day.")]
    after: Annotated[Name, Meta(description="The one of now.")]


class PricesDiffDocument(Document, tag_field="schema", tag="zenplan.prices-diff/1"):
    """Answer of 'zenplan prices diff'.

    What changed between two tables of each provider.
    """

    tables: Annotated[tuple[DiffTableDocument, ...], Meta(description="That are compared.")]
    offers: Annotated[
        tuple[DiffOfferDocument, ...], Meta(description="Offers that are new, gone or have another price.")
    ]


class HistoryPriceDocument(Document):
    """The prices of an offer as long as they stayed the same."""

    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    tier: Annotated[str | None, Meta(description="The provider's class of service; null where it has none.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    first: Annotated[Day | None, Meta(description="Day of the first table that has them; null where it has none.")]
    last: Annotated[Day | None, Meta(description="Day of the last table that has them; null where it has none.")]
    tables: Annotated[Count, Meta(description="Tables that have them, a count.")]
    on_demand_usd_per_h: _OnDemand
    spot_usd_per_h: _Spot


class HistoryDocument(Document, tag_field="schema", tag="zenplan.prices-history/1"):
    """Answer of 'zenplan prices history'.

    What an instance cost, in all tables that are kept.
    """

    prices: Annotated[tuple[HistoryPriceDocument, ...], Meta(description="By place, the oldest first.")]


class FindingDocument(Document):
    """Something that is wrong, or missing."""

    kind: Annotated[
        Literal["unknown_accelerator", "undated", "placeholder", "set_aside", "old", "unpriced", "unread"],
        Meta(description="What is the matter."),
    ]
    provider: Annotated[str | None, Meta(description="Whose table it is in; null where it is in none.")]
    what: Annotated[Name, Meta(description="The accelerator, the row and the reason, the day, the number of prices.")]


class DoctorDocument(Document, tag_field="schema", tag="zenplan.prices-doctor/1"):
    """Answer of 'zenplan prices doctor'.

    What is wrong with the prices that there are, and what is missing.
    """

    findings: Annotated[tuple[FindingDocument, ...], Meta(description="One after another, by their kind.")]
    folder: Annotated[str | None, Meta(description="Where fetched tables are; null where there are to be none.")]


def diff_document(found: Sequence[Beside]) -> PricesDiffDocument:
    """What changed, provider by provider."""
    return PricesDiffDocument(
        tables=tuple(fill(DiffTableDocument, beside) for beside in found),
        offers=tuple(
            each
            for beside in found
            for each in (
                *(_changed("changed", change.after, change.before, change.after) for change in beside.changed),
                *(_changed("new", offer, None, offer) for offer in beside.new),
                *(_changed("gone", offer, offer, None) for offer in beside.gone),
            )
        ),
    )


def _changed(
    change: Literal["new", "changed", "gone"], offer: Offer, before: Offer | None, after: Offer | None
) -> DiffOfferDocument:
    usd = {
        f"{kind}_usd_per_h{when}": price.usd_per_h if price else None
        for when, each in (("_before", before), ("", after))
        for kind, price in (("on_demand", each and each.on_demand), ("spot", each and each.spot))
    }
    return fill(
        DiffOfferDocument,
        offer.instance,
        instance=offer.instance.name,
        tier=offer.tier or None,
        region=offer.region,
        change=change,
        **usd,
    )


def history_document(found: Sequence[Spell]) -> HistoryDocument:
    """The spells in that order."""
    return HistoryDocument(
        prices=tuple(
            HistoryPriceDocument(
                provider=spell.offer.instance.provider,
                instance=spell.offer.instance.name,
                tier=spell.offer.tier or None,
                region=spell.offer.region,
                first=_day(spell.first),
                last=_day(spell.last),
                tables=spell.tables,
                on_demand_usd_per_h=spell.offer.on_demand.usd_per_h if spell.offer.on_demand else None,
                spot_usd_per_h=spell.offer.spot.usd_per_h if spell.offer.spot else None,
            )
            for spell in found
        )
    )


def doctor_document(found: Health) -> DoctorDocument:
    """Every finding, by its kind."""
    rows: list[tuple[Any, str | None, str]] = [
        *(("unknown_accelerator", u.provider, u.accelerator) for u in found.unknown),
        *(("undated", provider, str(count)) for provider, count in found.undated.items()),
        *(("placeholder", provider, str(count)) for provider, count in found.placeholders.items()),
        *(("set_aside", provider, reason) for provider, reasons in found.set_aside.items() for reason in reasons),
        *(("old", provider, day.isoformat()) for provider, day in found.old.items()),
        *(("unpriced", None, name) for name in found.unpriced),
        *(("unread", None, line) for line in found.unread),
    ]
    return DoctorDocument(
        findings=tuple(FindingDocument(kind=kind, provider=provider, what=what) for kind, provider, what in rows),
        folder=str(found.folder) if found.folder else None,
    )


def refresh_document(verdicts: Sequence[Verdict], today: date) -> RefreshDocument:
    """The verdicts in that order."""
    return RefreshDocument(providers=tuple(_verdict(verdict, today) for verdict in verdicts))


def _verdict(verdict: Verdict, today: date) -> VerdictDocument:
    table = verdict.table
    newest = table.days[1] if table else None
    return fill(
        VerdictDocument,
        verdict,
        fetched=not verdict.failure,
        offers=len(table.offers) if table else 0,
        newest=_day(newest),
        newest_age_days=(today - newest).days if newest else None,
        fetched_at=_moment(table.fetched_at) if table else None,
    )


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def prices_document(offers: Sequence[Offer], tables: Sequence[PriceTable], today: date) -> PricesDocument:
    """Offers in that order, and how old the tables are that they come from."""
    return PricesDocument(
        offers=tuple(_offer(offer) for offer in offers),
        tables=tuple(_table(table, today) for table in tables),
        left_out=tuple(f"{table.provider}: {reason}" for table in tables for reason in table.left_out),
    )


def _offer(offer: Offer) -> OfferDocument:
    instance = offer.instance
    return fill(
        OfferDocument,
        instance,
        instance=instance.name,
        tier=offer.tier or None,
        region=offer.region,
        **_price("on_demand", offer.on_demand),
        **_price("spot", offer.spot),
        term_s=offer.committed.term_s if offer.committed else None,
    )


def _price(kind: str, price: Price | None) -> dict[str, Any]:
    return {
        f"{kind}_usd_per_h": price.usd_per_h if price else None,
        f"{kind}_as_of": _day(price.as_of) if price else None,
        f"{kind}_source": price.source if price else None,
    }


def _table(table: PriceTable, today: date) -> TableDocument:
    oldest, newest = table.days
    return fill(
        TableDocument,
        table,
        offers=len(table.offers),
        oldest=_day(oldest),
        oldest_age_days=(today - oldest).days if oldest else None,
        newest=_day(newest),
        newest_age_days=(today - newest).days if newest else None,
        fetched_at=_moment(table.fetched_at),
        granularity_s=table.terms.granularity_s if table.terms else None,
    )


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
