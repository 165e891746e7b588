"""Net: collects the operators of a network, block by block, while its feature maps are passed from layer to layer."""

from __future__ import annotations

from dataclasses import replace

from zenplan.domain.model.operators import Elementwise, ElementwiseKind, Operator, Split
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact


class Net:
    """What the layers of a network have in common: its blocks so far, and which maps are already kept.

    Attributes:
        frozen: layers that are added now do not learn.
        frozen_norms: batch norms do not.
    """

    def __init__(self) -> None:
        self.frozen, self.frozen_norms = False, False
        self._blocks: list[Block] = []
        self._name, self._operators = "stem", list[Operator]()
        self._maps = 0
        self._kept: set[int] = set()
        self._statistics = 0.0

    def new_map(self) -> int:
        """A number for a feature map, by which it is known again."""
        self._maps += 1
        return self._maps

    def keep(self, key: int, elements: float) -> float:
        """Elements that one more operator keeps for the backward pass: none where the map is kept already."""
        if key in self._kept:
            return 0.0
        self._kept.add(key)
        return elements

    def add(self, operator: Operator) -> None:
        """The next operator."""
        self._operators.append(operator)

    def add_statistics(self, parameters: float) -> None:
        """Parameters that no gradient changes: moving means and variances."""
        self._statistics += parameters

    def block(self, name: str, boundary: float) -> None:
        """End a block, which that many elements leave, and begin the next.

        One that is like the one before it is a repetition of it.
        """
        if self._operators:
            self._close(name, boundary)
        self._name = name

    def _close(self, name: str, boundary: float) -> None:
        done = Block(name=self._name, operators=tuple(self._operators), boundary=boundary)
        last = self._blocks[-1] if self._blocks else None
        if last is not None and replace(last, repeat=1, name=done.name) == done:
            self._blocks[-1] = replace(last, repeat=last.repeat + 1)
        else:
            self._blocks.append(done)
        self._operators = []

    def workload(
        self, name: str, usual: Usual, facts: tuple[Fact, ...] = (), *, unit: str = "images", read: str = "image"
    ) -> Workload:
        """What was collected; the block that is not ended is the network's head. ``read`` is the workload's input."""
        if self._statistics:
            # Written once a step, beside the maps; next to nothing.
            self.add(
                Elementwise(
                    name="moving statistics",
                    kind=ElementwiseKind.STATISTICS,
                    elements=self._statistics,
                    passes=1,
                    split=Split.NONE,
                    weights=self._statistics,
                    trainable=False,
                )
            )
        head = Block(name=self._name, operators=tuple(self._operators), place="last")
        return Workload(
            name=name,
            family="convnet",
            blocks=(*self._blocks, head),
            tokens_per_sample=1,
            unit=unit,
            usual=usual,
            input=read,
            facts=facts,
        )
