"""Its tracker does not come back from a step.

Said:
"""

from __future__ import annotations

import time

from zenplan import hookimpl


class Followed:
    def log(self, step: int, values: object) -> None:
        time.sleep(3600)

    def finish(self, state: str) -> None:
        time.sleep(3600)


class Tracker:
    name = "tracker-hangs"

    def start(self, run: object) -> Followed:
        return Followed()


@hookimpl
def zenplan_trackers() -> list[Tracker]:
    return [Tracker()]
