"""An operator of its model is none.

Said: blocks[0].operators[0]: a int, not MatMul
"""

from __future__ import annotations

from zenplan import Block, Workload, hookimpl


class Family:
    name = "lowers-nonsense"

    def presets(self) -> list[str]:
        return ["nonsense-1b"]

    def lower(self, options: object) -> object:
        return Workload(name="m", family="f", blocks=(Block(name="b", operators=(7,)),), tokens_per_sample=1)


@hookimpl
def zenplan_workloads() -> list[Family]:
    return [Family()]
