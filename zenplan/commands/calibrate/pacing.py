"""Which points of a model are measured, one after another, while the minutes last: each by what the others told.

The next point is the one that makes the answer most certain, of those that are expected to end in time. The whole model
at the wanted batch makes it as certain as it gets: what can be run whole is run whole. What cannot is approached by
deeper models and larger parts of the batch, each of which is predicted before it is measured (``counted_fit``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from zenplan import units
from zenplan.commands.calibrate.running import MOST_ROUNDS, Session, Work
from zenplan.commands.calibrate.subject import Subject, Task
from zenplan.domain.measured.calibration import PROGRAM, STEP, Calibration, Measured, Point, Sample
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.errors import DataError, FailureKind
from zenplan.planning.calibration.counted_fit import counted_step, kind_of, tells_parts
from zenplan.planning.calibration.depth_fit import prediction_of
from zenplan.planning.calibration.design import depths_for

# What a device computes at the least, in FLOP/s: a core, or a GPU. It only decides on what is tried first.
_SLOW_FLOP_PER_S: Final = {"cpu": 5e10, "gpu": 1e13}
# Of the time that is left: what the first step may take, what another point may take, and the whole model.
_FIRST, _ANOTHER, _WHOLE = 0.05, 0.45, 0.75
# What another point may take when nothing shorter tells more, and there is an answer already: it is cut off with the time.
_THE_LAST: Final = 1.0
# Compiling the whole model without running it may take that much of it.
_PROGRAM: Final = 0.35
# Steps of a point: to warm up, where they are short and where they are not; and at the least timed.
_WARM, _WARM_LONG, _LONG_S, _LEAST = 2, 1, 1.0, 2
# What is not certain takes that much longer than expected.
_LATER: Final = 1.3
# Another point must make the answer more certain by that; by little where it takes less than that share of the time, or
# where the answer is less certain than that: minutes that are left tell nobody anything.
_WORTH, _CHEAP, _WORTH_LITTLE, _SURE = 0.9, 0.15, 0.995, 0.04
_MOST_POINTS: Final = 7
# Fewer leave none to see whether the others foretell it.
_ENOUGH: Final = 4
# Each time that the depth grows by the deepest's, compiling takes so much longer, in parts of what that took: before two
# depths tell, and then, since programs grow faster than their depth (0.1 to 1.3 of ten models with jax; 2026-11).
_DEEPER_FIRST, _DEEPER = 0.35, 0.7
# The second model is built in less time than the first, for which everything is imported.
_BUILT_AGAIN: Final = 0.3
# What compiling code that never runs takes, of what compiling code that does.
_NEVER_RUN: Final = 0.5
# The engine that can compile a program without running it.
_TELLS_BYTES: Final = "jax"
# Systems kill what takes too much of it.
_OF_MEMORY: Final = (FailureKind.OUT_OF_MEMORY, FailureKind.KILLED)
_OF_HOST_MEMORY: Final = 0.7
# In which the amounts of work are in proportion to the samples.
_OF_A_STEP: Final = ("steps", "operators", "parameters", "recurrent_steps")


@dataclass(slots=True, kw_only=True)
class Pace:
    """The choice of what is measured next.

    Attributes:
        asked: keys of points that were asked for, so that none is asked for twice.
        rounds: that all points were stepped in turns, at the end.
    """

    session: Session
    subject: Subject
    asked: set[str] = field(default_factory=set)
    ended: bool = False

    def next(self) -> Work | None:
        """What to do now; None where nothing more is worth its time."""
        if self.ended:
            return None
        every = self._measured()
        done = [m for m in every if m.samples and m.point.role == STEP]
        found = self._prediction() if done else None
        self._say(found)
        if self._is_whole(done):
            return self._last(done)
        task = self._another(done, every) if done else self._first(every)
        if task is not None:
            self.asked.add(task.point.key)
            return Work(tasks=(task,), rounds=_LEAST if self.session.how.device == "cpu" else MOST_ROUNDS)
        return self._last(done)

    def answered(self) -> bool:
        """Whether a step can be predicted by now."""
        return any(m.samples for m in self._measured()) and self._prediction() is not None

    # --- what there is

    def _measured(self) -> list[Measured]:
        return [each.measured() for each in self.session.record.progress.values()]

    def _calibration(self) -> Calibration:
        return self.session.calibration()

    def _prediction(self) -> StepPrediction | None:
        return prediction_of(self._calibration())[0]

    def _say(self, found: StepPrediction | None) -> None:
        """What is known so far."""
        if found is not None:
            step = found.step_s
            self.session.so_far = (
                f"step {units.duration(step.mid)} ({units.duration(step.low)}-{units.duration(step.high)})"
            )

    def _is_whole(self, done: Sequence[Measured]) -> bool:
        target = self.subject.target
        return any(m.point.depth == target.depth and m.point.batch == target.batch for m in done)

    # --- what may be measured

    def _first(self, every: Sequence[Measured]) -> Task | None:
        """The least deep at the largest part of the batch whose step is short even on a slow device."""
        how, left_s = self.session.how, self.session.left_s
        rate = _SLOW_FLOP_PER_S[how.device] * (1 if how.device == "gpu" else how.threads)
        tried = [p for p in self._candidates(every) if p.role == STEP]
        if not tried:
            return None
        depth = min(p.depth or 1 for p in tried)
        least = [p for p in tried if (p.depth or 1) == depth]
        fit = [p for p in least if self.subject.flop(p.depth, p.batch) <= _FIRST * left_s * rate]
        found = max(fit, key=lambda p: p.batch) if fit else min(least, key=lambda p: p.batch)
        return self.subject.task(STEP, found.depth, found.batch)

    def _candidates(self, every: Sequence[Measured]) -> list[Point]:
        """Points that were not asked for yet, and that memory has room for."""
        subject = self.subject
        known = {m.point.key for m in every} | self.asked
        short = [m.point for m in every if m.failure_kind in _OF_MEMORY]
        found = [subject.point(STEP, d, b) for d in self._depths() for b in _parts(subject.batch)]
        found = [p for p in found if p.key not in known and self._fits(p) and not _as_large(p, short, subject)]
        if not self.session.how.whole:
            found = [p for p in found if (p.depth, p.batch) != (subject.depth, subject.batch)]
        return found

    def _depths(self) -> tuple[int | None, ...]:
        depth = self.subject.depth
        if depth is None:
            return (None,)
        deep = depths_for(depth, superlinear=True)
        # One deeper than those that were named shows what grows with the depth; a builder that has none of it loses it.
        named = self.subject.depths
        return (*(named or deep), *(d for d in deep[-1:] if named and d > max(named)), depth)

    def _fits(self, point: Point) -> bool:
        usable = self.session.profile.host.usable_memory_bytes
        if self.session.how.device != "cpu" or not usable or point.predicted_bytes is None:
            return True
        return point.predicted_bytes <= _OF_HOST_MEMORY * usable

    # --- what is chosen

    def _another(self, done: Sequence[Measured], every: Sequence[Measured]) -> Task | None:
        """The point that makes the answer most certain for the time that there is."""
        candidates = self._candidates(every)
        whole = [p for p in candidates if (p.depth, p.batch) == (self.subject.depth, self.subject.batch)]
        left_s, expected = self.session.left_s, self._expected(done)
        if whole and expected.cost_s(whole[0]) <= _WHOLE * left_s:
            return self.subject.task(STEP, whole[0].depth, whole[0].batch)
        if len(done) >= _MOST_POINTS:
            return None
        less = [p for p in candidates if p not in whole]
        if len(done) > 1 and (program := self._program(done, every, expected)) is not None:
            return program
        at_batch = [] if tells_parts(self._kind()) else [p for p in less if p.batch == self.subject.batch]
        for some, share in ((s, share) for s in (at_batch, less) for share in (_ANOTHER, _THE_LAST)):
            fit = [p for p in some if expected.cost_s(p) <= share * left_s]
            best = min(fit, key=lambda p: (round(expected.spread([p]), 3), expected.cost_s(p)), default=None)
            if best is not None and (len(done) < 2 or self._is_worth(best, expected)):
                return self.subject.task(STEP, best.depth, best.batch)
        return None

    def _expected(self, done: Sequence[Measured]) -> _Expected:
        """What the measured points foretell."""
        found = self.session.record.progress
        compiling = {m.point.key: each.compile_s for m in done if (each := found[m.point.key]).compile_s is not None}
        return _Expected(done=done, compile_s=compiling, subject=self.subject, kind=self._kind())

    def _is_worth(self, point: Point, expected: _Expected) -> bool:
        cheap, known = expected.cost_s(point) <= _CHEAP * self.session.left_s, expected.spread([])
        if cheap and len(expected.done) < _ENOUGH:
            return True
        return expected.spread([point]) <= (_WORTH_LITTLE if cheap or known > _SURE else _WORTH) * known

    def _program(self, done: Sequence[Measured], every: Sequence[Measured], expected: _Expected) -> Task | None:
        """The whole model, compiled and not run, where its compiler tells what it moves and the time allows."""
        subject = self.subject
        if self.session.engine.name != _TELLS_BYTES or self.session.how.compiled is False or subject.depth is None:
            return None
        task = subject.task(PROGRAM, subject.depth, subject.batch)
        if task.point.key in {m.point.key for m in every} | self.asked:
            return None
        cost_s = _LATER * (expected.built_s() + _NEVER_RUN * expected.compiled_s(task.point))
        return task if cost_s <= _PROGRAM * self.session.left_s else None

    def _last(self, done: Sequence[Measured]) -> Work | None:
        """Rounds in turns of what there is; of the whole model alone where it ran."""
        self.ended = True
        target = self.subject.target
        whole = [m for m in done if (m.point.depth, m.point.batch) == (target.depth, target.batch)]
        chosen = whole or done
        if not chosen or self.session.how.device == "gpu":
            return None
        round_s = sum(median(s.wall_s for s in m.samples) for m in chosen)
        left = min(self.session.left_s, self.session.stepping_s) * _WHOLE
        rounds = min(MOST_ROUNDS - _LEAST, int(left / max(round_s, 1e-6)))
        if rounds < 1:
            return None
        return Work(tasks=tuple(self.subject.task(STEP, m.point.depth, m.point.batch) for m in chosen), rounds=rounds)

    def _kind(self) -> str:
        return kind_of(self._calibration().fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What points may cost, and what they would tell, by what was measured.

    Attributes:
        done: in the order in which they were measured.
        compile_s: key to the seconds of compiling it, with its first step; of those that tell.
    """

    done: Sequence[Measured]
    compile_s: Mapping[str, float]
    subject: Subject
    kind: str

    def cost_s(self, point: Point) -> float:
        """Setting it up and its first steps."""
        step_s = self.step_s(point)
        return _LATER * (self.built_s() + self.compiled_s(point) + (_warm(step_s) + _LEAST) * step_s)

    def step_s(self, point: Point) -> float:
        """Of a step, by the clock on the wall."""
        try:
            return counted_step(self.done, self._counted(point), "wall", self.kind, None).mid_s
        except DataError:
            largest = max(self.done, key=lambda m: self._flop(m.point))
            return largest.step_s("wall") * self._flop(point) / max(self._flop(largest.point), 1.0)

    def built_s(self) -> float:
        """Building one more: as long as those after the first took, or a share of the first."""
        took = [max(0.0, (m.setup_s or 0.0) - self._compiling_s(m) - m.step_s("wall")) for m in self.done]
        return max(took[1:], default=_BUILT_AGAIN * took[0])

    def compiled_s(self, point: Point) -> float:
        """Compiling it: by the line through the two deepest, and no less than programs usually grow."""
        known: dict[int, float] = {}
        for m in self.done:
            depth, took = m.point.depth or 1, max(0.0, self._compiling_s(m) - m.step_s("wall"))
            known[depth] = min(took, known.get(depth, took))
        deepest = max(known)
        beyond = max(0.0, (point.depth or 1) / deepest - 1.0)
        found = known[deepest] * (1.0 + (_DEEPER if len(known) > 1 else _DEEPER_FIRST) * beyond)
        if len(known) < 2:
            return found
        before = max(known.keys() - {deepest})
        slope = (known[deepest] - known[before]) / (deepest - before)
        return max(found, known[deepest] + slope * deepest * beyond)

    def _compiling_s(self, measured: Measured) -> float:
        """With the first step; all of the setup where nobody told it apart."""
        return self.compile_s.get(measured.point.key, measured.setup_s or 0.0)

    def spread(self, more: Sequence[Point]) -> float:
        """Of the answer, were those points measured as they are expected."""
        try:
            made = [replace(self.done[0], point=p, samples=self._samples(p)) for p in map(self._counted, more)]
            return counted_step([*self.done, *made], self.subject.target, "wall", self.kind, None).spread
        except DataError:
            # What nobody counted: the nearer, the more certain.
            every = [*(m.point for m in self.done), *more]
            return 1.0 - max(self._flop(p) for p in every) / max(self._flop(self.subject.target), 1.0)

    def _samples(self, point: Point) -> tuple[Sample, ...]:
        first = self.done[0].samples[0]
        seconds = self.step_s(point)
        return (replace(first, wall_s=seconds, cpu_s=seconds),)

    def _flop(self, point: Point) -> float:
        return self.subject.flop(point.depth, point.batch)

    def _counted(self, point: Point) -> Point:
        """The point with its features: as they were counted at that depth, or between those that were."""
        if point.features:
            return point
        known = {m.point.depth or 1: _at_batch(m.point, point.batch) for m in self.done if m.point.features}
        target = self.subject.target
        known |= {target.depth or 1: _at_batch(target, point.batch)}
        depth = point.depth or 1
        below = max((d for d in known if d <= depth), default=min(known))
        above = min((d for d in known if d >= depth), default=max(known))
        share = (depth - below) / (above - below) if above > below else 0.0
        names = known[below].keys() | known[above].keys()
        low, high = known[below], known[above]
        return replace(point, features={n: (1 - share) * low.get(n, 0.0) + share * high.get(n, 0.0) for n in names})


def _warm(step_s: float) -> int:
    """Steps before the first that is timed."""
    return _WARM if step_s < _LONG_S else _WARM_LONG


def _at_batch(point: Point, batch: int) -> dict[str, float]:
    share = batch / point.batch
    return {n: v if n in _OF_A_STEP else v * share for n, v in point.features.items()}


def _parts(batch: int) -> tuple[int, ...]:
    """The batch, its half, its quarter and so on down to one sample."""
    found = {batch}
    while (batch := batch // 2) >= 1:
        found.add(batch)
    return tuple(sorted(found, reverse=True))


def _as_large(point: Point, short: Sequence[Point], subject: Subject) -> bool:
    """Whether memory was not enough for something that is no larger."""
    return any(
        point.batch >= p.batch and subject.flop(point.depth, point.batch) >= subject.flop(p.depth, p.batch)
        for p in short
    )
