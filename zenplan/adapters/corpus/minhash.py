"""MinHash: short signatures of texts, of which as large a share is equal as of their sets of shingles (Broder 1997), and
bands of them that put likely pairs side by side (LSH; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4).

``rensa`` makes the signatures; docs/data.md says how it was chosen. Bands lie in arrays on the disk instead of tables in
memory, which would take some kilobytes for each text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from zlib import crc32

import numpy as np

from zenplan.errors import UsageError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

# 20 bands of 6: of pairs alike by 0.8 they show 99.8 %, by 0.7 92 %, by 0.5 27 %; the signature then decides.
BANDS: Final = 20
ROWS: Final = 6
HASHES: Final = BANDS * ROWS
# Words of a shingle: as in the deduplication of C4, RefinedWeb and FineWeb (5-grams).
SHINGLE: Final = 5
_SEED: Final = 1
_WORD: Final = re.compile(r"\w+", re.ASCII)
# Scripts that do not part words: of those each character is one.
_UNPARTED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ANY_WORD: Final = re.compile(rf"[{_UNPARTED}]|[^\W{_UNPARTED}]+")
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)


def check_installed() -> None:
    """Raises UsageError: ``rensa`` is not installed."""
    try:
        import rensa  # noqa: F401 (it is only asked whether it can be)
    except ImportError as error:
        raise UsageError(
            "near duplicates need the package rensa, which is not installed",
            "pip install 'zenplan[train]', or --near-duplicates ignore",
        ) from error


def signatures(texts: Sequence[str]) -> Array:
    """The signature of each text: uint32 (texts, ``HASHES``).

    Upper and lower case are alike, and all that is no letter, digit or underscore parts words.
    """
    import rensa

    sets = [shingles(text) for text in texts]
    ends = np.zeros(len(sets) + 1, np.uint64)
    np.cumsum([len(each) for each in sets], out=ends[1:])
    flat = np.concatenate(sets) if sets else np.zeros(0, np.uint64)
    made = rensa.RMinHash.digest_matrix_from_flat_token_hashes(flat, ends, HASHES, _SEED)
    return np.array(made.to_rows(), np.uint32).reshape(len(sets), HASHES)


def shingles(text: str) -> Array:
    """Hashes of each run of ``SHINGLE`` words; of a shorter text one of all its words, of one without words its own."""
    lower = text.lower()
    words = (_WORD if lower.isascii() else _ANY_WORD).findall(lower)
    # A text repeats its words: each is hashed once.
    known = {word: crc32(word.encode("utf-8", "surrogatepass")) for word in dict.fromkeys(words)}
    hashes = np.array([known[word] for word in words], np.uint64)
    width = min(SHINGLE, len(hashes))
    if not width:
        return mixed(np.array([crc32(lower.encode("utf-8", "surrogatepass"))], np.uint64))
    found = np.zeros(len(hashes) - width + 1, np.uint64)
    for place in range(width):
        found = mixed(found * _MULTIPLIER + hashes[place : len(hashes) - width + 1 + place])
    return found


def mixed(hashes: Array) -> Array:
    """Each 64-bit number with its bits spread over all of it (the finalizer of MurmurHash3)."""
    spread = hashes ^ (hashes >> np.uint64(33))
    spread = spread * _MIX
    found: Array = spread ^ (spread >> np.uint64(33))
    return found


def bands(signed: Array) -> Array:
    """One hash for each band of each signature: uint64 (``BANDS``, texts)."""
    rows = signed.astype(np.uint64).reshape(len(signed), BANDS, ROWS)
    found = np.zeros(rows.shape[:2], np.uint64)
    for row in range(ROWS):
        found = mixed(found * _MULTIPLIER + rows[:, :, row] + np.uint64(1))
    return np.ascontiguousarray(found.T)


def alike(one: Array, others: Array) -> Array:
    """The share of equal hashes: an estimate of the Jaccard similarity, with an error of √(J(1 − J) / ``HASHES``)."""
    share: Array = (one == others).mean(axis=-1)
    return share
