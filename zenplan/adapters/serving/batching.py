"""Dynamic batching: samples of several requests go to the model together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zenplan.adapters.serving.refusal import not_ready, overloaded
from zenplan.adapters.serving.worker import Array, ModelWorker
from zenplan.errors import ZenplanError

Sample = Mapping[str, Array]
# Told each batch: its inputs, what the model returned, and the seconds of the call.
Seen = Callable[[Mapping[str, Array], Array, float], None]
# One batch is at the model and one behind it: then it never waits for the next.
_DEPTH = 2


@dataclass(slots=True, eq=False)
class _Asked:
    """Samples of one request.

    Attributes:
        since: when it came, by the loop's clock.
        taken: samples that are in a batch already.
        rows: of the answer; missing: that have not come.
    """

    samples: Sequence[Sample]
    done: asyncio.Future[list[Array]]
    since: float
    taken: int = 0
    rows: list[Array | None] = field(default_factory=list)
    missing: int = 0


@dataclass(slots=True, kw_only=True)
class Batcher:
    """Puts samples together.

    A batch goes to the model once it is full; or, where the model has nothing to do, once its oldest sample has waited.

    Attributes:
        batch: samples at most; wait_s: that a sample waits for others; most_waiting: samples over which more are refused.
        seen: told each batch.
        waiting: samples that are in no batch yet.
    """

    worker: ModelWorker
    batch: int
    wait_s: float
    most_waiting: int
    seen: Seen
    waiting: int = 0
    _asked: deque[_Asked] = field(default_factory=deque)
    _flying: set[asyncio.Task[None]] = field(default_factory=set)
    _timer: asyncio.TimerHandle | None = None

    async def predict(self, samples: Sequence[Sample]) -> list[Array]:
        """What the model returns for each.

        Raises:
            Refusal: too many wait, or there is no model.
        """
        if self.worker.serving is None:
            raise not_ready()
        if self.waiting + len(samples) > self.most_waiting:
            raise overloaded(self.waiting)
        loop = asyncio.get_running_loop()
        asked = _Asked(samples, loop.create_future(), loop.time(), rows=[None] * len(samples), missing=len(samples))
        self._asked.append(asked)
        self.waiting += len(samples)
        self._go()
        return await asked.done

    def _go(self) -> None:
        """Send what is ready to be sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._asked and len(self._flying) < _DEPTH:
            if self.waiting < self.batch:
                if self._flying:
                    return
                loop = asyncio.get_running_loop()
                left_s = self._asked[0].since + self.wait_s - loop.time()
                if left_s > 0:
                    self._timer = loop.call_later(left_s, self._go)
                    return
            if parts := self._next():
                task = asyncio.create_task(self._fly(parts))
                self._flying.add(task)
                task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._go()

    def _next(self) -> list[tuple[_Asked, int, int]]:
        """Which samples of which requests are in the next batch; those that nobody waits for any more are left out."""
        parts, room = list[tuple[_Asked, int, int]](), self.batch
        while self._asked and room:
            first = self._asked[0]
            left = len(first.samples) - first.taken
            if first.done.done():
                self.waiting -= left
                self._asked.popleft()
                continue
            count = min(left, room)
            parts.append((first, first.taken, first.taken + count))
            first.taken += count
            self.waiting -= count
            room -= count
            if count == left:
                self._asked.popleft()
        return parts

    async def _fly(self, parts: list[tuple[_Asked, int, int]]) -> None:
        samples = [sample for asked, begin, end in parts for sample in asked.samples[begin:end]]
        inputs = {name: np.stack([each[name] for each in samples]) for name in samples[0]}
        try:
            output, wall_s = await self.worker.predict(inputs)
        except ZenplanError as error:
            for asked, _, _ in parts:
                if not asked.done.done():
                    asked.done.set_exception(error)
            return
        place = 0
        for asked, begin, end in parts:
            asked.rows[begin:end] = list(output[place : place + end - begin])
            place += end - begin
            asked.missing -= end - begin
            if not asked.missing and not asked.done.done():
                asked.done.set_result([row for row in asked.rows if row is not None])
        self.seen(inputs, output, wall_s)

    def drop(self) -> None:
        """Refuse what waits: the model is gone."""
        for asked in self._asked:
            if not asked.done.done():
                asked.done.set_exception(not_ready())
        self._asked.clear()
        self.waiting = 0
