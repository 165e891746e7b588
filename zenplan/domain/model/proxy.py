"""How the model that is built from a workload's operators, to be timed in its place, differs from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from zenplan.domain.model.operators import Attention, MatMul
from zenplan.domain.model.workload import Block

# Of a mixture, so that a layer of it fits where one layer is timed.
MOST_EXPERTS: Final = 8


def proxy_note(blocks: Iterable[Block]) -> str:
    """What a proxy model of these blocks approximates, in a sentence."""
    operators = [o for b in blocks for o in b.operators]
    said = ["made of the model's operators at their sizes, joined where the sizes fit"]
    experts = max((o.experts for o in operators if isinstance(o, MatMul)), default=1)
    if experts > 1:
        kept = f" with {MOST_EXPERTS} of {experts} experts' weights," if experts > MOST_EXPERTS else ""
        said.append(f"experts{kept} get equal shares of the tokens")
    if any(isinstance(o, Attention) and o.window is not None and o.window < o.keys for o in operators):
        said.append("attention sees all tokens in place of a window")
    return "; ".join(said)
