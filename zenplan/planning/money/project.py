"""The bill of the project around a run: experiments, further runs, data, labels, month by month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np

from zenplan import units
from zenplan.domain.answer.estimate import Bill
from zenplan.domain.answer.project import Cost, Month, Project
from zenplan.domain.market.credit import Credit
from zenplan.domain.model.workload import LANGUAGE, Workload
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.project_plan import FAILED_SHARE, TRIAL_SHARE, ProjectPlan
from zenplan.planning.money.beside import credited_usd, credits_why
from zenplan.units import DAY_S

# Experiments beside the final run, in lengths of it. Final runs are 10 to 30 % of the compute for research and
# development at OpenAI, MiniMax and Z.ai (Epoch AI, Final training runs account for a minority of R&D compute
# spending, 2026): 2.3 to 9 times as much beside them. Who follows a published recipe needs less: that end is assumed.
_EXPERIMENTS = Range(low=0.2, mid=1.0, high=9.0)
_EXPERIMENTS_WHY = (
    "0.2–9 × the run: labs spend 70–90 % of their compute beside final runs (Epoch AI 2026); following a recipe takes "
    "less; --trials says how many"
)
_TUNING = Range(low=1.0, mid=3.0, high=10.0)
_TUNING_WHY = "1–10 × the run: a few settings tried, which is usual; --trials says how many"
# Dollars for a label that a person gives. AWS SageMaker Ground Truth with Mechanical Turk: $0.012 an image to
# classify and $0.036 a box, by three to five people, and $0.02 to $0.08 an object (price page, read 2026-11-29 in
# wring.co's guide of 2026-03; the fee for an object recalled). Outlines of pixels and written answers: assumed.
_IMAGE_LABELS = Range(low=0.05, mid=0.1, high=0.2)
_OTHER_LABELS = Range(low=0.1, mid=1.0, high=10.0)
# A click or a rating is its own label, and a picture is what a generator learns.
_UNLABELLED = ("clicks", "ratings", "generation")
_UNLABELLED_FAMILIES = ("recommender", "diffusion")
_MOST_MONTHS = 120
AFTER: Final = "after the training"
# Dollars of a gigabyte in object storage for a month: Azure, Google Cloud and AWS, as in ``data/terms.csv``. The low
# end keeps the data for the runs alone, in whose bills that is, the high end for half a year in all (assumed).
_STORAGE_USD = Range(low=0.018, mid=0.020, high=0.023)
_MONTH_S = 30 * DAY_S
_KEPT_S = 6 * _MONTH_S


def project(
    given: ProjectPlan,
    plan: TrainingPlan,
    bill: Bill,
    labelled: float | None,
    today: date,
    credits: Sequence[Credit] = (),
    stored_bytes: Range | None = None,
) -> Project:
    """What the project costs around a run.

    Args:
        given: what is known of it.
        plan: what is trained.
        bill: of one run.
        labelled: samples of the user's own, whose labels somebody may have to pay for; None where there are none.
        today: when the first run starts.
        credits: that pay for the runs while they last.
        stored_bytes: of the data; None where nothing is stored.
    """
    if bill.gross_usd is None or bill.gross_usd.high == 0.0:
        # Who has machines of their own, or rents them nobody knows where, has a place for the data.
        stored_bytes = None
    costs = (*_costs(given, plan, bill, labelled), *_storage(stored_bytes, bill.run.wall_clock_s * given.runs))
    total = Range.total(cost.usd for cost in costs if cost.counted and cost.usd)
    time_s = bill.wall_clock_s * given.runs
    if bill.gross_usd is None:
        return Project(costs=costs, total_usd=None, wall_clock_s=time_s, months=())
    # What follows is no matter of the months in which it runs.
    runs_usd = (bill.gross_usd.mid - sum(part.mid_usd for part in bill.followed_parts)) * given.runs
    if credits:
        cost, total, off_usd = _credited(bill.gross_usd * given.runs, time_s, credits, today, total)
        costs, runs_usd = (*costs, cost), runs_usd - off_usd
    return Project(
        costs=costs, total_usd=total, wall_clock_s=time_s, months=tuple(_months(runs_usd, time_s.mid, today))
    )


def _credited(
    usd: Range, time_s: Range, credits: Sequence[Credit], today: date, total: Range
) -> tuple[Cost, Range, float]:
    """What credits pay of all runs, one after another: as a line, off the total, and in the middle.

    Args:
        usd, time_s: of all runs.
        credits: that there are.
        today: when the first run starts.
        total: before credits.
    """
    amounts, times = (np.array(each.ends) for each in (usd, time_s))
    off = credited_usd(amounts, times, credits, today)
    low, mid, high = (max(each - float(less), 0.0) for each, less in zip(total.ends, off, strict=True))
    line = Range(low=-float(off.max()), mid=-float(np.median(off)), high=-float(off.min()))
    cost = Cost(name="credits", usd=line, counted=True, origin=Origin.GIVEN, why=credits_why(credits))
    return cost, Range(low=min(low, mid), mid=mid, high=max(mid, high)), float(off[1])


def _costs(given: ProjectPlan, plan: TrainingPlan, bill: Bill, labelled: float | None) -> Iterator[Cost]:
    run = _alone(bill)
    times = f"{given.repeat} runs of full length" if given.repeat > 1 else "one run"
    yield Cost(name="runs", usd=_times(run, given.repeat), counted=True, origin=Origin.DERIVED, why=times)
    if bill.followed:
        yield _followed(given, bill)
    yield _experiments(given, plan, run)
    if given.failed_runs is not None:
        yield Cost(
            name="failed runs",
            usd=_times(run, FAILED_SHARE * given.failed_runs),
            counted=True,
            origin=Origin.GIVEN,
            why=f"{given.failed_runs} that fail half way",
        )
    yield _data(given)
    pays = given.label_usd is not None or given.label_hours is not None
    if pays or (labelled is not None and _people_label(plan.workload)):
        yield _labels(given, plan, labelled or 0.0)


def _alone(bill: Bill) -> Range | None:
    """A run without what follows it."""
    gross, parts = bill.gross_usd, bill.followed_parts
    if gross is None or not parts:
        return gross
    low, mid = gross.low - sum(p.low_usd for p in parts), gross.mid - sum(p.mid_usd for p in parts)
    return Range(low=min(low, mid), mid=mid, high=max(mid, gross.high - sum(p.high_usd for p in parts)))


def _followed(given: ProjectPlan, bill: Bill) -> Cost:
    """What follows the training, once for all runs: the bill of each has its share."""
    parts, usd = bill.followed_parts, None
    if bill.gross_usd is not None:
        low, mid, high = (sum(getattr(p, f"{end}_usd") for p in parts) for end in ("low", "mid", "high"))
        usd = Range(low=low, mid=mid, high=high) * given.runs
    return Cost(name=AFTER, usd=usd, counted=True, origin=Origin.ASSUMED, why=", ".join(p.name for p in parts))


def _experiments(given: ProjectPlan, plan: TrainingPlan, run: Range | None) -> Cost:
    if given.trials is not None:
        share = TRIAL_SHARE if given.trial_share is None else given.trial_share
        said = "" if given.trial_share is not None else ", assumed: --trial-share says otherwise"
        why = f"{given.trials} of {units.percent(share)} of the run each{said}"
        usd = _times(run, given.trials * share)
        return Cost(name="experiments", usd=usd, counted=True, origin=Origin.GIVEN, why=why)
    pre_training = plan.method == "full" and plan.workload.family in LANGUAGE
    beside, why = (_EXPERIMENTS, _EXPERIMENTS_WHY) if pre_training else (_TUNING, _TUNING_WHY)
    usd = beside * run.mid if run else None
    return Cost(name="experiments", usd=usd, counted=False, origin=Origin.ASSUMED, why=why)


def _data(given: ProjectPlan) -> Cost:
    if given.data_usd is None:
        why = "licence, purchase, collection; --data-usd says how much"
        return Cost(name="data", usd=None, counted=False, origin=Origin.ASSUMED, why=why)
    return Cost(name="data", usd=_exactly(given.data_usd), counted=True, origin=Origin.GIVEN, why="as given")


def _storage(stored_bytes: Range | None, time_s: Range) -> Iterator[Cost]:
    """The data in object storage when no run reads them: while one does, they are in its bill."""
    if stored_bytes is None:
        return
    kept = (0.0, max(_MONTH_S - time_s.mid, 0.0), max(_KEPT_S - time_s.low, 0.0))
    low, mid, high = (
        size / units.GB * rate * each / _MONTH_S
        for size, rate, each in zip(stored_bytes.ends, _STORAGE_USD.ends, kept, strict=True)
    )
    why = f"{units.size(stored_bytes.mid)} at $0.018–0.023 a GB and month, beside the runs, for up to half a year"
    usd = Range(low=low, mid=mid, high=high)
    yield Cost(name="data storage", usd=usd, counted=False, origin=Origin.ASSUMED, why=why)


def _people_label(workload: Workload) -> bool:
    """Whether somebody usually has to say what a sample is; who has text seldom pays for that."""
    task = workload.usual.task if workload.usual else ""
    return workload.unit != "tokens" and task not in _UNLABELLED and workload.family not in _UNLABELLED_FAMILIES


def _label_usd(workload: Workload) -> Range:
    """Dollars of a label: of a picture as a whole and of what is seen in it, or of what takes longer."""
    quick = workload.input == "image" and not (workload.usual and workload.usual.task == "segmentation")
    return _IMAGE_LABELS if quick else _OTHER_LABELS


def _labels(given: ProjectPlan, plan: TrainingPlan, samples: float) -> Cost:
    told = f"{units.count(samples)} samples"
    if given.label_usd is not None:
        why = f"{told} at {units.usd(given.label_usd)}"
        return Cost(name="labels", usd=_exactly(samples * given.label_usd), counted=True, origin=Origin.GIVEN, why=why)
    if given.label_hours is not None and given.label_usd_per_h is not None:
        usd = given.label_hours * given.label_usd_per_h
        why = f"{given.label_hours:g} h at {units.usd(given.label_usd_per_h)}"
        return Cost(name="labels", usd=_exactly(usd), counted=True, origin=Origin.GIVEN, why=why)
    each = _label_usd(plan.workload)
    span = units.span(units.usd(each.low), units.usd(each.high))
    why = f"{told} at {span}, if people label them; --label-usd says how much"
    return Cost(name="labels", usd=each * samples, counted=False, origin=Origin.ASSUMED, why=why)


def _times(run: Range | None, number: float) -> Range | None:
    """So many runs; None where one has no price."""
    return run * number if run else None


def _exactly(usd: float) -> Range:
    return Range.exactly(usd)


def _months(usd: float, time_s: float, today: date) -> Iterator[Month]:
    """Dollars of the runs by the month in which they fall, evenly over their time; so many months at most."""
    start, left_s = today, time_s
    for _ in range(_MOST_MONTHS):
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        within_s = min(left_s, (following - start).days * DAY_S)
        yield Month(month=f"{start:%Y-%m}", usd=usd * within_s / time_s)
        left_s -= within_s
        if left_s <= 0:
            return
        start = following
