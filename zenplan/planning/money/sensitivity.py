"""What another value of one input makes of a plan that was found, in the layout that it has."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from zenplan.domain.answer.answer import Change, Effect
from zenplan.domain.market.offer import Billing
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.money.quotes import Market, after_of, bills, taken_per_s
from zenplan.planning.money.run import run_time
from zenplan.planning.search.search import useful_samples


def changed(
    found: Market,
    index: int,
    billing: Billing,
    value: str,
    *,
    plan: TrainingPlan | None = None,
    operations: Operations | None = None,
    step: float = 1.0,
    price: float = 1.0,
) -> Change | None:
    """One option with something else; None where it would never end.

    Args:
        found: every option.
        index: of the option.
        billing: how it is paid for.
        value: what is else, as it is shown.
        plan: with other samples; the step stays, so what makes a step is for a search of its own.
        operations: others than the market's.
        step, price: what the time of a step and the price of an hour are multiplied with.
    """
    plan, operations = plan or found.plan, operations or found.operations
    option = found.options[index]
    nodes = np.array([float(option.nodes)])
    # Processors that do not keep up wait for no faster device.
    wait = found.wait[:, [index]]
    wait = np.where(wait > 1.0, np.fmax(1.0, wait / step), 1.0)
    runs = run_time(
        plan,
        operations,
        found.step_s[:, [option.cluster]] * step * wait,
        useful_samples(found.plan, found.found.layouts)[[option.cluster]],
        nodes * option.offer.instance.devices,
        nodes,
        spot=billing is Billing.SPOT,
        taken_per_s=taken_per_s(operations, [option]),
    )
    rate = option.offer.price(billing)
    usd_per_h = np.array([rate.usd_per_h * price if rate else math.nan])
    # More samples are more data, but for passes over the same.
    around = replace(found.around, data_bytes=found.around.data_bytes * (plan.samples / found.plan.samples))
    after = after_of(plan, operations, around, runs, usd_per_h, nodes, [option])
    bill = bills(plan, operations, runs, billing, usd_per_h, nodes, [option.terms], around, after)
    time_s, usd = float(bill.wall_clock_s[1, 0]), float(bill.total_usd[1, 0])
    if not math.isfinite(time_s):
        return None
    return Change(value=value, usd=None if math.isnan(usd) else usd, wall_clock_s=time_s)


def moved(effect: Effect, usd: float | None, wall_clock_s: float) -> float:
    """How far an input moves a plan: the largest change of its dollars or its time, as a logarithm of the ratio."""
    ratios = [change.wall_clock_s / wall_clock_s for change in effect.changes]
    ratios += [change.usd / usd for change in effect.changes if usd and change.usd]
    return max((abs(math.log(ratio)) for ratio in ratios if ratio > 0), default=0.0)
