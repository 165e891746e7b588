"""Price tables with a price book on top: rates, discounts, commitments, credits, hardware of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from zenplan import units
from zenplan.domain.market.book import Commitment, Discount, Kind, PriceBook, Rate, Which
from zenplan.domain.market.committed import Committed
from zenplan.domain.market.hardware import Hardware
from zenplan.domain.market.offer import Billing, Instance, Offer, Price, PriceTable, Terms
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import DataError, nearest
from zenplan.planning.money.ownership import hour_facts, usd_per_h
from zenplan.units import DAY_S, HOUR_S

_KINDS: Final = (("on_demand", Billing.ON_DEMAND), ("spot", Billing.SPOT))


def with_book(tables: Sequence[PriceTable], book: PriceBook, today: date) -> tuple[PriceTable, ...]:
    """The tables as the book has them: its rates first, then discounts on all but those, then what it adds.

    Raises:
        DataError: it names a machine that no table has, and not what is in it.
    """
    named = {table.provider: table for table in tables}
    for rate in book.rates:
        table = named.get(rate.which.provider) or PriceTable(provider=rate.which.provider, offers=())
        if rate.as_of and rate.as_of > today:
            raise DataError(f"{rate.source}: as_of {rate.as_of} is in the future; today is {today}")
        try:
            named[table.provider] = _with_rate(table, rate)
        except DataError as error:
            said = error.message.startswith(rate.source)
            raise error if said else DataError(f"{rate.source}: {error.message}", error.hint) from error
    for discount in book.discounts:
        _known(named, discount.which.provider, discount.source)
        named[discount.which.provider] = _with_discount(named[discount.which.provider], discount, book, today)
    for commitment in book.commitments:
        _known(named, commitment.which.provider, commitment.source)
        table = named[commitment.which.provider]
        named[table.provider] = _with_commitment(table, commitment, today)
    for provider in dict.fromkeys(credit.provider for credit in book.credits):
        _known(named, provider, f"{book.name}: [[credit]]")
        named[provider] = _with_credits(named[provider], book, today)
    for hardware, network in book.hardware:
        table = named.get(hardware.name) or PriceTable(provider=hardware.name, offers=())
        named[table.provider] = replace(table, offers=(*table.offers, _owned(hardware, network, book, today)))
    return tuple(named.values())


def _known(named: dict[str, PriceTable], provider: str, source: str) -> None:
    if provider not in named:
        raise DataError(f"{source}: no price table is of '{provider}'", "'zenplan prices' lists the providers")


def _unknown(table: PriceTable, source: str, which: Which) -> DataError:
    near = nearest(which.instance or "", {offer.instance.name for offer in table.offers})
    known = f"did you mean {' or '.join(near)}? " if near else ""
    hint = f"{known}'zenplan prices' lists them; a [[rate]] with instance, gpu and gpus makes a new one"
    return DataError(f"{source}: no price table has {which}", hint)


# --- rates and discounts


def _with_rate(table: PriceTable, rate: Rate) -> PriceTable:
    which = rate.which
    if any(map(which.matches, table.offers)):
        offers = tuple(_rated(offer, rate) if which.matches(offer) else offer for offer in table.offers)
        return replace(table, offers=offers)
    # The machine is known from elsewhere, or the book says what is in it.
    like = next((o for o in table.offers if o.instance.name == which.instance), None)
    if like is not None and which.accelerator in (None, like.instance.accelerator):
        found = replace(like, region=which.region or "any", tier=which.tier or "", derived=())
        return replace(table, offers=(*table.offers, _rated(found, rate, new=True)))
    if which.instance is None or which.accelerator is None or rate.devices is None:
        raise _unknown(table, rate.source, which)
    machine = Instance(
        provider=table.provider,
        name=which.instance,
        accelerator=which.accelerator,
        devices=rate.devices,
        network_bytes_per_s=rate.network_bytes_per_s,
    )
    offer = Offer(
        instance=machine,
        region=which.region or "any",
        tier=which.tier or "",
        on_demand=_price(rate.on_demand_usd, rate, rate.devices),
        spot=_price(rate.spot_usd, rate, rate.devices),
    )
    return replace(table, offers=(*table.offers, offer))


def _price(usd: float | None, rate: Rate, devices: int) -> Price | None:
    if usd is None:
        return None
    return Price(usd_per_h=usd * (devices if rate.per_device else 1), as_of=rate.as_of, source=rate.source)


def _rated(offer: Offer, rate: Rate, new: bool = False) -> Offer:
    on_demand, spot = (_price(usd, rate, offer.instance.devices) for usd in (rate.on_demand_usd, rate.spot_usd))
    if new:
        return replace(offer, on_demand=on_demand, spot=spot)
    return replace(offer, on_demand=on_demand or offer.on_demand, spot=spot or offer.spot, guess="")


def _with_discount(table: PriceTable, discount: Discount, book: PriceBook, today: date) -> PriceTable:
    percent, which = units.percent(discount.share), discount.which
    if discount.until and today > discount.until:
        return _left_out(table, f"{discount.source}: {percent} off {which} was until {discount.until}")
    if discount.since and today < discount.since:
        return _left_out(table, f"{discount.source}: {percent} off {which} is from {discount.since}")
    offers: list[Offer] = []
    for offer in table.offers:
        if not which.matches(offer):
            offers.append(offer)
        elif discount.term_s is None:
            offers.append(_less(offer, discount, book))
        else:
            offers += [offer, _for_a_term(_less(offer, discount, book), table, discount.term_s)]
    return replace(table, offers=tuple(offers))


def _less(offer: Offer, discount: Discount, book: PriceBook) -> Offer:
    """The offer at a share less, but for what the book has a rate of."""
    prices: dict[str, Price | None] = {"on_demand": offer.on_demand, "spot": offer.spot}
    facts: list[Fact] = []
    for name, billing in _KINDS:
        price = offer.price(billing)
        if price is None or discount.billing not in (None, billing) or price.source.startswith(book.name):
            continue
        usd = price.usd_per_h * (1.0 - discount.share)
        until = f" until {discount.until}" if discount.until else ""
        less = f"{units.percent(discount.share)} less{until}"
        prices[name] = replace(price, usd_per_h=usd, source=f"{discount.source}: {less} than {price.source}")
        value = f"{units.usd(price.usd_per_h)}/h, {less}"
        facts.append(Fact(name=f"{billing} price", value=value, origin=Origin.GIVEN, why=discount.source))
    derived = (*offer.derived, *facts)
    return replace(offer, on_demand=prices["on_demand"], spot=prices["spot"], derived=derived)


def _for_a_term(offer: Offer, table: PriceTable, term_s: float) -> Offer:
    """The same, paid for a whole term."""
    length = units.duration(term_s)
    bound = replace(_terms(table, offer), committed=Committed(what=f"discount for {length}", term_s=term_s))
    return replace(offer, tier=f"{offer.tier} {length} term".strip(), spot=None, terms=bound)


def _terms(table: PriceTable, offer: Offer) -> Terms:
    known = offer.terms or (table.terms and table.terms.of(offer.instance.name))
    return known or Terms(provider=table.provider, source="not known")


# --- commitments


def _with_commitment(table: PriceTable, commitment: Commitment, today: date) -> PriceTable:
    which, begins = commitment.which, commitment.since
    like = [offer for offer in table.offers if which.matches(offer) and (offer.on_demand or commitment.share is None)]
    if not like:
        raise _unknown(table, commitment.source, commitment.which)
    ends = begins + timedelta(seconds=commitment.term_s) if begins else None
    block = commitment.kind is Kind.CAPACITY_BLOCK
    if ends and today >= ends:
        return _left_out(table, f"{commitment.source}: the {commitment.kind} of {which} was until {ends}")
    if begins and today < begins and not block:
        return _left_out(table, f"{commitment.source}: the {commitment.kind} of {which} is from {begins}")
    # One machine in several places is one commitment: the first of them where the book names none.
    chosen = like if commitment.share is not None else like[:1]
    offers = [found for offer in chosen if (found := _committed(table, offer, commitment, today, ends))]
    return replace(table, offers=(*table.offers, *offers))


def _committed(table: PriceTable, offer: Offer, commitment: Commitment, today: date, ends: date | None) -> Offer | None:
    """The offer under the commitment; None where the sum of dollars that is committed is less than one machine.

    Args:
        table: that it is in.
        offer: as it is listed.
        commitment: what is paid for it.
        today: what is left of a commitment is from today on.
        ends: its last day; None where it is still to be bought.
    """
    term_h, terms = commitment.term_s / HOUR_S, _terms(table, offer)
    listed = offer.on_demand.usd_per_h if offer.on_demand else 0.0
    hourly = commitment.usd_per_h if commitment.usd_per_h is not None else listed * (1.0 - (commitment.share or 0.0))
    machines = commitment.machines
    if machines is None:
        machines = int((commitment.committed_usd_per_h or 0.0) / hourly) if hourly else 0
    if not machines:
        return None
    upfront = commitment.upfront_usd / term_h
    usd = hourly + upfront / machines
    block = commitment.kind is Kind.CAPACITY_BLOCK
    begins = max(commitment.since or today, today)
    longest_s = (ends - begins).days * DAY_S if ends else None
    if block:
        longest_s = min(longest_s or commitment.term_s, commitment.term_s)
    return replace(
        offer,
        tier=str(commitment.kind),
        on_demand=Price(usd_per_h=usd, as_of=today, source=commitment.source),
        spot=None,
        terms=replace(
            terms,
            minimum_s=max(terms.minimum_s, commitment.term_s) if block else terms.minimum_s,
            longest_s=longest_s,
            committed=None
            if block
            else _bound(commitment, (commitment.committed_usd_per_h or hourly * machines) + upfront),
        ),
        machines=machines,
        whole=block,
        derived=tuple(_facts(commitment, machines, hourly, usd, ends)),
        guess="",
    )


def _bound(commitment: Commitment, usd_per_h: float) -> Committed:
    """What is paid of it whatever a run uses: the rest of one that has begun is paid without any run."""
    what = f"{commitment.kind} for {units.duration(commitment.term_s)}"
    term_s = None if commitment.since else commitment.term_s
    return Committed(what=what, term_s=term_s, usd_per_h=usd_per_h)


def _facts(commitment: Commitment, machines: int, hourly: float, usd: float, ends: date | None) -> Iterator[Fact]:
    """How the price of a commitment was made.

    Args:
        commitment: that it is of.
        machines: that are paid for.
        hourly: of one machine beside what is paid upfront.
        usd: of one machine, with that.
        ends: the last day; None where it is still to be bought.
    """
    given, term = Origin.GIVEN, units.duration(commitment.term_s)
    when = f"from {commitment.since} to {ends}" if ends else "still to be bought"
    yield Fact(name=str(commitment.kind), value=f"{machines} machines for {term}, {when}", origin=given)
    if commitment.upfront_usd:
        yield Fact(name="upfront", value=units.usd(commitment.upfront_usd), origin=given, why="for all machines")
    share = f"{units.percent(commitment.share)} off the list" if commitment.share else "beside what is paid upfront"
    yield Fact(name="rate", value=f"{units.usd(hourly)}/h a machine", origin=given, why=share)
    why = "the rate, and what is paid upfront over all hours of the term"
    yield Fact(name="an hour", value=f"{units.usd(usd)}/h a machine", origin=Origin.DERIVED, why=why)
    if ends is None or commitment.kind is Kind.CAPACITY_BLOCK:
        yield Fact(name="billed", value=f"at least {term}", origin=given, why="paid for whether it is used or not")


# --- credits and hardware


def _with_credits(table: PriceTable, book: PriceBook, today: date) -> PriceTable:
    own = [credit for credit in book.credits if credit.provider == table.provider]
    live = tuple(credit for credit in own if not credit.until or credit.until >= today)
    for gone in own:
        if gone not in live:
            table = _left_out(table, f"{gone.source}: {units.usd(gone.usd)} expired on {gone.until}")
    if not live:
        return table
    whole = table.terms or Terms(provider=table.provider, source="not known")
    exceptions = tuple((beginning, replace(own, credits=live)) for beginning, own in whole.exceptions)
    offers = tuple(replace(o, terms=replace(o.terms, credits=live)) if o.terms else o for o in table.offers)
    return replace(table, terms=replace(whole, credits=live, exceptions=exceptions), offers=offers)


def _owned(hardware: Hardware, network: float | None, book: PriceBook, today: date) -> Offer:
    machine = Instance(
        provider=hardware.name,
        name=f"machine x{hardware.devices}" if hardware.devices > 1 else "machine",
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        network_bytes_per_s=network,
    )
    # What stores the data, and the line out, are bought with the machines, or with hosting.
    terms = Terms(
        provider=hardware.name,
        granularity_s=1.0,
        storage_usd_per_byte_s=0.0,
        disk_usd_per_byte_s=0.0,
        egress_usd_per_byte=0.0,
        ingress_usd_per_byte=0.0,
        pue=hardware.pue,
        source=f"{book.name}: hardware of one's own",
    )
    price = Price(usd_per_h=usd_per_h(hardware), as_of=today, source=f"{book.name}: hardware of one's own")
    return Offer(
        instance=machine,
        region="any",
        on_demand=price,
        terms=terms,
        machines=hardware.machines,
        derived=hour_facts(hardware),
    )


def _left_out(table: PriceTable, why: str) -> PriceTable:
    return replace(table, left_out=(*table.left_out, why))
