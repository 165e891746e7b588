"""How a server of ``zenplan serve`` answers at a load: its rules of batching, replayed with measured times.

Arrivals at a rate are random (Poisson), always the same ones; so many in flight are clients that each ask again once they
are answered. A closed formula would have to leave out what batches wait for: a full batch goes at once, another one once
its oldest sample has waited, and one more behind the one that the model is at (``adapters/serving/batching.py``).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from zenplan.domain import checks
from zenplan.domain.answer.run_serving import Answered, ServerTimes

# Requests of a replay, and those at its beginning that do not count; calls that are at the model or behind it.
_REQUESTS, _FIRST, _DEPTH = 4000, 400, 2
# Clients that keep a server busy, over the samples of its batch: two are at the model, the others in between.
_BUSY = 4


def predicted(times: ServerTimes, *, rate_per_s: float | None = None, clients: int | None = None) -> Answered:
    """How a server answers requests of one sample each.

    Args:
        times: measured of it.
        rate_per_s: at which they come, below what it answers at its limit; or
        clients: that each wait for an answer before they ask again.
    """
    checks.positive("load", rate_per_s=rate_per_s, clients=clients)
    replay = _Replay(times=times, again=rate_per_s is None)
    replay.run(_arrivals(rate_per_s, clients or 0), _REQUESTS)
    return _answered(replay.done, replay.sizes)


def written(
    times: ServerTimes, tokens: int, *, rate_per_s: float | None = None, clients: int | None = None
) -> Answered:
    """The same of requests for texts of so many tokens: at each step all texts get one, as many as a step takes.

    Args:
        times, rate_per_s, clients: as of ``predicted``.
        tokens: of a text.
    """
    checks.positive("load", tokens=tokens, rate_per_s=rate_per_s, clients=clients)
    texts = max(_FIRST, min(_REQUESTS, 2_000_000 // tokens // times.max_batch))
    left = deque(_arrivals(rate_per_s, clients or 0))
    now, alive, done, sizes = 0.0, list[list[float]](), list[tuple[float, float]](), list[int]()
    while len(done) < texts and (alive or left):
        now = now if alive else max(now, left[0])
        while left and left[0] <= now:
            alive.append([left.popleft(), float(tokens)])
        some = alive[: times.max_batch]
        # Nothing changes before the first text ends, or another comes.
        steps = min(each[1] for each in some)
        step_s = times.call_s(len(some))
        if left and len(some) < times.max_batch:
            steps = min(steps, max(1.0, np.ceil((left[0] - now) / step_s)))
        now += steps * step_s
        sizes += [len(some)] * int(steps)
        for each in some:
            each[1] -= steps
            if each[1] <= 0:
                at = now + times.request_s + times.apart_s
                done.append((at, at - each[0]))
                if rate_per_s is None:
                    left.append(at)
        alive = [each for each in alive if each[1] > 0]
    return _answered(done, sizes)


def limit_per_s(times: ServerTimes, tokens: int | None = None) -> float:
    """Requests a second at most: of texts of so many tokens, or None for predictions."""
    clients = _BUSY * times.max_batch
    if tokens is None:
        return predicted(times, clients=clients).rate_per_s
    return max(size / (times.call_s(size) * tokens) for size in times.calls_s)


def _arrivals(rate_per_s: float | None, clients: int) -> list[float]:
    if rate_per_s is None:
        return [0.0] * clients
    gaps = np.random.default_rng(0).exponential(1.0 / rate_per_s, _REQUESTS)
    return [float(each) for each in np.cumsum(gaps)]


def _answered(done: Sequence[tuple[float, float]], sizes: Sequence[int]) -> Answered:
    """Of what was answered, without the beginning."""
    first = min(_FIRST, len(done) // 4)
    at, took = (np.array(each) for each in zip(*done[first:], strict=True))
    over_s = float(at[-1] - at[0]) if len(at) > 1 else 0.0
    p50, p99 = np.quantile(took, [0.5, 0.99])
    return Answered(
        rate_per_s=(len(at) - 1) / over_s if over_s > 0.0 else 1.0 / float(took.mean()),
        batch=float(np.mean(sizes)),
        mean_s=float(took.mean()),
        p50_s=float(p50),
        p99_s=float(p99),
    )


_Samples = list[tuple[float, float]]


@dataclass(slots=True, kw_only=True)
class _Replay:
    """A server.

    Attributes:
        again: whether who is answered asks again.
        events: what happens when, and in which order.
        free_s: when the server's own work is done; busy_s when the model's call ends, None while it has none.
        flying: calls that are not back; behind: those that wait for the model.
        asked: samples that wait: when their requests came, and when they were read.
        done: when each request was answered, and what it took; sizes: of the calls.
    """

    times: ServerTimes
    again: bool
    events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    order: int = 0
    free_s: float = 0.0
    busy_s: float | None = None
    flying: int = 0
    timer: int = 0
    asked: deque[tuple[float, float]] = field(default_factory=deque)
    behind: deque[_Samples] = field(default_factory=deque)
    done: list[tuple[float, float]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def run(self, arrivals: Sequence[float], most: int) -> None:
        """From these, until so many are answered."""
        for time_s in arrivals:
            self._at(time_s, self._come)
        while self.events and len(self.done) < most:
            time_s, _, do = heapq.heappop(self.events)
            do(time_s)

    def _at(self, time_s: float, do: Callable[[float], None]) -> None:
        self.order += 1
        heapq.heappush(self.events, (time_s, self.order, do))

    def _work(self, now: float, seconds: float, do: Callable[[float], None]) -> None:
        """The server works, one thing after another; a model that shares its cores waits meanwhile."""
        self.free_s = max(now, self.free_s) + seconds
        if self.times.shared and self.busy_s is not None:
            self.busy_s += seconds
        self._at(self.free_s, do)

    def _come(self, now: float) -> None:
        self._work(now, self.times.request_s / 2.0, partial(self._ask, came=now))

    def _ask(self, now: float, came: float) -> None:
        self.asked.append((came, now))
        self._go(now)

    def _go(self, now: float, timer: int | None = None) -> None:
        """Send what is ready to be sent; a timer that was set anew since does nothing."""
        if timer is not None and timer != self.timer:
            return
        self.timer += 1
        while self.asked and self.flying < _DEPTH:
            if len(self.asked) < self.times.max_batch:
                if self.flying:
                    return
                due = self.asked[0][1] + self.times.wait_s
                if due > now:
                    self._at(due, partial(self._go, timer=self.timer))
                    return
            batch = [self.asked.popleft() for _ in range(min(len(self.asked), self.times.max_batch))]
            self.flying += 1
            self._work(now, self.times.batch_s / 2.0, partial(self._send, batch=batch))

    def _send(self, now: float, batch: _Samples) -> None:
        self.behind.append(batch)
        if self.busy_s is None:
            self._call(now)

    def _call(self, now: float) -> None:
        batch = self.behind.popleft()
        self.sizes.append(len(batch))
        self.busy_s = now + self.times.call_s(len(batch))
        self._at(self.busy_s, partial(self._ended, batch=batch))

    def _ended(self, now: float, batch: _Samples) -> None:
        """The model's call has, unless the server's work held it up."""
        if self.busy_s is not None and self.busy_s > now:
            self._at(self.busy_s, partial(self._ended, batch=batch))
            return
        self.busy_s = None
        if self.behind:
            self._call(now)
        self._work(now, self.times.batch_s / 2.0, partial(self._land, batch=batch))

    def _land(self, now: float, batch: _Samples) -> None:
        self.flying -= 1
        self._go(now)
        for came, _ in batch:
            self._work(now, self.times.request_s / 2.0, partial(self._answer, came=came))

    def _answer(self, now: float, came: float) -> None:
        answered = now + self.times.apart_s
        self.done.append((answered, answered - came))
        if self.again:
            self._at(answered, self._come)
