"""How long the texts of a data set are, by what they are: published averages."""

from __future__ import annotations

from typing import Final, NamedTuple

from zenplan import units
from zenplan.domain.provenance import Fact, Origin


class Kind(NamedTuple):
    """Texts of one kind.

    Attributes:
        tokens: average tokens of one.
        low, high: averages of data sets of the kind go from here to there.
        seq_len: tokens of a sequence that an adapter is usually trained at on such texts.
        what: one of them.
        source: of the average and of its range.
    """

    tokens: float
    low: float
    high: float
    seq_len: int
    what: str
    source: str


# Conversations: turns × (tokens of a prompt + of an answer). ShareGPT 3.51 × 443 and WildChat 2.54 × 737 (Zhao et al.
# 2024, table 1), LMSYS-Chat-1M 2.0 × 284 (Zheng et al. 2023, table 1). Instructions: Alpaca 20 + 65, Dolly 110 + 91
# (the same table of WildChat), FLAN 356 + 31 (Wang et al. 2023, table 1). Documents: Dolma v1.6 has 3.07T tokens in
# 4.37B, C4 198B in 365M, the Pile 383B in 211M (the counts of infini-gram, Liu et al. 2024, tokens of Llama 2). Code
# and books: The Stack 430B tokens in 236M files, Project Gutenberg 4.8B in 52,000 (the card of Dolma). Reasoning: s1K
# has 4.7M tokens of thinking in 1,000 samples (Muennighoff et al. 2025).
KINDS: Final = {
    "chat": Kind(1_000, 570, 1_900, 2048, "conversation", "LMSYS-Chat-1M to WildChat, arXiv 2309.11998 and 2405.01470"),
    "instructions": Kind(200, 85, 390, 2048, "instruction", "Dolly; Alpaca to FLAN, arXiv 2405.01470 and 2306.04751"),
    "reasoning": Kind(4_700, 2_000, 16_000, 16_384, "solution", "s1K, arXiv 2501.19393; the range is assumed"),
    "documents": Kind(700, 540, 1_800, 4096, "document", "Dolma; C4 to the Pile, infini-gram, arXiv 2401.17377"),
    "code": Kind(1_800, 900, 3_600, 4096, "file", "The Stack in Dolma, arXiv 2402.00159; the range is assumed"),
    "proteins": Kind(
        351, 285, 474, 1024, "protein", "UniProt 2023.3; archaea to eukaryotes, doi 10.1186/1756-0500-5-85"
    ),
    "books": Kind(92_000, 50_000, 150_000, 8192, "book", "Gutenberg in Dolma, arXiv 2402.00159; the range is assumed"),
}
# Sequences of residues, each a token: UniProt 2023.3 has 348.88 residues in the mean, as Unipept counts it; archaea 283,
# eukaryotes 472 (Tiessen et al. 2012, doi 10.1186/1756-0500-5-85). Two marks stand around each.
PROTEINS: Final = "proteins"
# The name of the fact.
LENGTH: Final = "tokens of a sample"
FINE_TUNING: Final = "chat"
TRAINING: Final = "documents"


def length(kind: str, given: bool, most: int | None = None, average: float | None = None) -> tuple[float, Fact]:
    """Average tokens of one text, and why so many.

    Args:
        kind: one of ``KINDS``.
        given: whether the user named the kind.
        most: tokens that a text is cut to; None where it is not.
        average: tokens of one before that; None for the average of its kind.
    """
    found = KINDS[kind]
    whole = found.tokens if average is None else average
    tokens = whole if most is None else min(whole, most)
    why = f"average of a {found.what}, {units.count(found.low)}–{units.count(found.high)} in {found.source}"
    if tokens < whole:
        why = f"{why}; cut to --seq-len"
    if not given:
        why = f"{why}; taken for {kind}, other texts: --data-kind"
    return tokens, Fact(name=LENGTH, value=f"{units.count(tokens)} ({kind})", origin=Origin.ASSUMED, why=why)
