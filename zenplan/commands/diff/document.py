"""The JSON document of two plans beside each other. Its schema is made of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta

from zenplan.commands.diff.comparison import Comparison, Differs, Figure, PriceDiffers, Side
from zenplan.commands.diff.policy import Finding
from zenplan.commands.shared.document import Count, Day, Name, Positive, RangeDocument
from zenplan.documents import Document, fill
from zenplan.domain.market.offer import Billing
from zenplan.version import __version__


class SideDocument(Document):
    """One of the two plans: what it recommends."""

    name: Annotated[Name, Meta(description="The file it is from.")]
    today: Annotated[Day, Meta(description="The day of its estimate, ISO 8601.")]
    zenplan_version: Annotated[Name, Meta(description="The release that made it.")]
    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    tier: Annotated[str | None, Meta(description="The provider's class of service; null where it has none.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    accelerator: Annotated[Name, Meta(description="Canonical name of the accelerator.")]
    machines: Annotated[Count, Meta(description="Machines rented, a count.")]
    devices: Annotated[Count, Meta(description="Devices in use, a count.")]
    price_as_of: Annotated[
        Day | None, Meta(description="The day its price was seen, ISO 8601; null where that is not known.")
    ]
    met: Annotated[bool, Meta(description="Whether it meets deadline and budget; true where none was given.")]


class FigureDocument(Document):
    """A figure of both plans. Its unit is the suffix of its name."""

    name: Annotated[Name, Meta(description="As in total_usd; of the recommended plans.")]
    old: Annotated[RangeDocument | None, Meta(description="In the old plan; null where it is not known.")]
    new: Annotated[RangeDocument | None, Meta(description="In the new plan; null where it is not known.")]
    change: Annotated[float | None, Meta(description="New less old, at the middles; null where one is not known.")]
    change_ratio: Annotated[
        float | None, Meta(description="That change over the old middle; null where one is not known, or that is zero.")
    ]
    new_in_old_range: Annotated[
        bool | None,
        Meta(description="Whether the new middle lies within the old range; null where there is no range."),
    ]


class DiffersDocument(Document):
    """A text that differs."""

    name: Annotated[Name, Meta(description="What it is.")]
    old: Annotated[str | None, Meta(description="In the old plan; null where it has none.")]
    new: Annotated[str | None, Meta(description="In the new plan; null where it has none.")]


class PriceDiffersDocument(Document):
    """The price of an offer that differs."""

    provider: Annotated[Name, Meta(description="Who rents it out.")]
    instance: Annotated[Name, Meta(description="Machine type of the provider.")]
    region: Annotated[Name, Meta(description="Where it is; 'any' where the provider does not say.")]
    tier: Annotated[str | None, Meta(description="The provider's class of service; null where it has none.")]
    billing: Annotated[Billing, Meta(description="How the machine is paid for.")]
    old_usd_per_h: Annotated[
        Positive | None, Meta(description="Of a machine, US dollars an hour; null where it is not known.")
    ]
    old_as_of: Annotated[Day | None, Meta(description="The day it was seen; null where that is not known.")]
    new_usd_per_h: Annotated[
        Positive | None, Meta(description="Of a machine, US dollars an hour; null where it is not known.")
    ]
    new_as_of: Annotated[Day | None, Meta(description="The day it was seen; null where that is not known.")]
    gone: Annotated[bool, Meta(description="Whether nobody offers that any more, where the new plan was made now.")]


class FindingDocument(Document):
    """A rule that is broken, or cannot be checked."""

    rule: Annotated[Name, Meta(description="Its key in the policy, or the flag.")]
    limit: Annotated[str, Meta(description="As it was given.")]
    message: Annotated[Name, Meta(description="What was found.")]
    known: Annotated[bool, Meta(description="True where it is broken; false where it cannot be checked.")]
    fails: Annotated[bool, Meta(description="Whether the answer is no for its sake.")]


class DiffDocument(Document, tag_field="schema", tag="zenplan.diff/1"):
    """Answer of 'zenplan diff'.

    Two plans beside each other. Quantities are in base units, named by the suffix; ratios are of one; null is not
    known, never 0.
    """

    zenplan_version: Annotated[Name, Meta(description="The release that compared them.")]
    today: Annotated[Day, Meta(description="The day they were compared, ISO 8601.")]
    verdict: Annotated[Name, Meta(description="The answer in a sentence or two.")]
    passes: Annotated[bool, Meta(description="Whether every rule is kept; true without rules.")]
    same: Annotated[bool, Meta(description="Whether nothing differs.")]
    old: Annotated[SideDocument, Meta(description="The plan that was there.")]
    new: Annotated[SideDocument, Meta(description="The plan that is compared with it.")]
    findings: Annotated[tuple[FindingDocument, ...], Meta(description="Rules that are broken, or cannot be checked.")]
    figures: Annotated[tuple[FigureDocument, ...], Meta(min_length=1, description="Of the recommended plans.")]
    recommended: Annotated[
        tuple[DiffersDocument, ...],
        Meta(description="Of the recommended plans: hardware, layout, whether they meet what was asked."),
    ]
    request: Annotated[tuple[DiffersDocument, ...], Meta(description="Flags that differ.")]
    inputs: Annotated[tuple[DiffersDocument, ...], Meta(description="Inputs and assumptions that differ.")]
    prices: Annotated[tuple[PriceDiffersDocument, ...], Meta(description="Prices that differ.")]


def document(
    found: Comparison, findings: tuple[Finding, ...], failing: tuple[Finding, ...], verdict: str, today: date
) -> DiffDocument:
    """The comparison and what its rules found."""
    return DiffDocument(
        zenplan_version=__version__,
        today=today.isoformat(),
        verdict=verdict,
        passes=not failing,
        same=found.same,
        old=_side(found.old),
        new=_side(found.new),
        findings=tuple(fill(FindingDocument, each, fails=each in failing) for each in findings),
        figures=tuple(map(figure_document, found.figures)),
        recommended=_all(tuple(each for each in (found.hardware, found.layout, found.met) if each)),
        request=_all(found.request),
        inputs=_all(found.inputs),
        prices=tuple(map(_price, found.prices)),
    )


def figure_document(figure: Figure) -> FigureDocument:
    """The figure in base units."""
    return fill(
        FigureDocument,
        figure,
        old=fill(RangeDocument, figure.old) if figure.old else None,
        new=fill(RangeDocument, figure.new) if figure.new else None,
        change_ratio=figure.ratio,
        new_in_old_range=figure.inside,
    )


def _all(differ: tuple[Differs, ...]) -> tuple[DiffersDocument, ...]:
    return tuple(fill(DiffersDocument, each) for each in differ)


def _side(side: Side) -> SideDocument:
    return fill(
        SideDocument,
        side.quote,
        name=side.name,
        today=side.document.today,
        zenplan_version=side.document.zenplan_version,
        price_as_of=side.price.as_of if side.price else None,
        met=side.document.met,
    )


def _price(price: PriceDiffers) -> PriceDiffersDocument:
    provider, instance, region, tier = price.place
    return PriceDiffersDocument(
        provider=provider,
        instance=instance,
        region=region,
        tier=tier or None,
        billing=price.billing,
        old_usd_per_h=price.old.usd_per_h if price.old else None,
        old_as_of=price.old.as_of if price.old else None,
        new_usd_per_h=price.new.usd_per_h if price.new else None,
        new_as_of=price.new.as_of if price.new else None,
        gone=price.gone,
    )
