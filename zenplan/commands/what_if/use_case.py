"""What-if: the recommended plan of a question, and the same with something changed.

A value is a change where it is relative: ``+50%``, ``-10%``, ``x2``. The base it changes is what was taken for the
flag, given or assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from zenplan import units
from zenplan.commands.estimate.pinned import Pinned, pinned
from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.shared.known import Known
from zenplan.domain.answer.answer import Answer, Change
from zenplan.domain.answer.comparison import WhatIf
from zenplan.domain.market.offer import Offer, Price, PriceTable
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UsageError

_RELATIVE: Final = re.compile(r"(?P<sign>[+\-−])(?P<percent>\d+(?:\.\d+)?)%|[x×](?P<times>\d+(?:\.\d+)?)")
_HINT: Final = "a change is written as +50%, -10% or x2"
# What a relative flag changes: the value that an answer was found with.
_BASES: Final[Mapping[str, Callable[[Answer], float]]] = {
    "params": lambda answer: answer.plan.workload.parameters,
    "tokens": lambda answer: answer.plan.tokens,
    "samples": lambda answer: answer.plan.samples / answer.plan.epochs,
    "epochs": lambda answer: answer.plan.epochs,
    "seq_len": lambda answer: float(answer.plan.workload.tokens_per_sample),
    "batch": lambda answer: float(answer.plan.global_batch),
    "global_batch": lambda answer: answer.plan.global_batch * answer.plan.workload.tokens_per_sample,
}
RELATIVE: Final = tuple(_BASES)
# What is said of data that are counted, and of any amount in samples: nothing is left of them beside another amount.
_COUNTED: Final = ("data", "text_column", "tokenizer")
_AMOUNTS: Final = ("samples", "data_kind", "padding", "dataset_size", "epochs", "label_usd", *_COUNTED)


class Speed(NamedTuple):
    """Changes of the machines alone: what prices and the MFU are multiplied with; None without one."""

    price: float | None = None
    mfu: float | None = None


def factor_of(text: str, what: str) -> float | None:
    """What a relative value multiplies with; None where it is none. Raises UsageError: nothing would be left."""
    match = _RELATIVE.fullmatch(text.strip())
    if match is None:
        return None
    if match["times"]:
        factor = float(match["times"])
    else:
        factor = 1.0 + float(match["percent"]) / 100.0 * (1.0 if match["sign"] == "+" else -1.0)
    if factor <= 0.0:
        raise UsageError(f"{what} {text} leaves nothing", _HINT)
    return factor


def changed_flags(answer: Answer, factors: Mapping[str, float]) -> dict[str, str | None]:
    """The flags for that many times what the answer took; None for those that would contradict them.

    The batch stays as it was, unless it is what changes.
    """
    plan = answer.plan
    values: dict[str, str | None] = {name: _written(name, _BASES[name](answer) * f) for name, f in factors.items()}
    if "tokens" in factors:
        values |= dict.fromkeys(_AMOUNTS)
    elif factors.keys() & {"samples", "epochs"} and plan.workload.tokens_per_sample > 1:
        # Of texts, how many tokens a sample has is settled: as many times as many tokens are the same thing.
        total = plan.tokens * factors.get("samples", 1.0) * factors.get("epochs", 1.0)
        values |= {"tokens": repr(total), **dict.fromkeys(_AMOUNTS)}
    elif factors.keys() & {"samples", "epochs"}:
        values |= dict.fromkeys(_COUNTED)
        for name in {"samples", "epochs"} - factors.keys():
            values[name] = _written(name, _BASES[name](answer))
    if not factors.keys() & {"batch", "global_batch"}:
        values |= {"batch": str(plan.global_batch), "global_batch": None}
    return values


def _written(name: str, value: float) -> str:
    return str(max(1, round(value))) if name in ("samples", "seq_len", "batch") else repr(value)


def what_if(before: Answer, known: Known, asked: Mapping[str, Request], together: Request, speed: Speed) -> WhatIf:
    """The changes alone and together.

    Args:
        before: the answer to what was asked.
        known: what it was answered from.
        asked: each change of the question by itself, by what is said of it.
        together: all of them.
        speed: changes of price and MFU.
    """
    base = pinned(before.request, known, before.plan, before.recommended)
    mfu = before.recommended.quote.estimate.mfu
    if speed.mfu is not None and not 0.0 < mfu * speed.mfu <= 1.0:
        raise UsageError(f"an MFU of {mfu * speed.mfu:.2f} cannot be", "it is above 0 and at most 1")
    price, step = speed.price or 1.0, 1.0 / (speed.mfu or 1.0)
    alone = [(name, _on(base, request, name)) for name, request in asked.items()]
    if speed.price is not None:
        alone.append((f"price {_times(price)}", base.again("price", price=price)))
    if speed.mfu is not None:
        alone.append((f"MFU {units.percent(mfu * speed.mfu)}", base.again("MFU", step=step)))
    return WhatIf(
        before=before,
        alone=tuple(alone),
        together=_on(base, together, "all", price=price, step=step) if len(alone) > 1 else alone[0][1],
        after=None if speed.mfu is not None else _chosen_anew(together, known, price),
    )


def _on(base: Pinned, request: Request, value: str, **more: Any) -> Change | None:
    try:
        there = base if request == base.request else base.asked(request)
    except NoFit:
        return None
    return there.again(value, **more)


def _times(factor: float) -> str:
    return f"{'+' if factor >= 1 else '−'}{units.percent(abs(factor - 1.0))}"


def _chosen_anew(request: Request, known: Known, price: float) -> Answer | None:
    tables = tuple(_at(table, price) for table in known.tables) if price != 1.0 else known.tables
    if request.usd_per_h is not None:
        request = replace(request, usd_per_h=request.usd_per_h * price)
    try:
        return estimate(request, replace(known, tables=tables), sensitive=False)
    except NoFit:
        return None


def _at(table: PriceTable, factor: float) -> PriceTable:
    """The table with every price so many times as high."""

    def times(price: Price | None) -> Price | None:
        return replace(price, usd_per_h=price.usd_per_h * factor) if price else None

    def offer(each: Offer) -> Offer:
        return replace(each, on_demand=times(each.on_demand), spot=times(each.spot))

    return replace(table, offers=tuple(offer(each) for each in table.offers))
