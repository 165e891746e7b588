"""On what an engine trains one model, beyond one device of one worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zenplan.units import many


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """What it can; by default nothing of it.

    Attributes:
        workers: whether several processes train one model.
        devices: whether a process trains on several devices.
        divides: whether matrices are divided over devices.
        shards: whether workers have a part each of weights, gradients and what the optimizer keeps (ZeRO 3).
        starts: whether the engine's one worker process starts the others, and begins again where one is lost; else zenplan
            starts each of them, with ``Train.ranks``.
    """

    workers: bool = False
    devices: bool = False
    divides: bool = False
    shards: bool = False
    starts: bool = False

    def words(self) -> str:
        """For people; empty where it is nothing."""
        of_workers = "workers" if self.devices else "workers with a device each"
        named = (
            (self.workers, of_workers),
            (self.devices, "devices" if self.workers else "devices of one worker"),
            (self.divides, "matrices divided over them"),
            (self.shards, "ZeRO 3"),
        )
        return ", ".join(text for can, text in named if can)


ONE_DEVICE = Several()


def in_words(workers: int, devices: int) -> str:
    """Who trains, in words: ``2 workers``, ``4 devices``, ``2 workers of 4 devices each``."""
    if devices == 1:
        return many(workers, "worker")
    return many(devices, "device") if workers == 1 else f"{many(workers, 'worker')} of {many(devices, 'device')} each"


# Each number is changed by its own gradient alone, which those that are left out do not keep to.
_BY_NUMBER: Final = ("adam", "adamw", "lion", "nadam", "rmsprop", "adagrad", "sgd")


def undivided(optimizer: str, compiled: bool | None, quantize: str) -> tuple[str, str] | None:
    """Why ZeRO 3 of zenplan's own engine cannot train so, and what can; None where it can."""
    if optimizer not in _BY_NUMBER:
        return f"{optimizer} goes by whole matrices, which ZeRO 3 divides", f"--optimizer {_BY_NUMBER[1]}, or no --zero"
    if compiled:
        return "a model that is divided by ZeRO 3 is not compiled", "leave out --compiled, or --zero"
    if quantize:
        return f"weights in {quantize} are not divided by ZeRO 3", "leave out --quantize, or --zero"
    return None
