"""Two plans beside each other: what of the second is other than in the first, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zenplan import documents, units
from zenplan.commands.estimate.document import EstimateDocument
from zenplan.commands.estimate.quote_document import BillDocument, PriceDocument, QuoteDocument
from zenplan.commands.shared.document import RangeDocument
from zenplan.commands.shared.options import FLAGS
from zenplan.domain.market.offer import Billing, Offer
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Layout
from zenplan.errors import UsageError

# Provider, instance, region and tier: what an offer is known by.
Place = tuple[str, str, str, str]
# Less of a change is the rounding of what was written.
_NO_CHANGE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two plans.

    Attributes:
        name: how it is called, the file's name.
        document: the plan as it is published.
        offers: of today's price tables, where the plan was estimated now; None where it was saved.
    """

    name: str
    document: EstimateDocument
    offers: Mapping[Place, Offer] | None = None

    @property
    def quote(self) -> QuoteDocument:
        """The recommended one, or the nearest."""
        return self.document.quotes[0]

    @property
    def bill(self) -> BillDocument | None:
        """Of that quote, under the billing kind that the plan is ranked by."""
        return next((b for b in self.quote.bills if b.billing == self.document.billing), None)

    @property
    def price(self) -> PriceDocument | None:
        """The price that the bill rests on."""
        return price_of(self.quote, self.document.billing)

    @property
    def hardware(self) -> str:
        """What the plan runs on, in words."""
        quote = self.quote
        tier = f" ({quote.tier})" if quote.tier and quote.tier not in tuple(Billing) else ""
        region = f", {quote.region}" if quote.region != "any" else ""
        machines = f"{quote.machines:,} × {quote.provider} {quote.instance}{tier}{region}"
        return f"{quote.devices:,} × {quote.accelerator} ({machines})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of both plans; None where it is not known.

    Attributes:
        name: with its unit, as in ``total_usd``.
        what: for people.
    """

    name: str
    what: str
    old: Range | None
    new: Range | None

    @property
    def change(self) -> float | None:
        """New less old, at the middles."""
        return self.new.mid - self.old.mid if self.old and self.new else None

    @property
    def ratio(self) -> float | None:
        """That change as a share of the old middle; None of zero too."""
        return self.change / self.old.mid if self.change is not None and self.old and self.old.mid else None

    @property
    def changed(self) -> bool:
        """Whether the middles differ, or one alone is known."""
        if self.old is None or self.new is None:
            return self.old is not self.new
        return _apart(self.old.mid, self.new.mid)

    @property
    def spread_changed(self) -> bool:
        """Whether an end of the range differs."""
        if self.old is None or self.new is None:
            return False
        return _apart(self.old.low, self.new.low) or _apart(self.old.high, self.new.high)

    @property
    def inside(self) -> bool | None:
        """Whether the new middle lies within the old range; None where there is no range."""
        if self.old is None or self.new is None or self.old.low == self.old.high:
            return None
        return self.old.low <= self.new.mid <= self.old.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Differs:
    """A text of both plans that differs; None in the one that does not have it."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceDiffers:
    """The price of one offer under one billing kind in both; None where it is not known.

    Attributes:
        gone: whether the new plan was estimated now, and nobody offers that any more.
    """

    place: Place
    billing: Billing
    old: PriceDocument | None
    new: PriceDocument | None
    gone: bool

    @property
    def offer(self) -> str:
        """What is rented, in words."""
        provider, instance, region, tier = self.place
        return f"{provider} {instance}{f' ({tier})' if tier else ''}{f', {region}' if region != 'any' else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two plans, and all that differs.

    Attributes:
        figures: of the recommended plans, changed or not; the first two are dollars and time of all that was given:
            runs, experiments, data.
        hardware, layout: what the recommended plans run on and how; None where that is the same.
        inputs: that differ, by their names.
        request: flags that differ, by their names.
        prices: that differ, of what both plans quote; of what the old one quotes where the new one was estimated now.
        met: whether deadline, budget and horizon are met, where that differs.
    """

    old: Side
    new: Side
    figures: tuple[Figure, ...]
    hardware: Differs | None
    layout: Differs | None
    inputs: tuple[Differs, ...]
    request: tuple[Differs, ...]
    prices: tuple[PriceDiffers, ...]
    met: Differs | None

    def figure(self, name: str) -> Figure:
        """The figure of that name."""
        return next(figure for figure in self.figures if figure.name == name)

    @property
    def same(self) -> bool:
        """Whether nothing differs at all."""
        return not any(
            (
                any(figure.changed or figure.spread_changed for figure in self.figures),
                self.hardware,
                self.layout,
                self.inputs,
                self.request,
                self.prices,
                self.met,
            )
        )


def _apart(old: float, new: float) -> bool:
    return abs(new - old) > _NO_CHANGE * max(abs(old), abs(new))


def compare(old: Side, new: Side) -> Comparison:
    """The second plan beside the first."""
    return Comparison(
        old=old,
        new=new,
        figures=tuple(_figures(old, new)),
        hardware=_differs("recommended plan", old.hardware, new.hardware),
        layout=_differs("layout", _layout(old), _layout(new)),
        inputs=tuple(_inputs(old.document, new.document)),
        request=tuple(_request(old.document.request, new.document.request)),
        prices=tuple(_prices(old, new)),
        met=_differs("what was asked for", _met(old), _met(new)),
    )


def _figures(old: Side, new: Side) -> Iterator[Figure]:
    def figure(name: str, what: str, of: Any) -> Figure:
        return Figure(name=name, what=what, old=_range(of(old)), new=_range(of(new)))

    def of_bill(name: str) -> Any:
        return lambda side: getattr(side.bill, name, None)

    # What is spent is the bill of the project, which the budget is for; without one around the run both are the same.
    yield figure("total_usd", "dollars", lambda side: side.document.project.total_usd)
    yield figure("wall_clock_s", "wall-clock time", lambda side: side.document.project.wall_clock_s)
    yield figure("run_usd", "dollars of a run", of_bill("total_usd"))
    yield figure("run_wall_clock_s", "time of a run", of_bill("wall_clock_s"))
    yield figure("gpu_hours", "GPU-hours", lambda side: _of_all_runs(side, getattr(side.bill, "gpu_hours", None)))
    yield figure("kwh", "energy", lambda side: _of_all_runs(side, getattr(side.quote.energy, "kwh", None)))
    yield figure("co2e_kg", "CO2e", lambda side: _of_all_runs(side, getattr(side.quote.energy, "co2e_kg", None)))
    yield figure("memory_bytes", "memory of a device", lambda side: side.quote.memory.total_bytes)
    yield figure("devices", "devices", lambda side: side.quote.devices)
    yield figure("usd_per_h", "price of the machines", _usd_per_h)


def _of_all_runs(side: Side, of_one: RangeDocument | None) -> Range | None:
    """As many times as the project's runs are longer than one."""
    if of_one is None or side.bill is None or not side.bill.wall_clock_s.mid:
        return None
    one = Range(low=of_one.low, mid=of_one.mid, high=of_one.high)
    return one * (side.document.project.wall_clock_s.mid / side.bill.wall_clock_s.mid)


def _usd_per_h(side: Side) -> float | None:
    return side.price.usd_per_h * side.quote.machines if side.price else None


def _range(value: RangeDocument | Range | float | None) -> Range | None:
    if isinstance(value, Range):
        return value
    if isinstance(value, RangeDocument):
        return Range(low=value.low, mid=value.mid, high=value.high)
    return None if value is None else Range.exactly(value)


def _layout(side: Side) -> str:
    parts = documents.plain(side.quote.layout)
    return str(documents.convert(parts, Layout, f"plan {side.name}"))


def _met(side: Side) -> str:
    if not side.document.met:
        return "missed"
    asked = side.document.deadline_s is not None or side.document.budget_usd is not None
    return "met" if asked else "not asked for"


def _differs(name: str, old: str | None, new: str | None) -> Differs | None:
    return None if old == new else Differs(name=name, old=old, new=new)


def _inputs(old: EstimateDocument, new: EstimateDocument) -> Iterator[Differs]:
    """Inputs and what is trained, by name: a name that comes twice counts with all its values."""
    before, after = _facts(old), _facts(new)
    for name in dict.fromkeys((*before, *after)):
        if found := _differs(name, before.get(name), after.get(name)):
            yield found


def _facts(document: EstimateDocument) -> dict[str, str]:
    found = {"model": document.workload.name, "steps": units.count(document.plan.steps)}
    for fact in document.inputs:
        value = f"{fact.value} ({fact.origin})"
        found[fact.name] = f"{found[fact.name]}; {value}" if fact.name in found else value
    return found


def _request(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Differs]:
    """Flags that stand for different requests: 7B is 7e9."""
    for name in dict.fromkeys((*old, *new)):
        if not (name in old and name in new and _parsed(name, old[name]) == _parsed(name, new[name])):
            was, now = (_text(request[name]) if name in request else None for request in (old, new))
            yield Differs(name=name, old=was, new=now)


def _parsed(name: str, given: Any) -> Any:
    flag = FLAGS.get(name)
    if flag is None or flag.parse is None or given is None:
        return given
    try:
        return flag.parse(given, flag.flag)
    except UsageError:
        return given


def _text(given: Any) -> str:
    if given is None:
        return "a model built in Python"
    if isinstance(given, Mapping):
        return f"a configuration with {len(given)} entries"
    if isinstance(given, bool):
        return "yes" if given else "no"
    return ", ".join(given) if isinstance(given, list | tuple) else str(given)


# --- prices


def price_of(quote: QuoteDocument, billing: Billing) -> PriceDocument | None:
    """What a machine of the quote costs under that billing kind."""
    return quote.prices.on_demand if billing is Billing.ON_DEMAND else quote.prices.spot


def place_of(quote: QuoteDocument) -> Place:
    """The offer that the quote is of."""
    return quote.provider, quote.instance, quote.region, quote.tier or ""


def _prices(old: Side, new: Side) -> Iterator[PriceDiffers]:
    before = {place_of(quote): quote for quote in old.document.quotes}
    after = {place_of(quote): quote for quote in new.document.quotes}
    for place, quote in before.items():
        gone = new.offers is not None and place not in new.offers
        if not gone and new.offers is None and place not in after:
            continue
        for billing in Billing:
            was, now = price_of(quote, billing), _price_now(new, after, place, billing)
            if (was.usd_per_h if was else None) != (now.usd_per_h if now else None):
                yield PriceDiffers(place=place, billing=billing, old=was, new=now, gone=gone)


def _price_now(new: Side, after: Mapping[Place, QuoteDocument], place: Place, billing: Billing) -> PriceDocument | None:
    if place in after:
        return price_of(after[place], billing)
    offer = (new.offers or {}).get(place)
    price = offer.price(billing) if offer else None
    if price is None:
        return None
    as_of = price.as_of.isoformat() if price.as_of else None
    return PriceDocument(usd_per_h=price.usd_per_h, as_of=as_of, source=price.source)
