"""Its model has the name of one of zenplan's own.

Said: model gpt2-124m: zenplan has one named gpt2-124m itself
"""

from __future__ import annotations

from zenplan import hookimpl


class Family:
    name = "takes-a-model"

    def presets(self) -> list[str]:
        return ["gpt2-124m"]

    def lower(self, options: object) -> object:
        raise RuntimeError("the impostor was asked")


@hookimpl
def zenplan_workloads() -> list[Family]:
    return [Family()]
