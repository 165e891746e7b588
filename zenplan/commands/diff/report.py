"""``zenplan diff`` as a report: a verdict, the figures, and what differs behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

from zenplan import units
from zenplan.commands.diff.comparison import Comparison, Differs, Figure, PriceDiffers
from zenplan.commands.diff.policy import Finding, Policy, show, signed_percent
from zenplan.commands.estimate.quote_document import PriceDocument
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Report, Table

_UNKNOWN: Final = "?"
_NONE: Final = "none"
# Figures of a run beside those of the whole.
_WHOLE: Final = {"run_usd": "total_usd", "run_wall_clock_s": "wall_clock_s"}


def diff_report(found: Comparison, policy: Policy, findings: tuple[Finding, ...], today: date) -> Report:
    """Two plans beside each other.

    Args:
        found: what differs.
        policy: the rules that the new plan has to keep.
        findings: those that are broken, or cannot be checked.
        today: the day of the comparison.
    """
    failing = policy.broken(findings)
    verdict = _verdict(found, policy, findings, failing)
    return Report(
        make_document=lambda: _document(found, findings, failing, verdict, today),
        make_records=lambda: (_record(figure) for figure in found.figures),
        verdict=verdict,
        tables=tuple(_tables(found, findings, failing)),
        notes=_notes(found),
    )


def _document(
    found: Comparison, findings: tuple[Finding, ...], failing: tuple[Finding, ...], verdict: str, today: date
) -> Any:
    from zenplan.commands.diff.document import document

    return document(found, findings, failing, verdict, today)


def _record(figure: Figure) -> dict[str, Any]:
    def ends(side: str, range: Range | None) -> dict[str, float | None]:
        return {f"{side}_{end}": getattr(range, end) if range else None for end in ("low", "mid", "high")}

    return {
        "figure": figure.name,
        **ends("old", figure.old),
        **ends("new", figure.new),
        "change": figure.change,
        "change_ratio": figure.ratio,
        "new_in_old_range": figure.inside,
    }


# --- the verdict


def _verdict(found: Comparison, policy: Policy, findings: Sequence[Finding], failing: Sequence[Finding]) -> str:
    parts = []
    kept = [rule for rule in policy.rules if rule not in {f.rule for f in findings}]
    let_through = [f.rule for f in findings if f not in failing]
    if failing:
        parts.append(f"Fails {', '.join(f.rule for f in failing)}")
    elif kept:
        parts.append(f"Passes {', '.join(kept)}")
    if let_through:
        parts.append(f"Not known, and let through: {', '.join(let_through)}")
    if found.same:
        parts.append("Nothing differs")
    else:
        usd, time = found.figure("total_usd"), found.figure("wall_clock_s")
        plan = "the same plan" if found.hardware is None else f"now on {found.new.hardware}"
        parts.append(f"{_moved(usd)} and {_moved(time)}, {plan}{_noise((usd, time))}")
    if any(price.gone for price in found.prices):
        parts.append(f"of the old plan's offers, {sum(p.gone for p in found.prices)} prices are gone")
    return ". ".join(parts) + "."


def _moved(figure: Figure) -> str:
    old, new = (show(figure.name, r.mid) if r else "not known" for r in (figure.old, figure.new))
    if not figure.changed:
        return f"{new} as before" if figure.new else f"{figure.what} not known"
    share = "" if figure.ratio is None else f" ({signed_percent(figure.ratio)})"
    return f"{old} → {new}{share}"


def _noise(figures: Sequence[Figure]) -> str:
    """Whether the change is one that the old plan's own range has."""
    known = [figure.inside for figure in figures if figure.changed and figure.inside is not None]
    if not known:
        return ""
    return "; within the old range" if all(known) else "; outside the old range"


# --- the tables


def _tables(found: Comparison, findings: Sequence[Finding], failing: Sequence[Finding]) -> Iterator[Table]:
    if findings:
        yield _rules(findings, failing)
    yield _figures(found)
    plan = [each for each in (found.hardware, found.layout, found.met) if each]
    for title, differ in (
        ("Recommended", plan),
        ("What was asked", found.request),
        ("Inputs and assumptions", found.inputs),
    ):
        if differ:
            yield _differ(f"{title}: {len(differ)} changed", differ)
    if found.prices:
        yield _prices(found.prices)


def _rules(findings: Sequence[Finding], failing: Sequence[Finding]) -> Table:
    columns = (Column(name="rule"), Column(name="limit"), Column(name="found"), Column(name="so"))
    rows = tuple((f.rule, f.limit, f.message, "fails" if f in failing else "passes, not known") for f in findings)
    return Table(title="Rules", columns=columns, rows=rows)


def _figures(found: Comparison) -> Table:
    columns = (
        Column(name=""),
        *(Column(name=name, numeric=True) for name in ("old", "new", "change")),
        Column(name="in the old range", optional=True),
    )
    rows = tuple(
        (
            figure.what,
            _range(figure.name, figure.old),
            _range(figure.name, figure.new),
            _change(figure),
            {True: "yes", False: "no", None: ""}[figure.inside],
        )
        for figure in found.figures
        if (figure.old or figure.new) and not _repeats(found, figure)
    )
    return Table(columns=columns, rows=rows)


def _repeats(found: Comparison, figure: Figure) -> bool:
    """Whether a figure of the run is that of the whole too, in both plans."""
    whole = _WHOLE.get(figure.name)
    return whole is not None and (found.figure(whole).old, found.figure(whole).new) == (figure.old, figure.new)


def _range(name: str, value: Range | None) -> str:
    if value is None:
        return _UNKNOWN
    middle = show(name, value.mid)
    if value.low == value.high:
        return middle
    return f"{middle}\n{units.span(show(name, value.low), show(name, value.high))}"


def _change(figure: Figure) -> str:
    if not figure.changed:
        return "–"
    if figure.change is None:
        return _UNKNOWN
    sign = "+" if figure.change >= 0 else "−"
    share = "" if figure.ratio is None else f"\n{signed_percent(figure.ratio)}"
    return f"{sign}{show(figure.name, abs(figure.change))}{share}"


def _differ(title: str, differ: Sequence[Differs]) -> Table:
    columns = (Column(name=""), Column(name="old"), Column(name="new"))
    rows = tuple((each.name, _text(each.old), _text(each.new)) for each in differ)
    return Table(title=title, columns=columns, rows=rows, folded=True)


def _text(value: str | None) -> str:
    return _NONE if value is None else value


def _prices(prices: Sequence[PriceDiffers]) -> Table:
    columns = (
        Column(name="offer"),
        Column(name="billing"),
        *(Column(name=name, numeric=True) for name in ("old", "new", "change")),
    )
    rows = tuple(
        (
            price.offer,
            str(price.billing),
            _price(price.old),
            "gone" if price.gone else _price(price.new),
            _price_change(price.old, price.new),
        )
        for price in prices
    )
    return Table(title=f"Prices: {len(prices)} changed", columns=columns, rows=rows, folded=True)


def _price_change(old: PriceDocument | None, new: PriceDocument | None) -> str:
    """As a share of the old price; of machines that cost nothing there is none."""
    return signed_percent(new.usd_per_h / old.usd_per_h - 1) if old and new and old.usd_per_h else ""


def _price(price: PriceDocument | None) -> str:
    if price is None:
        return _UNKNOWN
    return f"{units.usd(price.usd_per_h)}/h\n{price.as_of or 'no date'}"


def _notes(found: Comparison) -> tuple[str, ...]:
    old, new = found.old, found.new
    lines = [
        f"{side.name}: of {side.document.today}, zenplan {side.document.zenplan_version}, prices of "
        f"{(side.price.as_of if side.price else None) or 'no date'}, on {side.hardware}."
        for side in (old, new)
    ]
    if old.document.billing is not new.document.billing:
        lines.append(f"The old plan is ranked by {old.document.billing}, the new one by {new.document.billing}.")
    lines += [
        f"The {price.billing} price of {price.offer} is gone: nobody in today's tables offers it."
        for price in found.prices
        if price.gone
    ]
    return tuple(lines)
