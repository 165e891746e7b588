"""Prepared data of small sources."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zenplan.adapters.corpus.asked import Asked
from zenplan.adapters.corpus.prepare import prepare
from zenplan.domain.training.data_card import DataCard

Prepare = Callable[..., DataCard]
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "n", "r", "st")]


def sentence(seed: object, words: int = 60) -> str:
    """Some words, of which no run of five is in another one's but by chance."""
    draw = random.Random(str(seed))  # noqa: S311 (no secret)
    return " ".join(draw.choice(WORDS) for _ in range(words))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small shards would wait for the disk most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "prepared"


@pytest.fixture
def make(out: Path) -> Prepare:
    """Prepares a source in small shards."""

    def made(source: Path | str, **more: Any) -> DataCard:
        asked = {"vocabulary": 300, "shard_bytes": 4_000, "out": out, **more}
        return prepare(Asked(source=source, **asked), lambda share, stage: None)

    return made


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of forty texts in four folders."""
    folder = tmp_path / "notes"
    for number in range(40):
        file = folder / f"group{number % 4}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(sentence(number), encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """The files of prepared data, but for the card, which has times."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.name != "card.json"}


def tokens_of(folder: Path, part: str) -> list[list[int]]:
    """The documents of a part."""
    found: list[list[int]] = [[]]
    for token in np.load(folder / f"{part}-tokens.npy").tolist():
        if token:
            found[-1].append(token)
        else:
            found.append([])
    assert found.pop() == []
    return found


def texts_of(folder: Path, part: str) -> list[str]:
    """The texts of a part, decoded."""
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [made.decode(tokens) for tokens in tokens_of(folder, part)]
