"""What size to train where only money, time or data are given: the largest compute-optimal model that they allow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from zenplan import units
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UsageError
from zenplan.families.transformer import recipe
from zenplan.families.transformer.sizing import LEAST_PARAMETERS
from zenplan.planning.money.quotes import Market

# The least and the most that is looked at, in parameters.
_LEAST: Final = 1e6
_MOST: Final = 1e13
# The first guess: dollars for a FLOP of training, of an H100 at 2.50 an hour and 40 % of its peak.
_USD_PER_FLOP: Final = 2.50 / units.HOUR_S / (0.4 * 989e12)
# How near below its limits a size is near enough, and how many sizes are tried for it.
_NEAR: Final = 0.03
_TRIES: Final = 7
_WISHES: Final = ("budget_usd", "deadline_s", "tokens", "dataset_bytes", "data")
_KINDS: Final = ("params", "model", "config", "keras", "flop_per_sample", "active_params", "samples", "image_size")

Ask = Callable[[Request], Market]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A request with a size, and where that is from."""

    request: Request
    fact: Fact

    @property
    def said(self) -> str:
        """The size and where it is from, in a sentence."""
        return f"{self.fact.value} parameters: {self.fact.why}."

    def told(self, plan: TrainingPlan) -> TrainingPlan:
        """The plan, whose number of parameters is not the user's."""
        facts = tuple(self.fact if fact.name == self.fact.name else fact for fact in plan.facts)
        return replace(plan, facts=facts)


def sized(request: Request, ask: Ask) -> Sized | None:
    """The request for the largest model that money, time and data allow; None where it says what to train.

    The size takes 20 tokens a parameter (Hoffmann et al. 2022), and some offer keeps budget and deadline with the
    high ends of its ranges.

    Args:
        ask: the market of a request that has a size.

    Raises:
        UsageError: adapters are for a model that there is.
        NoFit: not even a small model keeps the limits.
    """
    wishes = [name for name in _WISHES if getattr(request, name) is not None]
    if not wishes or any(getattr(request, name) is not None for name in _KINDS):
        return None
    if request.method not in (None, "full"):
        raise UsageError("nothing says what to fine-tune", "name it, as in: --model llama3-8b")
    if request.data is not None and request.data.tokens is None:
        raise UsageError(f"nothing says what to train on {request.data.path}", "name it, as in: --model resnet50")
    data = _of_data(request)
    if data < LEAST_PARAMETERS:
        raise UsageError(
            f"{units.count(_tokens(request) or 0.0)} tokens are too few to size a language model for",
            "name one to fine-tune, as in: --model llama3-8b --method lora",
        )
    limited = request.budget_usd is not None or request.deadline_s is not None
    size = _largest(request, data, ask) if limited else data
    size = _rounded_down(min(size, data, _MOST))
    return Sized(request=replace(request, params=size), fact=_fact(request, size, data))


def _of_data(request: Request) -> float:
    """Parameters for which the data are compute-optimal; infinite where none are given."""
    tokens = _tokens(request)
    if tokens is None:
        return math.inf
    return tokens * recipe.worth_of_passes(request.epochs or 1.0) / recipe.TOKENS_PER_PARAMETER


def _tokens(request: Request) -> float | None:
    """Tokens of the data; None where none are given, or they are no text."""
    if request.data is not None:
        return request.data.tokens.mid if request.data.tokens else None
    if request.dataset_bytes:
        from zenplan.families.transformer.tokens import tokens_of_bytes

        return tokens_of_bytes(request.dataset_bytes)[0]
    return request.tokens


def _largest(request: Request, most: float, ask: Ask) -> float:
    """The largest size up to ``most`` that keeps budget and deadline.

    Money and time grow as the square of a compute-optimal size, or as the size where the tokens are given: the
    straight line through the last two sizes, over logarithms, leads to the limit in a few steps.
    """
    grows = 2.0 if math.isinf(most) else 1.0
    size: float = min(_first(request, grows), most, _MOST)
    fits, over = 0.0, math.inf
    for _ in range(_TRIES):
        used = _used(replace(request, params=size), ask)
        if used <= 1.0:
            fits = max(fits, size)
            if used >= 1.0 - _NEAR or fits >= min(most, _MOST):
                return fits
        else:
            over = min(over, size)
        if over <= (1.0 + _NEAR / 2.0) * fits:
            return fits
        # A little below the limit, and between what is known to keep it and what is not.
        step = size / 4.0 if math.isinf(used) else size * math.pow((1.0 - _NEAR / 2.0) / used, 1.0 / grows)
        if not fits < step < over:
            step = math.sqrt(fits * over) if fits and math.isfinite(over) else step
        size = min(max(step, _LEAST), most, _MOST)
    if not fits:
        raise NoFit(_too_little(request), "more money or time, or a model by its size, as in: --params 100M")
    return fits


def _first(request: Request, grows: float) -> float:
    """A size to begin with."""
    if request.budget_usd is None:
        return 1e9
    flop = request.budget_usd / _USD_PER_FLOP
    tokens = _tokens(request) or 1.0
    each = 6.0 * (recipe.TOKENS_PER_PARAMETER if grows > 1.0 else tokens)
    return max(_LEAST, math.pow(flop / each, 1.0 / grows))


def _used(request: Request, ask: Ask) -> float:
    """What the best offer takes of budget and deadline, the fuller of both, by high ends; infinite where none fits."""
    try:
        market = ask(request)
    except NoFit:
        return math.inf
    usable = market.usable(request.billing)
    if not usable.any():
        return math.inf
    bills = market.bills(request.billing)
    used = bills.wall_clock_s[2][usable] / _latest_s(request)
    if request.budget_usd is not None:
        usd = bills.total_usd[2][usable]
        priced = usd >= 0
        # What nobody has a price for has no budget to keep.
        used = used[priced].clip(min=usd[priced] / request.budget_usd) if priced.any() else used
    return float(used.min())


def _latest_s(request: Request) -> float:
    """The deadline, or the horizon: nobody waits years for the cheapest machine."""
    return min(request.deadline_s or math.inf, request.longest_s)


def _rounded_down(size: float) -> float:
    """To two digits: more would not be known."""
    unit = 10.0 ** (math.floor(math.log10(size)) - 1)
    return math.floor(size / unit + 1e-9) * unit


def _limits(request: Request) -> str:
    parts = []
    if request.budget_usd is not None:
        parts.append(f"keeps {units.usd(request.budget_usd)}")
    whose = "" if request.deadline_s or request.horizon_s else " (assumed)"
    parts.append(f"takes no more than {units.duration(_latest_s(request))}{whose}")
    return f"{' and '.join(parts)} at its high end"


def _too_little(request: Request) -> str:
    return f"no compute-optimal model of {units.count(_LEAST)} parameters or more {_limits(request)}"


def _fact(request: Request, size: float, data: float) -> Fact:
    """Which of the limits the size is from."""
    if size >= _rounded_down(min(data, _MOST)):
        why = f"the largest model that the data are compute-optimal for, at {recipe.TOKENS_PER_PARAMETER:g} tokens each"
    else:
        what = "compute-optimal model" if math.isinf(data) else "model on these data"
        why = f"the largest {what} with an offer that {_limits(request)}"
    return Fact(name="parameters", value=units.count(size), origin=Origin.DERIVED, why=f"{why}; --params sets it")
