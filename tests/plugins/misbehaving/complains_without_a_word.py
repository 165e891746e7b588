"""It says that the user is wrong, and not why.

Said: it raised UsageError without a word
"""

from __future__ import annotations

from zenplan import UsageError, hookimpl


class Family:
    name = "complains-without-a-word"

    def presets(self) -> list[str]:
        return ["wordless-1b"]

    def lower(self, options: object) -> object:
        raise UsageError("")


@hookimpl
def zenplan_workloads() -> list[Family]:
    return [Family()]
