"""A training run: what was predicted of it, how it stands, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final

from zenplan.domain import checks
from zenplan.domain.mapping import read_only
from zenplan.domain.provenance import Fact
from zenplan.domain.range import Range
from zenplan.domain.training.several import in_words
from zenplan.units import HOUR_S

# How a run stands. Killed: its folder says that it runs, and no process is at it any more to say otherwise.
RUNNING, FINISHED, STOPPED, PREEMPTED, FAILED = "running", "finished", "stopped", "preempted", "failed"
KILLED: Final = "killed"
STATES: Final = (RUNNING, FINISHED, STOPPED, PREEMPTED, FAILED, KILLED)
# What a prediction is from, the closest first.
STORED, REHEARSED, SWEPT, FITTED, UNKNOWN = "stored calibration", "rehearsed", "sweep", "fitted", "not known"
ORIGINS: Final = (STORED, REHEARSED, SWEPT, FITTED, UNKNOWN)
# The metric that is better when higher: all others that an evaluation tells are errors.
ACCURACY: Final = "accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds by what they were spent on.

    Attributes:
        setup_s: from the command's start until the first step could begin: reading, building, compiling.
        rehearsal_s: on timed steps that were taken back, and on what was timed beside them.
        steps_s: on steps, waiting for batches among them.
        evaluation_s, checkpoint_s: on those.
        other_s: on nothing of these: ending, and what nobody saw.
    """

    setup_s: float = 0.0
    rehearsal_s: float = 0.0
    steps_s: float = 0.0
    evaluation_s: float = 0.0
    checkpoint_s: float = 0.0
    other_s: float = 0.0

    def __post_init__(self) -> None:
        checks.not_negative("spent", **{f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def total_s(self) -> float:
        """All of it."""
        return float(sum(getattr(self, f.name) for f in fields(self)))

    def __add__(self, other: Spent) -> Spent:
        return Spent(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPrediction:
    """What is predicted of a run before its first step.

    Attributes:
        origin: what it is from, one of ``ORIGINS``.
        why: for people: ``7 steps, an evaluation and a checkpoint, timed here before the run``.
        made_at: when.
        steps: of the run.
        step_s: of one, 80 %; None where nothing is known of it.
        correction: that earlier runs made of its middle, a ratio; 1 for none.
        start_s: from the command's start until the worker's, which had passed when this was made.
        setup_s: from the command's start, ``start_s`` in it, until the first; None where it is not known.
        rehearsal_s: that the rehearsal took; 0 without one.
        evaluations, evaluate_s: how many, and how long one takes; None where that is not known.
        evaluate_every: steps between evaluations on validation data; 0 for at the end alone.
        checkpoints, checkpoint_s, checkpoint_every: the same; that of the beginning is part of setting up.
        ending_s: after the last step: saving the model, leaving; None where it is not known.
        beside_spread: of what is predicted beside steps, an 80 % half width as a ratio; ending_spread: of the ending.
        checkpoint_bytes: on disk; None where it is not known.
        cores: processor seconds a second of the steps that it is from; None where they were not measured.
        usd_per_h: what an hour costs, with the reason in ``price``; None where it is not known.
        power_w: of the machine; None where it is not known.
        memory_bytes: at the peak; memory_how: how it was found.
        flop_per_step: of training; None where the model was not counted.
        peak_flop_per_s: of the device in that precision; None where no data sheet is known.
        facts: what was not asked for and chosen.
        workers, devices: that it is for, as of ``RunStatus``; None where that was not kept.
    """

    origin: str
    why: str
    made_at: datetime
    steps: int
    step_s: Range | None = None
    correction: float = 1.0
    start_s: float = 0.0
    setup_s: float | None = None
    rehearsal_s: float = 0.0
    evaluations: int = 0
    evaluate_s: float | None = None
    evaluate_every: int = 0
    checkpoints: int = 0
    checkpoint_s: float | None = None
    checkpoint_every: int = 0
    ending_s: float | None = None
    beside_spread: float = 0.25
    ending_spread: float = 0.25
    checkpoint_bytes: float | None = None
    cores: float | None = None
    usd_per_h: float | None = None
    price: str = ""
    power_w: float | None = None
    memory_bytes: float | None = None
    memory_how: str = ""
    flop_per_step: float | None = None
    peak_flop_per_s: float | None = None
    facts: tuple[Fact, ...] = ()
    workers: int | None = None
    devices: int | None = None

    def __post_init__(self) -> None:
        checks.one_of("prediction", "origin", self.origin, ORIGINS)
        checks.positive("prediction", steps=self.steps, correction=self.correction)
        checks.not_negative(
            "prediction",
            start_s=self.start_s,
            setup_s=self.setup_s,
            evaluate_s=self.evaluate_s,
            checkpoint_s=self.checkpoint_s,
            ending_s=self.ending_s,
            beside_spread=self.beside_spread,
            ending_spread=self.ending_spread,
            usd_per_h=self.usd_per_h,
            power_w=self.power_w,
            memory_bytes=self.memory_bytes,
        )

    def is_of_others(self, status: RunStatus) -> bool:
        """Whether other workers or devices went on with the run than it was predicted for."""
        return self.workers is not None and (self.workers, self.devices) != (status.workers, status.devices)

    def step_for(self, status: RunStatus) -> Range | None:
        """A step of the run as it stands; None where nothing was predicted of it."""
        return None if self.is_of_others(status) else self.step_s

    @property
    def steps_s(self) -> Range | None:
        """All steps."""
        return None if self.step_s is None else self.step_s * self.steps

    @property
    def evaluation_s(self) -> float | None:
        """All evaluations; None where one's time is not known."""
        return _all_of(self.evaluations, self.evaluate_s)

    @property
    def checkpoints_s(self) -> float | None:
        """All checkpoints; None where one's time is not known."""
        return _all_of(self.checkpoints, self.checkpoint_s)

    @property
    def run_s(self) -> Range | None:
        """From start to end, 80 %; what is not known of it is left out.

        Steps and what is beside them vary on their own; what had passed is in no doubt.
        """
        unknown = self.unknown_s
        return None if unknown is None else unknown + self.known_s

    @property
    def known_s(self) -> float:
        """What of the run had passed, and was measured, when this was made: all until the end of a rehearsal."""
        return (self.setup_s or 0.0) + self.rehearsal_s if self.origin == REHEARSED else self.start_s

    @property
    def unknown_s(self) -> Range | None:
        """The rest of the run, 80 %: what was to be predicted of it."""
        steps = self.steps_s
        if steps is None:
            return None
        before = max(0.0, (self.setup_s or 0.0) + self.rehearsal_s - self.known_s)
        beside = before + (self.evaluation_s or 0.0) + (self.checkpoints_s or 0.0)
        ending = self.ending_s or 0.0
        return steps.with_beside((beside, self.beside_spread * beside), (ending, self.ending_spread * ending))

    @property
    def usd(self) -> Range | None:
        """Dollars for that time."""
        seconds = self.run_s
        return None if seconds is None or self.usd_per_h is None else seconds * (self.usd_per_h / HOUR_S)

    @property
    def energy_j(self) -> Range | None:
        """Of the machine for that time."""
        seconds = self.run_s
        return None if seconds is None or self.power_w is None else seconds * self.power_w


def _all_of(count: int, each_s: float | None) -> float | None:
    """Seconds of so many; None where the time of one is not known."""
    if not count:
        return 0.0
    return None if each_s is None else count * each_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How a run stands, as its folder says.

    Attributes:
        id: of the run; name: of what is trained.
        state: one of ``STATES``.
        reason: why it ended, one word: ``finished``, ``max_usd``, ``sigint``, ...; empty while it runs.
        message: what went wrong, for people; empty where nothing did.
        exit_code: of the command; None while it runs.
        step: that is done; steps: of the run.
        checkpoint: step of the newest checkpoint; 0 before the first.
        checkpoints: that were made, but for that of the beginning, in all starts.
        pid: of the process that writes; host: its machine.
        backend, device: it runs on; keras_backend: of the Keras model that it trains, once that is known; empty of another
            framework's. workers: that train it together, of so many devices each.
        started_at: of the first start; updated_at: of this text.
        starts: how often it was begun or resumed.
        spent: seconds so far, all starts.
        energy_j: so far; None where nobody measures.
        usd_per_h: that an hour costs; None where it is not known.
    """

    id: str
    name: str
    state: str
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    step: int = 0
    steps: int
    checkpoint: int = 0
    checkpoints: int = 0
    pid: int
    host: str = ""
    backend: str
    keras_backend: str = ""
    device: str = "cpu"
    started_at: datetime
    updated_at: datetime
    starts: int = 1
    spent: Spent = Spent()
    energy_j: float | None = None
    usd_per_h: float | None = None
    workers: int = 1
    devices: int = 1

    def __post_init__(self) -> None:
        checks.one_of("status", "state", self.state, STATES)
        checks.counts("status", step=self.step, steps=self.steps, starts=self.starts)
        checks.positive("status", workers=self.workers, devices=self.devices)
        checks.counts("status", checkpoint=self.checkpoint, checkpoints=self.checkpoints)
        checks.lines("status", id=self.id, name=self.name, reason=self.reason, backend=self.backend, host=self.host)
        checks.not_negative("status", energy_j=self.energy_j, usd_per_h=self.usd_per_h)

    @property
    def together(self) -> str:
        """Who trains it, in words; empty for one worker of one device."""
        return in_words(self.workers, self.devices) if self.workers * self.devices > 1 else ""

    @property
    def usd(self) -> float | None:
        """Dollars so far."""
        return None if self.usd_per_h is None else self.spent.total_s * self.usd_per_h / HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What came out of a run.

    Attributes:
        status: at its end.
        prediction: from before it; None where none was kept.
        first_loss, last_loss: of training; None where there was no step.
        metrics: of the last evaluation of each part, by part and name.
        baselines: the same names of the stated baseline, by part; empty where there is none.
        scored: samples of that evaluation, by part; empty for tokens, which are not apart from each other.
        best_step, best_loss: of validation; None without one.
        step_s: mean step, waiting left in; wait_share: of it, spent on waiting for batches.
        evaluations, checkpoints: that were made; the checkpoint of the beginning is not among them.
        samples, tokens: that were trained on; tokens None where they are none.
        parameters, trainable: of the model; None where it did not come so far.
        peak_bytes: of memory; peak_how: as whose.
        mfu: of the device's peak; None where either is not known.
        model: path of the trained model; empty where it is not finished.
        notes: what was said while it ran.
    """

    status: RunStatus
    prediction: RunPrediction | None = None
    first_loss: float | None = None
    last_loss: float | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scored: Mapping[str, int] = field(default_factory=dict)
    best_step: int | None = None
    best_loss: float | None = None
    step_s: float | None = None
    wait_share: float | None = None
    evaluations: int = 0
    checkpoints: int = 0
    samples: int = 0
    tokens: int | None = None
    parameters: int | None = None
    trainable: int | None = None
    peak_bytes: float | None = None
    peak_how: str = ""
    mfu: float | None = None
    model: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", read_only(self.metrics))
        object.__setattr__(self, "baselines", read_only(self.baselines))
        object.__setattr__(self, "scored", read_only(self.scored))
        checks.not_negative("result", step_s=self.step_s, peak_bytes=self.peak_bytes, mfu=self.mfu)

    @property
    def judged(self) -> str:
        """The part that it is judged by: test data, else validation data; empty without an evaluation."""
        return next((part for part in ("test", "validation") if part in self.metrics), "")

    def doubt(self, part: str, name: str) -> Range | None:
        """95 % of an accuracy by the choice of samples alone; None of another metric, or where nobody counted them."""
        samples, value = self.scored.get(part), self.metrics[part][name]
        if name != ACCURACY or not samples or not 0.0 <= value <= 1.0:
            return None
        return Range.of_share(value, samples)

    @property
    def no_better(self) -> tuple[str, ...]:
        """The metrics of the judged part that are no better than the baseline, by name."""
        values, known = self.metrics.get(self.judged, {}), self.baselines.get(self.judged, {})
        return tuple(
            name
            for name, value in values.items()
            if name in known and not (value > known[name] if name == ACCURACY else value < known[name])
        )
