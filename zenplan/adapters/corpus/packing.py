"""Packing: texts as tokens, one array for each part; or, where they have labels, a row of tokens for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus.array_file import ArrayFile
from zenplan.adapters.corpus.bpe import Encoder
from zenplan.adapters.corpus.minhash import mixed
from zenplan.adapters.corpus.shards import Shards
from zenplan.adapters.corpus.splitting import TRAIN
from zenplan.domain.training.data_card import PARTS

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

# Letters that the tokenizer is given at a time: it makes some hundred bytes of each token.
_AT_A_TIME: Final = 1_000_000
_SHORT: Final = 65_536
# Numbers of padded rows that are made at a time.
_BLOCK: Final = 4_000_000


def sample(shards: Shards, parts: Array, share: float, seed: int) -> Iterator[str]:
    """Texts of train to train a tokenizer on, about such a share of them: those with the lowest hashes."""
    for number in range(len(shards)):
        wanted = shards.own(number, parts) == TRAIN
        if share < 1.0:
            drawn = mixed(shards.array(number, "hash")[:, 1] + mixed(np.array([seed + 2], np.uint64)))
            wanted &= drawn.astype(np.float64) < share * 2.0**64
        yield from shards.texts(number, wanted)


def encode(shards: Shards, parts: Array, encoder: Encoder, most: int | None, tell: Callable[[float], None]) -> None:
    """The tokens of each shard's texts that are in a part, as files beside it; those that are there are left.

    Args:
        shards: of texts.
        parts: of each sample.
        encoder: of texts.
        most: tokens of a text that are kept; None for all.
        tell: called with the share that is done.
    """
    for number in range(len(shards)):
        tell(number / len(shards))
        if shards.work.has(f"{number:05}.encoded.json"):
            continue
        began = time.process_time(), time.monotonic()
        wanted = shards.own(number, parts) > 0
        flat, lengths = [np.zeros(0, np.uint32)], list[int]()
        for texts in _batches(shards.texts(number, wanted)):
            for tokens in encoder.encode(texts):
                lengths.append(len(tokens))
                flat.append(tokens[:most])
        for name, array in (("tokens", np.concatenate(flat)), ("length", np.array(lengths, np.int64))):
            shards.work.write(f"{number:05}.{name}.npy", partial(np.save, arr=array, allow_pickle=False))
        spent = {"cpu_s": time.process_time() - began[0], "wall_s": time.monotonic() - began[1]}
        shards.work.write_json(f"{number:05}.encoded.json", spent)


def pack(shards: Shards, parts: Array, vocabulary: int, end: int) -> dict[str, int]:
    """Write ``train-tokens.npy`` and so on: all documents of a part, ``end`` behind each.

    Returns:
        The tokens of each part that has any.
    """
    dtype = np.uint16 if vocabulary <= _SHORT else np.uint32
    counts = dict.fromkeys(PARTS, 0)
    for part, tokens in _packed(shards, parts, end):
        counts[part] += len(tokens)
    counts = {part: count for part, count in counts.items() if count}
    with ExitStack() as stack:
        files = {
            part: stack.enter_context(ArrayFile(shards.work.out / f"{part}-tokens.npy", dtype, (n,)))
            for part, n in counts.items()
        }
        for part, tokens in _packed(shards, parts, end):
            if len(tokens):
                files[part].add(tokens)
    return counts


def _packed(shards: Shards, parts: Array, end: int) -> Iterator[tuple[str, Array]]:
    """The tokens of each shard for each part, with the ends of documents."""
    for number in range(len(shards)):
        within = shards.own(number, parts)
        kept = within > 0
        own, ends = within[kept], ~_goes_on(shards, parts, number)[kept]
        tokens, lengths = shards.array(number, "tokens"), shards.array(number, "length")
        whose = np.repeat(own, lengths)
        for place, part in enumerate(PARTS, start=1):
            mine = own == place
            behind = np.cumsum(lengths[mine])[ends[mine]]
            yield part, np.insert(tokens[whose == place], behind, end)


def _goes_on(shards: Shards, parts: Array, number: int) -> Array:
    """Whether each sample of a shard is a piece of a text that goes on in the next sample, in the same part."""
    start, document = shards.starts[number], shards.array(number, "document")
    behind = next((n for n in range(number + 1, len(shards)) if shards.starts[n] < shards.starts[n + 1]), None)
    following = np.zeros(1, np.uint64) if behind is None else shards.array(behind, "document", mapped=True)[:1]
    document = np.concatenate((document, following))
    own = np.append(parts[start : start + len(document)], [0])[: len(document)]
    found: Array = (document[:-1] != 0) & (document[:-1] == document[1:]) & (own[:-1] == own[1:])
    return found


def rows(shards: Shards, number: int, length: int, shift: int) -> Iterator[Array]:
    """The texts of a shard that are in a part, as int32 (texts, length), in blocks: ``shift`` is added to tokens, 0 is
    padding.
    """
    tokens, lengths = shards.array(number, "tokens"), np.minimum(shards.array(number, "length"), length)
    ends, step = np.concatenate(([0], np.cumsum(lengths))), max(1, _BLOCK // length)
    for start in range(0, len(lengths), step):
        own = lengths[start : start + step]
        found = np.zeros((len(own), length), np.int32)
        found[np.arange(length) < own[:, None]] = tokens[ends[start] : ends[start + len(own)]].astype(np.int32) + shift
        yield found


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    waiting, letters = list[str](), 0
    for text in texts:
        waiting.append(text)
        letters += len(text)
        if letters >= _AT_A_TIME:
            yield waiting
            waiting, letters = [], 0
    if waiting:
        yield waiting
