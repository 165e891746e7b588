"""What ``zenplan buy`` answers: both bills of a year, the rents, every assumption and how far it moves the answer."""

from __future__ import annotations

from datetime import date
from typing import Any

from zenplan import units
from zenplan.commands.shared.ages import seen
from zenplan.domain.answer.purchase import Purchase, Rent, Shift
from zenplan.domain.report import Column, Report, Table

_NEVER = "never"


def purchase_report(found: Purchase, today: date) -> Report:
    """The answer of that day."""
    guesses = {rent.kind: rent.offer.guess for rent in found.rents if rent.offer.guess}
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _document(found).rents,
        verdict=_verdict(found),
        tables=(_rents(found, today), _owning(found), _assumptions(found)),
        notes=(
            "A year is 8,766 hours; the rent is paid for the hours in use alone. Months are until the rent that is not "
            "paid has paid for the purchase, without interest and resale.",
            *(f"{kind}: a guess, {why}." for kind, why in guesses.items()),
            "Not counted: taxes, the wait for delivery, and that rents fall while what was bought stays what it is.",
        ),
    )


def _document(found: Purchase) -> Any:
    from zenplan.commands.buy.document import document

    return document(found)


def _verdict(found: Purchase) -> str:
    own, best = found.hardware, found.best
    what = f"{found.devices} × {own.accelerator}"
    used, rent = units.percent(own.utilisation), f"{best.offer.instance.provider} {best.offer.instance.name}"
    rent += " (a guess)" if best.offer.guess else ""
    if not found.price_given:
        return (
            f"{what} are worth up to {units.usd(found.price_usd)} at {used} of all hours for {own.years:g} years: below "
            f"that, buying is cheaper than {units.usd(best.usd_per_h)}/h at {rent}."
        )
    yearly = f"{units.usd(found.usd_per_year)} a year at {used} of all hours"
    other = f"{units.usd(best.usd_per_year)} at {rent}"
    saved = units.usd(abs(found.usd_per_year - best.usd_per_year))
    first = f"{what} for {units.usd(found.price_usd)} cost {yearly}; the same hours rented, {other}."
    second = f"{'Buying' if found.cheaper == 'buy' else 'Renting'} is cheaper by {saved} a year."
    if best.even_utilisation is None:
        return f"{first} {second} Buying never breaks even against that rent, not even at 100 %."
    months = ""
    if best.even_months:
        within = best.even_months <= 12.0 * own.years
        months = f", {_months(best)}" if within else f", but not within its {own.years:g} years"
        months += f" at {used}"
    return f"{first} {second} It breaks even at {units.percent(best.even_utilisation)} of all hours{months}."


def _months(rent: Rent) -> str:
    return f"after {rent.even_months:.3g} months" if rent.even_months is not None else _NEVER


def _even(share: float | None) -> str:
    return _NEVER if share is None else units.percent(share)


def _rents(found: Purchase, today: date) -> Table:
    rows = []
    for rent in found.rents:
        instance, price = rent.offer.instance, rent.offer.on_demand
        region = "" if rent.offer.region == "any" else f", {rent.offer.region}"
        where = f"{rent.machines} × {instance.provider} {instance.name}{region}"
        lines = (rent.kind, where, seen(price, today) if price else "", rent.offer.guess and "a guess")
        rows.append(
            (
                "\n".join(filter(None, lines)),
                units.usd(rent.usd_per_h / found.devices),
                units.usd(rent.usd_per_year),
                _even(rent.even_utilisation),
                _NEVER if rent.even_months is None else f"{rent.even_months:.3g}",
                units.usd(rent.worth_usd),
            )
        )
    own = units.usd(found.usd_per_year / (found.devices * found.hardware.utilisation * 8766.0))
    rows.append(("of one's own", own, units.usd(found.usd_per_year), "", "", units.usd(found.price_usd)))
    names = ("GPU-h", "a year", "even at", "months", "worth")
    columns = (Column(name="cheapest rent"), *(Column(name=name, numeric=True) for name in names))
    return Table(
        columns=columns, rows=tuple(rows), caption="even at: share of all hours from which on buying is cheaper"
    )


def _owning(found: Purchase) -> Table:
    columns = (Column(name="one machine"), Column(name="value", numeric=True), Column(name="how"))
    rows = tuple((fact.name, fact.value, fact.why) for fact in found.parts)
    machines = found.hardware.machines
    title = f"Owning: {machines} machine{'s' * (machines > 1)} of {found.hardware.devices} devices"
    return Table(title=title, columns=columns, rows=rows)


def _assumptions(found: Purchase) -> Table:
    rows = tuple(
        (
            f"{each.input}: {each.value}",
            f"{each.origin}{': ' if each.why else ''}{each.why}",
            *(_shift(shift) for shift in each.shifts),
        )
        for each in found.assumptions
    )
    columns = (Column(name="input"), Column(name="origin"), Column(name="lower"), Column(name="higher"))
    return Table(
        title="What it rests on, and what other values make of it",
        columns=columns,
        rows=rows,
        caption="dollars a year of owning, and the utilisation at which it breaks even with the cheapest rent",
    )


def _shift(shift: Shift) -> str:
    return f"{shift.value}: {units.usd(shift.usd_per_year)}, {_even(shift.even_utilisation)}"
