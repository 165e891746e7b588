"""How many tokens text is, where no tokenizer is at hand: bytes of UTF-8 for each token, by kind of text.

A rule of thumb for vocabularies of byte pairs as large as GPT-2's (50k) to Llama 3's (128k); a tokenizer measures it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from zenplan import units
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.errors import UsageError
from zenplan.families.transformer.bytes_per_token import BYTES_PER_TOKEN

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
