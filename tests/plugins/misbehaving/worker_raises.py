"""Its engine does not know how its worker is started.

Said: worker-raises.worker(): FileNotFoundError
"""

from __future__ import annotations

from zenplan import hookimpl


class Engine:
    name = "worker-raises"
    extra = "nothing"

    def worker(self) -> list[str]:
        raise FileNotFoundError(2, "no worker")


@hookimpl
def zenplan_engines() -> list[Engine]:
    return [Engine()]
