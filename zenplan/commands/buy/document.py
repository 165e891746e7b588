"""The JSON document of buying against renting. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zenplan.commands.shared.document import Count, Day, FactDocument, Name, NotNegative, Positive, Ratio
from zenplan.documents import Document, fill
from zenplan.domain.answer.purchase import Assumption, Purchase, Rent, Shift
from zenplan.domain.provenance import Origin

_EVEN = "Share of all hours from which on buying is cheaper, a ratio; null where it never is."


class RentDocument(Document):
    """An offer that would do the same."""

    kind: Annotated[Name, Meta(description="The class of providers that it is the cheapest of.")]
    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    machines: Annotated[Count, Meta(description="Machines for as many devices, a count.")]
    usd_per_h: Annotated[Positive, Meta(description="Of all of them, US dollars an hour.")]
    price_as_of: Annotated[Day | None, Meta(description="The day the price was seen, ISO 8601; null without one.")]
    price_source: Annotated[Name, Meta(description="Where the price was read.")]
    usd_per_year: Annotated[Positive, Meta(description="For the hours in use, US dollars a year.")]
    even_utilisation: Annotated[Ratio | None, Meta(description=_EVEN)]
    even_months: Annotated[
        Positive | None,
        Meta(description="Months until the rent that is not paid has paid for the purchase; null where it never does."),
    ]
    worth_usd: Annotated[
        NotNegative, Meta(description="What may be paid for the hardware, for both to cost the same, in US dollars.")
    ]


class ShiftDocument(Document):
    """The same with another value of one input."""

    value: Annotated[Name, Meta(description="As it is shown.")]
    usd_per_year: Annotated[Positive, Meta(description="Of owning, US dollars a year.")]
    even_utilisation: Annotated[Ratio | None, Meta(description=_EVEN)]


class AssumptionDocument(Document):
    """An input, and what other values of it make."""

    input: Annotated[Name, Meta(description="Its name, as its flag.")]
    value: Annotated[Name, Meta(description="What was taken, for people.")]
    origin: Annotated[Origin, Meta(description="Where that is from.")]
    why: Annotated[str, Meta(description="Why it is that; empty where nothing is to be said.")]
    shifts: Annotated[tuple[ShiftDocument, ...], Meta(description="With a lower and a higher value.")]


class BuyDocument(Document, tag_field="schema", tag="zenplan.buy/1"):
    """Answer of 'zenplan buy'.

    Hardware of one's own against the cheapest rent. Quantities are in base units, named by the suffix of the field.
    """

    accelerator: Annotated[Name, Meta(description="Canonical name of the accelerator.")]
    devices: Annotated[Count, Meta(description="In all, a count.")]
    machines: Annotated[Count, Meta(description="That they are in, a count.")]
    price_usd: Annotated[Positive, Meta(description="Of all of it, in US dollars.")]
    price_given: Annotated[
        bool, Meta(description="Whether that was asked; else it is what it is worth against the cheapest rent.")
    ]
    utilisation: Annotated[Ratio, Meta(description="Share of all hours in which it works, a ratio.")]
    years: Annotated[Positive, Meta(description="Until it is written off, in years.")]
    usd_per_year: Annotated[Positive, Meta(description="Of owning, US dollars a year.")]
    usd_per_gpu_h: Annotated[Positive, Meta(description="Of owning, US dollars for an hour of a device in use.")]
    cheaper: Annotated[Literal["buy", "rent"], Meta(description="Which costs less a year at that utilisation.")]
    owning: Annotated[tuple[FactDocument, ...], Meta(description="What owning one machine costs, part by part.")]
    rents: Annotated[tuple[RentDocument, ...], Meta(min_length=1, description="The cheapest first, then by class.")]
    assumptions: Annotated[tuple[AssumptionDocument, ...], Meta(description="Every input.")]


def document(found: Purchase) -> BuyDocument:
    """The whole answer in base units."""
    own = found.hardware
    hours = own.utilisation * 8766.0 * found.devices
    return fill(
        BuyDocument,
        found,
        accelerator=own.accelerator,
        machines=own.machines,
        utilisation=own.utilisation,
        years=own.years,
        usd_per_gpu_h=found.usd_per_year / hours,
        owning=tuple(fill(FactDocument, fact) for fact in found.parts),
        rents=tuple(map(_rent, found.rents)),
        assumptions=tuple(map(_assumption, found.assumptions)),
    )


def _rent(rent: Rent) -> RentDocument:
    offer, price = rent.offer, rent.offer.on_demand
    return fill(
        RentDocument,
        rent,
        provider=offer.instance.provider,
        instance=offer.instance.name,
        region=offer.region,
        price_as_of=price.as_of.isoformat() if price and price.as_of else None,
        price_source=price.source if price else "",
    )


def _assumption(each: Assumption) -> AssumptionDocument:
    return fill(AssumptionDocument, each, shifts=tuple(map(_shift, each.shifts)))


def _shift(each: Shift) -> ShiftDocument:
    return fill(ShiftDocument, each)
