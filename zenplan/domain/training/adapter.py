"""An adapter as PEFT writes it down: of which model it is, and what it is like."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What an ``adapter_config.json`` says.

    Attributes:
        base: the name of the model that it is of; empty where that is not said.
        rank: of its pairs of thin products.
        modules: names of the products that have such a pair; empty for PEFT's own choice.
        normed: DoRA: the weights that it makes are scaled to lengths that are learned.
    """

    base: str
    rank: int
    modules: tuple[str, ...] = ()
    normed: bool = False

    def __post_init__(self) -> None:
        checks.positive("adapter", rank=self.rank)
