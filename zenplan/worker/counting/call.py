"""Call: one call of a layer or of an operation, as a rule sees it. It knows shapes; no backend and no Keras."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zenplan.domain.model.operators import (
    Attention,
    Elementwise,
    ElementwiseKind,
    Function,
    MatMul,
    Operator,
    Role,
    Split,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """What goes into a call or comes out of it.

    Attributes:
        shape: with the batch; no dimension is open.
        learns: it depends on a weight that is trained, so that it has a gradient.
        key: one object for a tensor and its views, which lie in the same memory.
        weight: it is a weight itself, or was made of weights alone.
        variable: the id of the weight that it is, 0 where it is none.
    """

    shape: tuple[int, ...]
    learns: bool = False
    key: object = field(default_factory=object)
    weight: bool = False
    variable: int = 0

    @property
    def size(self) -> int:
        """Elements, of the whole batch."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        inputs, outputs: its tensors, nested ones flattened; masks are not among the inputs.
        arguments: what it was called with, by the names of its parameters; tensors as ``Tensor``.
        batch: samples in it. Sizes are divided by it, so that a layer which meets a sample in many parts (windows,
            time steps) has the work of all of them.
        learns: weights of the layer are trained.
        kept: keys of tensors that an earlier call keeps for the backward pass.
        owned: ids of weights that a product has counted as its own.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    arguments: Mapping[str, Any]
    batch: int
    learns: bool
    kept: set[object]
    owned: set[int]

    @property
    def reached(self) -> bool:
        """Whether something before it learns, so that its inputs have a gradient."""
        return any(t.learns for t in self.inputs)

    @property
    def backward(self) -> bool:
        """Whether the backward pass comes here at all."""
        return self.learns or self.reached

    def of_sample(self, tensor: Tensor) -> float:
        """Elements of one sample."""
        return tensor.size / self.batch

    def parts(self, tensor: Tensor) -> float:
        """How many entries of the first dimension belong to one sample: 1 where that is the batch."""
        return tensor.shape[0] / self.batch

    def keep(self, tensor: Tensor, needed: bool = True) -> float:
        """Elements of one sample that the backward pass needs; 0 where they are kept already, or not needed."""
        if not (needed and self.backward) or tensor.key in self.kept or tensor.weight:
            return 0.0
        self.kept.add(tensor.key)
        return self.of_sample(tensor)

    def product(
        self,
        name: str,
        source: Tensor,
        columns: float,
        *,
        inner: float | None = None,
        role: Role = Role.OTHER,
        bias: bool = False,
        tied: bool = False,
    ) -> MatMul:
        """A tensor's rows by a weight of the layer: ``inner`` × ``columns``, its last dimension where not given."""
        inner = inner or source.shape[-1]
        rows = self.of_sample(source) / inner
        return MatMul(
            name=name,
            rows=rows,
            inner=inner,
            columns=columns,
            split=Split.NONE,
            role=role,
            bias=bias,
            tied=tied,
            trainable=self.learns,
            input_gradient=source.learns,
            saved=self.keep(source, self.learns) / rows,
        )

    def between(self, name: str, left: Tensor, right: Tensor, rows: float, inner: float, columns: float) -> MatMul:
        """A product of two tensors; ``rows`` of one sample, with all groups. The right one may be a weight."""
        own = right.variable and right.size == inner * columns and right.variable not in self.owned
        if own:
            self.owned.add(right.variable)
        saved = self.keep(left, right.learns) + self.keep(right, left.learns)
        return MatMul(
            name=name,
            rows=rows,
            inner=inner,
            columns=columns,
            split=Split.NONE,
            tied=not own,
            trainable=right.learns,
            input_gradient=left.learns,
            saved=saved / rows,
        )

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        heads: int,
        kv_heads: int,
        key_dim: int,
        value_dim: int,
        queries: int,
        keys: int,
    ) -> tuple[Operator, ...]:
        """Scores and weighted sum. Keras computes masked scores too, so that a causal mask takes nothing off."""
        if (query.learns and key.learns and value.learns) or self.learns:
            return (
                Attention(
                    name="attention",
                    heads=heads,
                    kv_heads=kv_heads,
                    key_dim=key_dim,
                    value_dim=value_dim,
                    queries=queries,
                    keys=keys,
                    causal=False,
                ),
            )
        # Some of it has no gradient, which the noun cannot say.
        return _two_products(query, key, value, rows=heads * queries, key_dim=key_dim, value_dim=value_dim, keys=keys)

    def elementwise(
        self,
        kind: ElementwiseKind,
        name: str,
        *tensors: Tensor,
        function: Function | None = None,
        passes: float | None = None,
        saved: float = 0.0,
        weights: float = 0.0,
    ) -> tuple[Elementwise, ...]:
        """Tensors that are read or written once each, or the largest of them ``passes`` times."""
        largest = max(t.size for t in tensors)
        if not largest:
            return ()
        passes = passes or sum(t.size for t in tensors) / largest
        return (
            Elementwise(
                name=name,
                kind=kind,
                function=function,
                elements=largest / self.batch,
                passes=passes,
                split=Split.NONE,
                saved=saved,
                weights=weights,
                trainable=self.backward,
            ),
        )


def _two_products(
    query: Tensor, key: Tensor, value: Tensor, *, rows: int, key_dim: int, value_dim: int, keys: int
) -> tuple[MatMul, MatMul]:
    """Attention as what it is made of: the scores of ``rows`` (heads × queries), and the weighted sum."""
    scores = MatMul(
        name="scores",
        rows=rows,
        inner=key_dim,
        columns=keys,
        split=Split.NONE,
        tied=True,
        trainable=key.learns,
        input_gradient=query.learns,
    )
    weighted = MatMul(
        name="weighted sum",
        rows=rows,
        inner=keys,
        columns=value_dim,
        split=Split.NONE,
        tied=True,
        trainable=value.learns,
        input_gradient=query.learns or key.learns,
    )
    return scores, weighted
