"""Alarms of a run that is followed: each is told when it begins and when it is over, and sent to whoever wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from zenplan.adapters.notify import Notifier
from zenplan.commands.train.screen import Screen, View
from zenplan.commands.watch.following import Followed
from zenplan.errors import ZenplanError
from zenplan.planning.watch.alarms import alarms_of
from zenplan.plugins.guard import Aside

# One that comes and goes is told of so often at most.
_AGAIN_S: Final = 600.0
# For a notification, and for those that are left at the end.
_PATIENCE_S, _LAST_S = 60.0, 15.0
_MOST_WAITING: Final = 100


@dataclass(slots=True)
class Sender:
    """Sends notifications from a thread of its own: none of them, and no failure, holds up who follows a run.

    Attributes:
        notifier: through which; None sends none.
        screen: told once where they cannot be sent.
    """

    notifier: Notifier | None
    screen: Screen
    _aside: Aside | None = None
    _failure: str = ""
    _said: bool = False

    def send(self, title: str, text: str) -> None:
        """To be sent."""
        if self.notifier is None:
            return
        if self._aside is None:
            self._aside = Aside("zenplan-notify", _MOST_WAITING)
        self._aside.call(partial(self._send, self.notifier, title, text))

    def _send(self, notifier: Notifier, title: str, text: str) -> None:
        try:
            notifier.send(title, text)
        except ZenplanError as error:
            # The next may arrive.
            self._failure = error.message

    def look(self) -> None:
        """Whether they are sent."""
        if self._aside is not None and self._aside.failure(_PATIENCE_S):
            # What it says may have an address in it, and that a secret.
            self._failure, self.notifier = "it came to nothing, and no more are sent", None
        if self._failure and not self._said:
            self._said = True
            self.screen.tell("notify", f"a notification was not sent: {self._failure}", {})

    def close(self) -> None:
        """What is left is sent."""
        if self._aside is not None:
            self._aside.close(_LAST_S)
            self.look()


@dataclass(slots=True)
class Alarms:
    """Those of a run.

    Attributes:
        screen: they are told on; sender: that sends them.
    """

    screen: Screen
    sender: Sender
    _now: dict[str, str] = field(default_factory=dict)
    _said_s: dict[str, float] = field(default_factory=dict)

    def look(self, run: Followed, view: View) -> None:
        """Tell of those that have begun, and of those that are over."""
        self._take(found_in(run, view), f"zenplan: run {run.status.id}, {run.status.name}", run.clock())
        self.sender.look()

    def _take(self, found: Mapping[str, str], title: str, now_s: float) -> None:
        for kind, text in found.items():
            if kind not in self._now and now_s - self._said_s.get(kind, -_AGAIN_S) >= _AGAIN_S:
                self._said_s[kind] = now_s
                self.screen.tell("alarm", f"alarm: {text}", {"kind": kind})
                self.sender.send(title, text)
            self._now[kind] = text
        for kind in self._now.keys() - found.keys():
            self.screen.tell("alarm_over", f"no more: {self._now.pop(kind)}", {"kind": kind})


def found_in(run: Followed, view: View) -> Mapping[str, str]:
    """The alarms that hold now."""
    known = view.prediction
    return alarms_of(
        elapsed_s=view.elapsed_s,
        left_s=view.left_s,
        predicted_s=known.run_s if known else None,
        usd=view.usd,
        usd_end=view.usd_end,
        predicted_usd=known.usd if known else None,
        loss=run.loss,
        # Steps that are faster are told of, and nobody is woken for them.
        drift="" if view.faster else view.drift,
        silent_s=run.silent_s,
    )
