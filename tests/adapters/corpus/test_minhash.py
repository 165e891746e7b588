"""Signatures and bands: what they are of the similarity of texts."""

from __future__ import annotations

import random

import numpy as np
import pytest

from zenplan.adapters.corpus.minhash import BANDS, HASHES, ROWS, SHINGLE, alike, bands, shingles, signatures


def pair(share: float, words: int = 4000) -> tuple[str, str, float]:
    """Two texts that differ in the last part of them, and how alike their shingles are."""
    same = int(share * words)
    one = [f"w{n}" for n in range(words)]
    other = [*one[:same], *(f"x{n}" for n in range(words - same))]
    a, b = (set(shingles(" ".join(each)).tolist()) for each in (one, other))
    return " ".join(one), " ".join(other), len(a & b) / len(a | b)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.8, 0.9, 1.0])
def test_the_share_of_equal_hashes_is_the_jaccard_similarity(share: float) -> None:
    one, other, true = pair(share)
    signed = signatures([one, other])
    assert signed.shape == (2, HASHES)
    error = (true * (1 - true) / HASHES) ** 0.5
    assert float(alike(signed[0], signed[1:])[0]) == pytest.approx(true, abs=4 * error + 1e-9)


def test_shingles_are_runs_of_words_whatever_is_between_them() -> None:
    words = "one two three four five six seven"
    assert len(shingles(words)) == 7 - SHINGLE + 1
    assert (shingles(words) == shingles(words.upper().replace(" ", " -\n"))).all()
    assert len(shingles("short")) == len(shingles("")) == 1
    assert set(shingles("a b c d e f").tolist()).isdisjoint(shingles("f e d c b a").tolist())
    # Letters beyond ASCII are letters.
    assert (shingles("größe") != shingles("gr e")).all()


def test_texts_without_words_are_alike_where_they_are_the_same() -> None:
    signed = signatures(["!!!", "???", "!!!"])
    assert alike(signed[0], signed[1:]).tolist() == [0.0, 1.0]


def test_scripts_that_do_not_part_words_are_read_by_the_character() -> None:
    one = "".join(chr(0x4E00 + n * 37 % 2000) for n in range(400))
    other = one[:200] + "\u5929" + one[201:]
    signed = signatures([one, other, f"latin {one} and Python3"])
    assert len(shingles(one)) == 400 - SHINGLE + 1
    assert (alike(signed[0], signed[1:]) > 0.9).all()


def test_signatures_are_of_each_text_alone_and_the_same_everywhere() -> None:
    texts = [f"text number {n} has some words of its own {n * n}" for n in range(9)]
    together = signatures(texts)
    assert (together == np.concatenate([signatures([text]) for text in texts])).all()
    # What is on the disk is gone on with later: another release of the library must not give others.
    assert together[0, :3].tolist() == [3197284678, 3324456336, 1260250428]


def test_bands_find_pairs_as_often_as_theory_says() -> None:
    draw = np.random.default_rng(0)
    for similarity in (0.5, 0.7, 0.8, 0.9):
        one = draw.integers(0, 2**32, (3000, HASHES), np.uint32)
        other = np.where(draw.random(one.shape) < similarity, one, draw.integers(0, 2**32, one.shape, np.uint32))
        found = (bands(one) == bands(other)).any(axis=0).mean()
        assert found == pytest.approx(1 - (1 - similarity**ROWS) ** BANDS, abs=0.04)


def test_changed_words_are_still_found() -> None:
    draw = random.Random(3)  # noqa: S311 (no secret)
    words = [f"w{n}" for n in range(1000)]
    changed = list(words)
    for place in draw.sample(range(1000), 10):
        changed[place] = "changed"
    signed = signatures([" ".join(words), " ".join(changed)])
    assert alike(signed[0], signed[1:])[0] > 0.8
