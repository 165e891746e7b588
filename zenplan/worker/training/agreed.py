"""Wishes of a run that several workers train: whoever hears one, all of them heed it at the same step."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from zenplan.worker.protocol import Event, Pulse
from zenplan.worker.training.group import Group
from zenplan.worker.training.wishes import Wishes

# Between two times that they tell each other, and the most steps between them.
_EVERY_S: Final = 0.2
_MOST: Final = 64


@dataclass(slots=True)
class AgreedWishes:
    """As of ``Wishes``: what was wished when the workers last told each other.

    A notice of a cloud, or a SIGTERM, may come to one machine alone; distances are told to rank 0 alone.

    Attributes:
        own: of this worker.
        say: tells the parent.
        fresh: whether they told each other at the last look: all do so at the same step.
    """

    own: Wishes
    group: Group
    say: Callable[[Event], None]
    reason: str = ""
    every: int | None = None
    evaluate_every: int | None = None
    fresh: bool = True
    _left: int = 1
    _looks: int = 0
    _host: str = field(default_factory=socket.gethostname)
    _since: float = field(default_factory=time.perf_counter)

    def begin(self) -> None:
        """As of ``Wishes``."""
        self.own.begin()

    def look(self) -> str:
        """As of ``Wishes``: all workers look at the same steps, and tell each other at some of them."""
        self._left -= 1
        self._looks += 1
        self.fresh = self._left <= 0
        if self.fresh:
            self._agree()
        return self.reason

    def wait(self) -> None:
        """As of ``Wishes``: rank 0 waits, and the others for it."""
        if self.group.rank == 0:
            self.own.wait()
        self._agree()

    def parent_gone(self) -> None:
        """As of ``Wishes``."""
        self.own.parent_gone()

    def all_think(self, mine: bool) -> bool:
        """What rank 0 thinks."""
        return self.group.told("yes" if mine else "") == "yes"

    def _agree(self) -> None:
        now, own = time.perf_counter(), self.own
        each_s = (now - self._since) / max(1, self._looks)
        following = max(1, min(_MOST, int(_EVERY_S / each_s) if each_s > 0.0 else _MOST))
        pace = self.group.pace
        mine = [own.look(), own.every, own.evaluate_every, following, self._host, pace.begun, pace.done, pace.busy_s()]
        said = [json.loads(each) for each in self.group.gathered(json.dumps(mine))]
        self.reason = next((each[0] for each in said if each[0]), "")
        _, self.every, self.evaluate_every, self._left = said[0][:4]
        for rank, (host, begun, done, busy_s) in enumerate(each[4:] for each in said):
            if busy_s is not None:
                self.say(Pulse(rank=rank, host=host, begun=begun, done=done, busy_s=busy_s))
        self._looks, self._since = 0, time.perf_counter()
