"""How the texts that a measured run saw lie in its samples, as far as its options tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Final

from zenplan.domain.model.operators import Attention, Operator
from zenplan.domain.model.workload import Workload

# Packed texts that do not see each other, and the tokens of one. NeMo's fine-tuning benchmarks pack SQuAD so (NVIDIA NeMo,
# docs/source/performance/performance_summary.md; recipes for speed, ``packed_sequence = performance_mode``).
_APART: Final = re.compile(r"apart-(\d+)")


def packed(workload: Workload, options: Iterable[str]) -> Workload:
    """The workload on such data. Runs of one model on data packed alike share one, so that they are predicted together."""
    apart = next((int(found[1]) for word in options if (found := _APART.fullmatch(word))), None)
    return _packed(workload, apart) if apart else workload


@cache
def _packed(workload: Workload, tokens: int) -> Workload:
    """With texts of so many tokens in each sequence, which attend to themselves alone."""

    def apart(op: Operator) -> Operator:
        if not isinstance(op, Attention) or op.keys != op.queries:
            return op
        return op.apart(max(1, round(op.queries / tokens)))

    blocks = (replace(b, operators=tuple(map(apart, b.operators))) for b in workload.blocks)
    return replace(workload, blocks=tuple(blocks))
