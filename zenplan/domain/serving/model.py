"""ServedModel: what of a language model is stored, read, computed and kept while it generates text."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.provenance import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """What the attention of alike layers keeps of each token.

    Attributes:
        layers: how many.
        elements: of one token in one layer.
        heads: key-value heads, which tensor parallelism divides; 1 where every device needs all of it.
        window: the most tokens that one layer keeps, None for all.
        flop: of one query with one key, in one layer.
    """

    layers: int
    elements: float
    heads: int
    window: int | None
    flop: float

    def __post_init__(self) -> None:
        checks.positive("cache", layers=self.layers, elements=self.elements, heads=self.heads, window=self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """The experts of alike layers: a token meets ``active`` of ``experts`` in each layer.

    Attributes:
        parameters: of all experts of all those layers.
    """

    experts: int
    active: int
    parameters: float

    def __post_init__(self) -> None:
        checks.positive("mixture", experts=self.experts, active=self.active, parameters=self.parameters)

    def met(self, tokens: float) -> float:
        """Share of the experts that so many tokens meet, drawn at random: 1 − (1 − active / experts)^tokens."""
        return float(1.0 - (1.0 - self.active / self.experts) ** tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A language model that generates text, one token after another.

    Attributes:
        products: parameters that every token meets in products of the layers, and that are quantised where the layers are.
        head: those of the product into the vocabulary, which only the last token of a prompt meets.
        stored_apart: parameters that no step reads whole, or that stay wide: the embedding, norms, the head where it is
            not the embedding's.
        mixtures, caches: of the layers.
        state_elements: kept for a request whatever its length (state-space layers).
        layers: how many; ``reductions`` sums over a tensor-parallel group in a pass, all layers.
        width: of the residual stream.
        heads: of attention, which tensor parallelism must divide.
    """

    name: str
    products: float
    head: float
    stored_apart: float
    mixtures: tuple[Mixture, ...]
    caches: tuple[Cache, ...]
    state_elements: float
    layers: int
    reductions: int
    width: int
    heads: int
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        checks.named("served model", name=self.name)
        checks.positive(f"model {self.name}", products=self.products, layers=self.layers, width=self.width)

    @property
    def parameters(self) -> float:
        """All of them."""
        return self.products + self.stored_apart + sum(m.parameters for m in self.mixtures)

    @property
    def active(self) -> float:
        """Parameters of the layers that one token meets in products."""
        return self.products + sum(m.parameters * m.active / m.experts for m in self.mixtures)
