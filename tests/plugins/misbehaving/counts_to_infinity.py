"""A shape of its model has three hundred digits.

Said: which no such figure reaches
"""

from __future__ import annotations

from zenplan import Block, MatMul, Split, Workload, hookimpl


class Family:
    name = "counts-to-infinity"

    def presets(self) -> list[str]:
        return ["infinite-1b"]

    def lower(self, options: object) -> object:
        up = MatMul(name="up", rows=1, inner=8, columns=8, split=Split.NONE, saved=8.0e299)
        return Workload(name="m", family="f", blocks=(Block(name="b", operators=(up,)),), tokens_per_sample=1)


@hookimpl
def zenplan_workloads() -> list[Family]:
    return [Family()]
