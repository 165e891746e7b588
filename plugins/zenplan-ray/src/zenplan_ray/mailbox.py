"""What workers say, and what they are told: kept by an actor of Ray's, which outlives each of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

# How often it is looked into.
LOOK_S: Final = 0.1


class Said(NamedTuple):
    """A line of a worker, or what Ray says of workers that are gone.

    Attributes:
        rank: of the worker. life: of it, another after it began again. line: an event; empty as it begins.
        lost: why workers are gone; empty of a line.
    """

    rank: int = -1
    life: str = ""
    line: str = ""
    lost: str = ""


class Mailbox:
    """The actor. What workers are told stays in it: one that begins again is told all of it."""

    def __init__(self) -> None:
        self._said: list[Said] = []
        self._told: list[str | None] = []

    def say(self, said: Said) -> None:
        """Of a worker, or of Ray."""
        self._said.append(said)

    def heard(self) -> list[Said]:
        """What was said since the last call."""
        said, self._said = self._said, []
        return said

    def tell(self, line: str | None) -> None:
        """A line of the parent's; None where it is gone."""
        self._told.append(line)

    def told(self, since: int) -> list[str | None]:
        """What was told, but for so many of the first."""
        return self._told[since:]


def opened() -> Any:
    """A handle on a new one. Ray is running."""
    import ray

    return ray.remote(Mailbox).options(num_cpus=0).remote()
