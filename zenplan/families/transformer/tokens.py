"""How many tokens text is, where no tokenizer is at hand: bytes of UTF-8 for each token, by kind of text.

A rule of thumb for vocabularies of byte pairs as large as GPT-2's (50k) to Llama 3's (128k); a tokenizer measures it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from zenplan import units
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.errors import UsageError

# Bytes of a token. Nothing known of the text: OpenAI's guide has 4 characters of English a token; the Pile, which is
# mixed and a tenth of it code, has 0.29 tokens to a byte, 3.4 bytes a token (Gao et al. 2020, arXiv 2101.00027,
# section 3.1). OpenWebText, English of the web: 39.8 GB (its data card) are 9.04e9 tokens of GPT-2's vocabulary (the
# readme of nanoGPT), 4.4 bytes a token. Code and other scripts are less even, and their ranges assumed: a space of
# indentation was a token of its own in GPT-2's, and is not in those made for code (Chen et al. 2021, arXiv 2107.03374,
# section 3.2: 30 % fewer tokens). A Chinese character is 3 bytes, and two tokens of GPT-2's vocabulary, but about two
# thirds of one of a vocabulary made for Chinese (Qwen's documentation: 1.5 to 1.8 characters a token).
BYTES_PER_TOKEN: Final[Mapping[str, Range]] = {
    "mixed": Range(low=3.4, mid=4.0, high=4.5),
    "English": Range(low=3.9, mid=4.2, high=4.7),
    "code": Range(low=2.4, mid=3.1, high=3.9),
    "Chinese, Japanese or Korean": Range(low=1.6, mid=3.0, high=5.1),
    "other scripts": Range(low=2.0, mid=3.5, high=5.5),
    "other Latin": Range(low=2.6, mid=3.4, high=4.3),
}

_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef\u3000-\u303f]")
_SYMBOLS = re.compile(r"[{}\[\]()<>=;_/\\*&|#]")
# Of the letters of English prose 1 to 2 % are such symbols, of source code 6 to 15 %.
_CODE = 0.06
_LATIN = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")
# Of English, that many letters have an accent at most; French and Vietnamese have more.
_ACCENTS = 0.005


def kinds_of(text: str) -> dict[str, float]:
    """Its bytes in UTF-8 by kind of text, which are keys of ``BYTES_PER_TOKEN``."""
    size = float(len(text.encode("utf-8", "replace")))
    plain = "code" if len(_SYMBOLS.findall(text)) > _CODE * len(text) else "English"
    if text.isascii():
        return {plain: size}
    asian = 3.0 * len(_EAST_ASIAN.findall(text))
    ascii_bytes = float(sum(map(str.isascii, text)))
    accents = len(_LATIN.findall(text))
    others = size - asian - ascii_bytes - 2.0 * accents
    if others > max(asian, 0.25 * size):
        # Spaces and points between the words of another script are of that script.
        return {"other scripts": size}
    if accents > _ACCENTS * len(text) and asian < 0.25 * size:
        return {"other Latin": size}
    return {plain: size - asian, "Chinese, Japanese or Korean": asian} if asian else {plain: size}


def tokens_per_byte(kinds: Mapping[str, float]) -> Range:
    """Of text that is made up so (bytes by kind): tokens for each byte, the kinds being off in the same direction."""
    total = sum(kinds.values())
    shares = {kind: size / total for kind, size in kinds.items() if size} if total else {"mixed": 1.0}
    low, mid, high = (
        sum(share / getattr(BYTES_PER_TOKEN[kind], end) for kind, share in shares.items())
        for end in ("high", "mid", "low")
    )
    return Range(low=low, mid=mid, high=high)


def tokens_of_bytes(size_bytes: float) -> tuple[float, Fact]:
    """The tokens in that much text of which nothing else is known, and why so many.

    Raises:
        UsageError: the size is not above zero and finite.
    """
    if not (math.isfinite(size_bytes) and size_bytes > 0):
        raise UsageError(f"a data set of {size_bytes:g} bytes", "give a size above zero, as in: 500GB")
    rate = BYTES_PER_TOKEN["mixed"]
    tokens = size_bytes / rate.mid
    why = f"{units.size(size_bytes)} at {rate.mid:g} bytes of English text a token (a GPT-2-like vocabulary)"
    return tokens, Fact(name="dataset tokens", value=units.count(tokens), origin=Origin.ASSUMED, why=why)
