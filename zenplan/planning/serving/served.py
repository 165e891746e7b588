"""A workload as it is served: sums over its operators."""

from __future__ import annotations

from collections.abc import Iterator

from zenplan.domain.model.operators import Attention, MatMul, Operator, Scan
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.serving.model import Cache, Mixture, ServedModel
from zenplan.errors import UsageError

# Families that generate text from one stack of layers.
GENERATE = ("decoder", "moe-decoder")


def served_model(workload: Workload) -> ServedModel:
    """What of the workload is stored, read, computed and kept for each token that it generates.

    Raises:
        UsageError: it does not generate text token by token.
    """
    if workload.family not in GENERATE:
        raise UsageError(
            f"{workload.name} does not generate text token by token: its family is {workload.family}",
            "name a decoder, as in: --model llama3-8b",
        )
    blocks = workload.blocks
    mixtures = tuple(_mixtures(blocks))
    products = sum(_weights(op) * b.repeat for b, op in _of(blocks, "middle") if not _mixes(op))
    owned = sum(
        op.parameters * b.repeat for b, op in _of(blocks, "middle") if isinstance(op, MatMul) and not _mixes(op)
    )
    experts = sum(m.parameters for m in mixtures)
    middle = [b for b in blocks if b.place == "middle"]
    return ServedModel(
        name=workload.name,
        products=products,
        head=sum(_weights(op) for _, op in _of(blocks, "last")),
        stored_apart=workload.parameters - owned - experts,
        mixtures=mixtures,
        caches=tuple(_caches(middle)),
        state_elements=sum(
            op.heads * op.key_dim * op.value_dim * b.repeat for b, op in _of(blocks, "middle") if isinstance(op, Scan)
        ),
        layers=workload.layers,
        reductions=sum(b.reductions * b.repeat for b in middle),
        width=round(middle[0].boundary / workload.tokens_per_sample),
        heads=workload.heads,
        facts=workload.facts,
    )


def _of(blocks: tuple[Block, ...], place: str) -> Iterator[tuple[Block, Operator]]:
    return ((block, op) for block in blocks if block.place == place for op in block.operators)


def _mixes(op: Operator) -> bool:
    return isinstance(op, MatMul) and op.experts > 1


def _weights(op: Operator) -> float:
    """Of a product, whoever owns them."""
    return op.active_parameters if isinstance(op, MatMul) else 0.0


def _mixtures(blocks: tuple[Block, ...]) -> Iterator[Mixture]:
    sizes: dict[tuple[int, int], float] = {}
    for block, op in _of(blocks, "middle"):
        if isinstance(op, MatMul) and op.experts > 1:
            key = op.experts, op.active
            sizes[key] = sizes.get(key, 0.0) + op.parameters * block.repeat
    for (experts, active), parameters in sizes.items():
        yield Mixture(experts=experts, active=active, parameters=parameters)


def _caches(blocks: list[Block]) -> Iterator[Cache]:
    for block in blocks:
        for op in block.operators:
            if isinstance(op, Attention):
                yield Cache(
                    layers=block.repeat,
                    elements=op.cached_dim or op.kv_heads * (op.key_dim + op.value_dim),
                    heads=1 if op.cached_dim else op.kv_heads,
                    window=op.window,
                    # Latent attention multiplies queries by what is kept, not by keys and values made of it.
                    flop=2.0 * op.heads * (2.0 * op.cached_dim if op.cached_dim else op.key_dim + op.value_dim),
                )
