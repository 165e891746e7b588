"""The sections of the page, each from the published document: JSON types, with whatever parts there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from zenplan import units
from zenplan.adapters.page import figures, frontier
from zenplan.adapters.page.figures import Object
from zenplan.adapters.page.markup import Markup, clean, element, joined
from zenplan.adapters.page.tables import Part, pairs, parts_table, stacked_table, with_range
from zenplan.domain.answer.estimate import BILLS_HELD
from zenplan.domain.market.offer import OLD_DAYS

_KINDS: Final = {"full": "Training", "lora": "LoRA fine-tuning of", "qlora": "QLoRA fine-tuning of"}
# More of them are for programs, which read the document.
_MOST_ROWS: Final = 60
# Parts of the time that are less than this share of it are put together.
_SMALL: Final = 0.01
# A project that costs more than so many times its run is told beside it.
_MORE: Final = 1.005
_LABELS: Final = ("recommended", "nearest", "cheapest", "fastest")


def title(document: Object) -> str:
    """What is trained on how much."""
    load, plan = document["workload"], document["plan"]
    kind = _KINDS.get(plan["method"], f"{plan['method']} of")
    return f"{kind} {load['name']} on {units.count(plan['tokens'])} {load['unit']}"


def section(name: str, heading: str, *children: Markup | None, lead: str = "") -> Markup:
    """A section with its heading, and a sentence under it."""
    return element(
        "section",
        element("h2", heading, id=name),
        element("p", lead, class_="lead") if lead else None,
        *children,
        aria_labelledby=name,
        class_=name,
    )


def bill_of(document: Object, quote: Object, billing: str = "") -> Object | None:
    """The bill of a quote by which it is ranked, or the one there is."""
    wanted = billing or document["billing"]
    bills: Sequence[Object] = quote["bills"]
    return next((b for b in bills if b["billing"] == wanted), None if billing or not bills else bills[0])


def _price(quote: Object, billing: str) -> Object | None:
    found: Object | None = quote["prices"].get(billing)
    return found


# --- the verdict


def verdict(document: Object) -> Markup:
    """The first plan: dollars, time, the day it ends; where, and how old its price is."""
    quote = document["quotes"][0]
    bill = bill_of(document, quote)
    wall, total = (bill["wall_clock_s"], bill["total_usd"]) if bill else (None, None)
    finish, money = document["finish"], figures.money_of(document)
    numbers = [
        ("Cost", money.text(total), money.span(total)),
        ("Time", figures.time(wall), figures.time_span(wall)),
        *([("Done on", figures.short_day(finish), "if it starts as soon as it was asked")] if finish else []),
    ]
    return element(
        "section",
        element("h2", "Verdict", id="verdict", class_="unseen"),
        element("dl", *(_number(*each) for each in numbers), class_="numbers"),
        element("p", _sentence(document, quote, bill), class_="sentence"),
        _around(document, bill),
        *(element("p", line) for line in document["judgement"][:_MOST_ROWS]),
        element("p", document["verdict"], class_="met" if document["met"] else "missed")
        if document["verdict"]
        else None,
        _helps(document["would_help"]),
        element(
            "p",
            "The range under each figure runs from the 10th to the 90th percentile: one run in ten ends below it, one "
            f"in ten above. It rests on {quote['evidence']}.{_held_bills(total)}{_rate(document)}",
            class_="lead",
        ),
        aria_labelledby="verdict",
        class_="verdict",
    )


def _held_bills(total: Object | None) -> str:
    """How often ranges of bills held, where there is a bill."""
    held = f" Of published bills, each of another maker, {units.percent(BILLS_HELD)} ended within such a range."
    return held if total else ""


def _helps(ways: Sequence[Object]) -> Markup | None:
    """What would meet the wishes that nothing meets."""
    if not ways:
        return None
    lines = (element("li", element("strong", way["change"]), f": {way['text']}") for way in ways[:_MOST_ROWS])
    return element("div", element("p", "What would meet that:"), element("ul", *lines), class_="helps")


def _around(document: Object, bill: Object | None) -> Markup | None:
    """What the project around the run costs, where that is more."""
    found, show = document["project"], figures.money_of(document)
    total = figures.middle(found["total_usd"])
    one = figures.middle(bill["total_usd"]) if bill else None
    if total is None or one is None or total <= one * _MORE:
        return None
    span = show.span(found["total_usd"])
    told = f": {show.text(total)}{f' ({span})' if span else ''}, {figures.time(found['wall_clock_s'])} of runs."
    return element("p", element("strong", "The project around it"), told)


def _rate(document: Object) -> str:
    """At which rate amounts are shown in another currency."""
    currency = document["currency"]
    if currency is None:
        return ""
    seen = f"of {figures.day(currency['as_of'])}" if currency["as_of"] else "of no date"
    whose = clean(currency.get("source", "as given"), 200)
    return f" Amounts are in {currency['code']}: $1 is {currency['per_usd']:g}; {whose}, {seen}."


def _number(name: str, amount: str, span: str) -> Markup:
    return element("div", element("dt", name), element("dd", amount), element("dd", span, class_="span"))


def _sentence(document: Object, quote: Object, bill: Object | None) -> Markup:
    name = quote["labels"][0].capitalize() if quote["labels"] else "The plan"
    paid = f", paid {bill['billing']}" if bill else ""
    text = f": {figures.machines(quote)}, rented as {figures.place(quote)}{paid}. "
    price = _price(quote, bill["billing"]) if bill else None
    return joined((element("strong", name), text, _price_told(document, price)))


def _price_told(document: Object, price: Object | None) -> Markup:
    """The price of a machine, and how old it is."""
    if price is None:
        return joined(("Its price is not known.",))
    dated = "was seen " if price["as_of"] else "has "
    told = f"A machine costs {units.usd(price['usd_per_h'])} an hour; that price {dated}"
    return joined((told, _seen(document, price), "."))


def _seen(document: Object, price: Object) -> Markup:
    """When a price was seen; an old one stands out."""
    old = figures.is_old(price["as_of"], document["today"])
    return element("span", figures.seen(price["as_of"], document["today"]), class_="old" if old else None)


# --- plans


def plans(document: Object) -> Markup:
    """The plans that have a name, side by side."""
    quotes = [q for q in document["quotes"] if q["labels"]] or list(document["quotes"][:1])
    first = bill_of(document, document["quotes"][0])
    cards = (_card(document, quote, first) for quote in quotes[: len(_LABELS)])
    return section("plans", "The plans to choose from", element("div", *cards, class_="cards"), lead=document["rule"])


def _card(document: Object, quote: Object, first: Object | None) -> Markup:
    bill = bill_of(document, quote)
    name = ", ".join(quote["labels"]).capitalize() or "The plan"
    rows: list[tuple[str, Any]] = []
    if bill:
        price, money = _price(quote, bill["billing"]), figures.money_of(document)
        rows += [
            ("Cost", with_range(money.text(bill["total_usd"]), money.span(bill["total_usd"]))),
            ("Time", with_range(figures.time(bill["wall_clock_s"]), figures.time_span(bill["wall_clock_s"]))),
            ("GPU-hours", units.count(bill["gpu_hours"]["mid"])),
            ("Paid", bill["billing"]),
            ("Price seen", _seen(document, price) if price else figures.NOT_KNOWN),
        ]
    memory = quote["memory"]
    rows += [
        ("Memory", f"{units.size(memory['total_bytes'])} of {units.size(memory['available_bytes'])}"),
        ("MFU", units.percent(quote["mfu"])),
    ]
    beside = _beside(bill, first)
    return element(
        "article",
        element("h3", name),
        element("p", figures.machines(quote), class_="machines"),
        element("p", figures.place(quote), class_="place"),
        pairs(rows),
        element("p", beside, class_="beside") if beside else None,
        class_=f"card {quote['labels'][0] if quote['labels'] else ''}".strip(),
    )


def _beside(bill: Object | None, first: Object | None) -> str:
    """How it compares with the first plan; empty for that one."""
    if not bill or not first or bill is first:
        return ""
    usd, time = (figures.middle(bill[n]) for n in ("total_usd", "wall_clock_s"))
    first_usd, first_time = (figures.middle(first[n]) for n in ("total_usd", "wall_clock_s"))
    if not usd or not time or not first_usd or not first_time:
        return ""
    return f"{_times(usd / first_usd)} the cost and {_times(time / first_time)} the time of the first"


def _times(ratio: float) -> str:
    return f"{units.significant(ratio, 2)} ×"


def choice(document: Object) -> Markup | None:
    """The frontier: a picture for wide screens and paper, one for narrow screens, and the plans as rows; nothing where
    no price is known."""
    every = _points(document)
    points, money = frontier.drawn(every), figures.money_of(document)
    if not points:
        return None
    limits = {name: document[name] for name in ("deadline_s", "budget_usd")}
    some = "" if len(points) == len(every) else f" {len(points)} of {len(every):,} are drawn."
    return section(
        "frontier",
        "Cost against time",
        element(
            "figure",
            frontier.chart(points, 960, 440, "wide", limits, money),
            frontier.chart(points, 343, 360, "narrow", limits, money),
            element("div", class_="picked", id="picked", hidden=True),
        ),
        element(
            "details",
            element("summary", f"These {len(points)} plans as a table"),
            element(
                "div",
                frontier.table(points, document["today"], money),
                class_="scrolled",
                tabindex="0",
                role="region",
                aria_label="Plans on the frontier",
            ),
        ),
        lead="Each mark is a plan that no other beats in both, or the recommended, for which old prices count twice; "
        f"the lines through it are its ranges.{some}",
    )


def _points(document: Object) -> list[Object]:
    """The plans of the frontier with the names of the quotes that are the same; and named quotes that are not on it."""
    named = {_key(quote): quote for quote in reversed(document["quotes"]) if quote["labels"]}
    points = [{**p, "labels": p["labels"] or named.get(_key(p), p)["labels"]} for p in document["frontier"]]
    there = {_key(p) for p in points}
    return [*points, *(_point(document, quote) for key, quote in named.items() if key not in there and quote["bills"])]


def _key(plan: Object) -> tuple[Any, ...]:
    return tuple(plan[name] for name in ("provider", "instance", "region", "machines"))


def _point(document: Object, quote: Object) -> Object:
    bill = bill_of(document, quote) or quote["bills"][0]
    price = _price(quote, bill["billing"])
    own = {name: bill[name] for name in ("total_usd", "wall_clock_s")}
    return {**quote, **own, "price_as_of": price["as_of"] if price else None}


# --- parts


def money(document: Object) -> Markup | None:
    """The bill of the first plan, by whatever parts it has."""
    quote, show = document["quotes"][0], figures.money_of(document)
    bill = bill_of(document, quote)
    if bill is None:
        return None
    parts = (
        _cost(show, figures.described(document["schema"], "BillDocument", name), value, bill["total_usd"])
        for name, value in figures.parts_of(bill, "_usd", ("total_usd",))
    )
    total = Part(name="Together", amount=show.text(bill["total_usd"]), range=show.span(bill["total_usd"]))
    others = (_other(show, b) for b in quote["bills"] if b is not bill)
    return section("money", "Where the money goes", parts_table("The bill by part", parts, total), *others)


def _cost(show: figures.Money, name: str, usd: Any, total: Any, counted: bool = True, note: str = "") -> Part:
    """A line of a bill; what is not known or not counted has no share of the total."""
    amount, whole = figures.middle(usd), figures.middle(total)
    counts = counted and amount is not None
    return Part(
        name=name,
        note=note,
        amount=show.text(usd),
        range=show.span(usd),
        counted=counts,
        share=amount / whole if counts and amount is not None and whole else None,
    )


def _other(show: figures.Money, bill: Object) -> Markup:
    span, wall = show.span(bill["total_usd"]), figures.time(bill["wall_clock_s"])
    told = f"Paid {bill['billing']} instead: {show.text(bill['total_usd'])}{f' ({span})' if span else ''} in {wall}."
    return element("p", told, class_="lead")


def project(document: Object) -> Markup | None:
    """What is paid around the run: experiments, further runs, data, labels; and what is spent in each month."""
    found, show = document["project"], figures.money_of(document)
    costs, months = found["costs"], found["months"]
    if len(costs) < 2 and len(months) < 2:
        return None
    total = found["total_usd"]
    parts = (
        _cost(show, c["name"], c["usd"], total, c["counted"], f"{c['origin']}: {c['why']}" if c["why"] else c["origin"])
        for c in costs[:_MOST_ROWS]
    )
    whole = Part(
        name="Together",
        note=f"{figures.time(found['wall_clock_s'])} for all runs, one after another",
        amount=show.text(total),
        range=show.span(total),
    )
    return section(
        "project",
        "The project around the run",
        parts_table("The project by cost", parts, whole),
        _months(show, months),
    )


def _months(show: figures.Money, months: Sequence[Object]) -> Markup | None:
    if len(months) < 2:
        return None
    spent = sum(month["usd"] for month in months)
    rows = (
        Part(name=month["month"], amount=show.text(month["usd"]), share=month["usd"] / spent if spent else None)
        for month in months[:_MOST_ROWS]
    )
    return parts_table("Spent on runs by month", rows, Part(name="Spent on runs", amount=show.text(spent)))


def hours(document: Object) -> Markup | None:
    """The time of the first plan from start to end: the parts of its steps, and all that is no step."""
    quote = document["quotes"][0]
    bill = bill_of(document, quote)
    if bill is None:
        return None
    wall, steady = bill["wall_clock_s"]["mid"], bill["steady_s"]["mid"]
    named = figures.parts_of(quote["step"], "_s", ("total_s",))
    of_step = sum(value for _, value in named) or 1.0
    found = [
        (figures.described(document["schema"], "StepDocument", name), value / of_step * steady) for name, value in named
    ]
    after = [(f"After the training: {each['name']}", each["time_s"]["mid"]) for each in bill.get("followed", ())]
    other = wall - steady - sum(value for _, value in after)
    found += [("Start-up, evaluation, checkpoints, interruptions", max(other, 0.0)), *after]
    large = sorted((f for f in found if f[1] >= _SMALL * wall), key=lambda f: -f[1])
    rest = [value for _, value in found if 0 < value < _SMALL * wall]
    large += [("All else", sum(rest))] if rest else []
    parts = (Part(name=n, amount=figures.time(v), share=v / wall if wall else None) for n, v in large)
    total = Part(name="Together", amount=figures.time(wall), range=figures.short_time_span(bill["wall_clock_s"]))
    return section("hours", "Where the time goes", parts_table("The time by part", parts, total))


def memory(document: Object) -> Markup:
    """The memory of the fullest device, and what is left of it."""
    use = document["quotes"][0]["memory"]
    has, used = use["available_bytes"], use["total_bytes"]
    found = [(n, v) for n, v in figures.parts_of(use, "_bytes", ("total_bytes", "available_bytes")) if v]
    parts = [
        Part(name=figures.described(document["schema"], "MemoryDocument", n), amount=units.size(v), share=v / has)
        for n, v in sorted(found, key=lambda f: -f[1])
    ]
    parts.append(
        Part(name="Free", amount=units.size(max(has - used, 0.0)), share=max(has - used, 0.0) / has, free=True)
    )
    total = Part(name="What the device has", amount=units.size(has))
    return section("memory", "Where the memory goes", parts_table("The memory by part", parts, total))


# --- what it rests on


def assumptions(document: Object) -> Markup:
    """Every input, with where it comes from and why."""
    inputs = document["inputs"]
    rows = (
        (
            fact["name"],
            fact["value"],
            element("span", fact["origin"], class_=f"origin {_word(fact['origin'])}"),
            fact["why"],
        )
        for fact in inputs[:_MOST_ROWS]
    )
    return section(
        "assumptions",
        "What this rests on",
        stacked_table("Inputs of the estimate", ("Input", "Value", "Origin", "Why"), rows, "input-table"),
        *_more(len(inputs)),
    )


def _word(origin: str) -> str:
    return origin.replace(" ", "-")


def _more(there: int) -> Iterator[Markup]:
    if there > _MOST_ROWS:
        yield element("p", f"and {there - _MOST_ROWS:,} more, which the plan's JSON has", class_="lead")


def prices(document: Object) -> Markup:
    """What a machine of each plan costs an hour, when that was seen, and where."""
    rows = {row[:4]: row for quote in document["quotes"] for row in _price_rows(document, quote)}
    lead = (
        f"Ages are as of {figures.day(document['today'])}. A price that is more than {OLD_DAYS} days old or has "
        "no date is marked."
    )
    head = ("Machine", "Paid", "An hour", "Date", "Seen", "Source")
    table = stacked_table("Prices", head, list(rows.values())[:_MOST_ROWS], "price-table")
    return section("prices", "Prices and their age", table, *_more(len(rows)), lead=lead)


def _price_rows(document: Object, quote: Object) -> Iterator[tuple[str, ...]]:
    region = "" if quote["region"] == "any" else f", {quote['region']}"
    machine = f"{quote['provider']} {quote['instance']}{region}"
    found = {billing: price for billing, price in quote["prices"].items() if price}
    if not found:
        yield machine, "", figures.NOT_KNOWN, "", "", ""
    for billing, price in found.items():
        date = price["as_of"] or "–"
        yield machine, billing, units.usd(price["usd_per_h"]), date, _seen(document, price), price["source"]


def notes(document: Object) -> Markup:
    """How much was looked at, and what was left out."""
    compared, left_out = document["compared"], document["left_out"]
    lines = [
        f"Compared {units.many(compared['options'], 'size')} of offers and {units.many(compared['layouts'], 'layout')}; "
        f"on the frontier: {units.many(len(document['frontier']), 'plan')}.",
        *left_out[:_MOST_ROWS],
    ]
    return section("notes", "What was looked at", element("ul", *(element("li", line) for line in lines)))


def derivation(document: Object) -> Markup | None:
    """Every formula and number of the first plan, folded away."""
    lines = document.get("derivation") or ()
    if not lines:
        return None
    rows = ((f"{x['group']}: {x['quantity']}", x["shown"], x["formula"], x["origin"]) for x in lines[: 10 * _MOST_ROWS])
    table = stacked_table("Derivation", ("Quantity", "Value", "Formula", "Origin"), rows)
    return section(
        "derivation",
        "How it was computed",
        element("details", element("summary", f"Every formula and number: {len(lines):,} lines"), table),
    )
