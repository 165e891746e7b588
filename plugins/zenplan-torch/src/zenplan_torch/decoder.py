"""A decoder language model of plain PyTorch: the same network, by the same options, as zenplan's kind ``decoder``."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

# A variable as Keras names and shapes it, and the part of a parameter that it is, seen in that shape.
Named = tuple[str, tuple[int, ...], Tensor]


class Decoder(nn.Module):
    """GPT-2 (Radford et al. 2019) with its output a layer of its own; normalisation comes before each part.

    Args:
        vocabulary: tokens that there are.
        layers, width, heads: of the blocks.
        length: tokens of a sample.
        feedforward: width within a block; 0 for four times the width.
        dropout: share that is left out.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        layers: int = 4,
        width: int = 256,
        heads: int = 4,
        length: int = 128,
        feedforward: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.length = length
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, feedforward or 4 * width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the token after each: samples × length × vocabulary."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def named(self) -> Iterator[Named]:
        """Its parameters, as Keras has those of the same network, in its order: initial weights are drawn for these."""
        yield "tokens_table/embeddings", tuple(self.tokens.weight.shape), self.tokens.weight
        yield "positions/embeddings", tuple(self.positions.weight.shape), self.positions.weight
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)  # noqa: S101 - what a ModuleList holds has no type
            yield from block.named(f"block{number}")
        yield from _norm("norm", self.norm)
        yield "head/kernel", tuple(self.head.weight.T.shape), self.head.weight.T


class Block(nn.Module):
    """Attention to what came before, then two layers on each token."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        samples, length, width = x.shape
        parts = self.attention(self.norm1(x)).view(samples, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.dropout(self.output(seen.transpose(1, 2).reshape(samples, length, width)))
        y: Tensor = self.down(functional.gelu(self.up(self.norm2(x))))
        return x + self.dropout(y)

    def named(self, name: str) -> Iterator[Named]:
        """As of ``Decoder``."""
        width, heads = self.output.in_features, self.heads
        each = width // heads
        yield from _norm(f"{name}_norm1", self.norm1)
        parts = zip(
            ("query", "key", "value"), self.attention.weight.chunk(3), self.attention.bias.chunk(3), strict=True
        )
        for part, weight, bias in parts:
            path = f"{name}_attention/{part}"
            yield f"{path}/kernel", (width, heads, each), weight.T
            yield f"{path}/bias", (heads, each), bias
        path = f"{name}_attention/attention_output"
        yield f"{path}/kernel", (heads, each, width), self.output.weight.T
        yield f"{path}/bias", (width,), self.output.bias
        yield from _norm(f"{name}_norm2", self.norm2)
        yield from _dense(f"{name}_up", self.up)
        yield from _dense(f"{name}_down", self.down)


@torch.no_grad()
def begin(model: Decoder, arrays: list[Tensor]) -> None:
    """Give it these weights, one for each of ``named``."""
    for (_, _, tensor), array in zip(model.named(), arrays, strict=True):
        tensor.copy_(array.reshape(tensor.shape))


def _norm(name: str, layer: nn.LayerNorm) -> Iterator[Named]:
    yield f"{name}/gamma", tuple(layer.weight.shape), layer.weight
    yield f"{name}/beta", tuple(layer.bias.shape), layer.bias


def _dense(name: str, layer: nn.Linear) -> Iterator[Named]:
    yield f"{name}/kernel", tuple(layer.weight.T.shape), layer.weight.T
    yield f"{name}/bias", tuple(layer.bias.shape), layer.bias
