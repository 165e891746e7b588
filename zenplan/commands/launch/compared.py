"""In what a run differs from the plan that it is launched by: its time and its bill are then another's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from zenplan import units
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.launch.planned import Planned
from zenplan.commands.launch.sizes import parameters_of, seq_len_of
from zenplan.commands.launch.trained import Trained
from zenplan.commands.shared.document import LayoutDocument
from zenplan.domain.training.stack import STACKS
from zenplan.errors import ZenplanError
from zenplan.units import HOUR_S

# Less is rounding: a plan has whole steps, and a model a vocabulary of its own.
_SAME: Final = 0.05
_TENSORFLOW: Final = "tensorflow"


def differences(plan: Planned, trained: Trained, zero: int) -> Iterator[str]:
    """One line each.

    Args:
        zero: ZeRO stage of the run.
    """
    own, path = trained.given, trained.path
    if plan.parameters is not None:
        yield from _of_another_size(plan.parameters, trained)
    length = seq_len_of(trained)
    if plan.unit == "tokens" and length and plan.seq_len and _apart(length, plan.seq_len):
        yield f"the plan is of {plan.seq_len:,} tokens a sample, {path} of {length:,}"
    if plan.batch is not None and trained.batch is not None and plan.batch != trained.batch:
        yield f"the plan is of a batch of {plan.batch} samples, {path} of {trained.batch}"
    steps = trained.number("steps", 10**12)
    if steps and plan.steps and plan.batch and plan.seq_len:
        here = steps * (trained.batch or plan.batch) * (length or plan.seq_len)
        there = plan.steps * plan.batch * plan.seq_len
        if _apart(here, there):
            yield f"the plan is of {units.count(there)} {plan.unit}, {path} of {units.count(here)}"
    precision = own.get("precision")
    if plan.precision is not None and precision is not None and plan.precision != precision:
        yield f"the plan is in {plan.precision}, {path} in {precision}"
    if plan.layout is not None:
        yield from _divided(plan.layout, zero)
    if plan.stack not in ("", STACKS["keras"].name) and trained.backend in BACKENDS:
        yield f"the plan's time is of {plan.stack}, and Keras trains: the plan's limits may end the run too early"
    if trained.backend == _TENSORFLOW and plan.accelerator:
        yield "zenplan[tensorflow] is of processors: --venv names an environment that has CUDA"


def _of_another_size(parameters: float, trained: Trained) -> Iterator[str]:
    try:
        low, high = parameters_of(trained)
    except ZenplanError as error:
        yield f"the plan is of {units.count(parameters)} parameters, {trained.path} of an unknown number: {error.message}"
        return
    if parameters < low * (1 - _SAME) or parameters > high * (1 + _SAME):
        found = units.count(low) if low == high else f"{units.count(low)} to {units.count(high)}"
        yield f"the plan is of {units.count(parameters)} parameters, {trained.path} of {found}"


def early(plan: Planned, hours: float, usd: float | None, usd_per_h: float | None) -> Iterator[str]:
    """Where a limit ends the run before the plan does, and where there is none of dollars.

    Args:
        plan: with its ends.
        hours, usd: the limits.
        usd_per_h: of all machines; None where it is not known.
    """
    if usd is None and usd_per_h is None:
        yield "no price of an hour is known (--usd-per-hour): no limit of dollars holds, and that of hours does"
    ends = [(hours, f"{hours:.3g} h")]
    if usd is not None and usd_per_h:
        ends.append((usd / usd_per_h, f"{units.usd(usd)} at {units.usd(usd_per_h)} an hour"))
    first, what = min(ends)
    for end_s, name in ((plan.least_s, "lower"), (plan.max_duration_s, "upper")):
        # Bills round up, by less than that.
        if end_s is not None and first < end_s / HOUR_S * (1 - _SAME):
            at = units.duration(first * HOUR_S)
            yield f"{what} ends the run after {at}, before the plan's {name} end, {units.duration(end_s)}"
            return


def _divided(layout: LayoutDocument, zero: int) -> Iterator[str]:
    if layout.zero and not zero:
        yield f"the plan divides what the optimizer holds (ZeRO {layout.zero}); every device of the run holds all"
    elif layout.zero != zero:
        yield f"the run divides weights, gradients and optimizer states (ZeRO {zero}), the plan has ZeRO {layout.zero}"
    elif zero and layout.shard and layout.shard < layout.dp * layout.cp:
        yield f"the plan divides over {layout.shard} devices each, the run over all of them"


def _apart(one: float, other: float) -> bool:
    return abs(one - other) > _SAME * max(one, other)
