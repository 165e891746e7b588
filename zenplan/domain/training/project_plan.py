"""ProjectPlan: what is asked about the project around a run."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks

# The length of an experiment, and how much of a run is lost when it fails, where nothing is given.
TRIAL_SHARE = 0.05
FAILED_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPlan:
    """What is known of the project around a run; None is not given, 0 is none.

    Attributes:
        repeat: runs of full length, seeds and ablations: the run itself is one of them.
        trials: experiments before it, each of ``trial_share`` of the run's length.
        failed_runs: runs that fail, half way on average.
        data_usd: licence, purchase or collection of the data.
        label_usd: for one sample that is labelled; ``label_hours`` at ``label_usd_per_h`` is the other way to pay.
    """

    repeat: int = 1
    trials: int | None = None
    trial_share: float | None = None
    failed_runs: int | None = None
    data_usd: float | None = None
    label_usd: float | None = None
    label_hours: float | None = None
    label_usd_per_h: float | None = None

    def __post_init__(self) -> None:
        checks.positive("project", repeat=self.repeat, trial_share=self.trial_share)
        checks.not_negative(
            "project",
            trials=self.trials,
            failed_runs=self.failed_runs,
            data_usd=self.data_usd,
            label_usd=self.label_usd,
            label_hours=self.label_hours,
            label_usd_per_h=self.label_usd_per_h,
        )

    @property
    def runs(self) -> float:
        """Lengths of a run that are trained in all, as far as they were given."""
        trials = (self.trials or 0) * (TRIAL_SHARE if self.trial_share is None else self.trial_share)
        return self.repeat + trials + FAILED_SHARE * (self.failed_runs or 0)

    @property
    def given_usd(self) -> float:
        """Dollars that do not depend on the run, as far as they were given; labelling by the sample does."""
        hours = (self.label_hours or 0.0) * (self.label_usd_per_h or 0.0)
        return (self.data_usd or 0.0) + hours
