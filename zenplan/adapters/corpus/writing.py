"""Writing of what a model is trained from: tokens of texts, or arrays with a label for each sample."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan import documents
from zenplan.adapters.corpus import arrays, bpe, packing
from zenplan.adapters.corpus.asked import Asked
from zenplan.adapters.corpus.assembling import Input, assemble, ids_of
from zenplan.adapters.corpus.duplicates import KEPT
from zenplan.adapters.corpus.labels import Labels
from zenplan.adapters.corpus.shards import Shards
from zenplan.adapters.corpus.sources import ARRAYS, IMAGES, LABELLED, Source
from zenplan.adapters.corpus.splitting import TRAIN
from zenplan.adapters.corpus.work import Work
from zenplan.adapters.data import tokenizer
from zenplan.domain.training.data_card import PARTS
from zenplan.errors import DataError, printable

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Tell = Callable[[float], None]

TOKENIZER: Final = "tokenizer.json"
_SPENT: Final = "tokenizer.spent.json"
# Of the work here, until the tokenizer is trained, and until all is encoded.
_TRAINED, _ENCODED = 0.1, 0.95


@dataclass(slots=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        data: of ``data.json``.
        tokens: of each part, where it is of tokens.
        card: what the card has of it: the vocabulary and so on.
        notes: what should be known, a sentence each.
    """

    data: dict[str, Any]
    tokens: dict[str, int] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write_tokens(shards: Shards, parts: Array, asked: Asked, tell: Tell) -> Written:
    """Each part as one array of tokens, and the tokenizer."""
    made, notes = _encoder(shards, parts, asked, tell)
    end = made.end or 0
    packing.encode(shards, parts, made, None, lambda share: tell(_TRAINED + (_ENCODED - _TRAINED) * share))
    counts = packing.pack(shards, parts, made.vocabulary, end)
    of_parts = {part: {"tokens": n, "files": {"tokens": f"{part}-tokens.npy"}} for part, n in counts.items()}
    data = {"kind": "tokens", "vocabulary": made.vocabulary, "end": end, "tokenizer": TOKENIZER, "parts": of_parts}
    text = float(shards.sizes_of(parts)[1:].sum())
    # Ends of documents are no text.
    tokens = sum(int(shards.array(number, "length").sum()) for number in range(len(shards)))
    card = {"vocabulary": made.vocabulary, "bytes_per_token": text / max(tokens, 1)}
    return Written(data=data, tokens=counts, card=card, notes=notes)


def write_arrays(
    shards: Shards, state: Array, parts: Array, labels: Labels, of: tuple[Asked, Source], tell: Tell
) -> Written:
    """Each part as arrays of samples, and of labels.

    Args:
        shards: that are finished.
        state: of each sample; those that are not 0 are dropped.
        parts: of each sample.
        labels: of all of them.
        of: what is asked for, and what the source holds.
        tell: called with the share that is done.
    """
    asked, source = of
    written = Written(data={"kind": "arrays"})
    if source.what == LABELLED:
        inputs = [_texts(shards, parts, asked, written, tell)]
    elif source.what == IMAGES:
        shape = (asked.image_size, asked.image_size, asked.channels)
        inputs = [Input(name="x", dtype=np.uint8, shape=shape, blocks=_stored(shards, "x"))]
    elif source.what == ARRAYS:
        inputs = _arrays(shards, asked, source)
    else:
        inputs = _rows(shards, state, asked, source, written)
    files = assemble(shards, parts, inputs, labels.values)
    sizes = {each.name: each.size for each in inputs if each.size is not None}
    written.data |= {
        "inputs": [each.name for each in inputs],
        "target": "y",
        "classes": None if labels.names is None else len(labels.names),
        "class_names": list(labels.names or ()),
        **({"sizes": sizes} if sizes else {}),
        "parts": {
            part: {"samples": int((parts == place).sum()), "files": files[part]}
            for place, part in enumerate(PARTS, start=1)
            if part in files
        },
    }
    return written


def fixed_cpu_s(work: Work) -> float:
    """Seconds of the processor that training the tokenizer took; 0 where none was."""
    return float(work.read_json(_SPENT)["cpu_s"]) if work.has(_SPENT) else 0.0


def _encoder(shards: Shards, parts: Array, asked: Asked, tell: Tell) -> tuple[bpe.Encoder, list[str]]:
    """The tokenizer, which is written beside the data, and what should be known of it."""
    notes, work = [], shards.work
    if asked.tokenizer is None:
        share = asked.sample_bytes / max(float(shards.sizes_of(parts)[TRAIN]), 1.0)
        if share < 1.0:
            notes.append(
                f"The tokenizer was trained on {asked.sample_bytes / 1e6:,.0f} MB of train, drawn by their hashes."
            )
        if not work.has(TOKENIZER):
            began = time.process_time()
            made = bpe.train(packing.sample(shards, parts, share, asked.seed), asked.vocabulary)
            work.write_json(_SPENT, {"cpu_s": time.process_time() - began})
            work.write(TOKENIZER, lambda file: file.write(made.encode("utf-8")))
        text = work.path(TOKENIZER).read_text(encoding="utf-8")
    else:
        text = tokenizer.read_tokenizer(asked.tokenizer)
    tell(_TRAINED)
    encoder = bpe.encoder(text, asked.end_token, ends=asked.label is None)
    (work.out / TOKENIZER).write_text(text, encoding="utf-8")
    if asked.tokenizer is None and encoder.vocabulary < asked.vocabulary:
        notes.append(f"The text has no more than {encoder.vocabulary:,} tokens to train a vocabulary of.")
    return encoder, notes


def _texts(shards: Shards, parts: Array, asked: Asked, written: Written, tell: Tell) -> Input:
    made, notes = _encoder(shards, parts, asked, tell)
    packing.encode(shards, parts, made, asked.seq_len, lambda share: tell(_TRAINED + (_ENCODED - _TRAINED) * share))
    # 0 is padding: where it is a token of texts, every token is one higher.
    shift = 0 if made.padding else 1
    lengths = shards.column("length")
    text, own = float(shards.sizes_of(parts)[1:].sum()), parts[parts > 0]
    kept = np.minimum(lengths, asked.seq_len)
    written.tokens = {part: int(kept[own == place].sum()) for place, part in enumerate(PARTS, start=1)}
    written.data |= {"vocabulary": made.vocabulary + shift, "shift": shift, "tokenizer": TOKENIZER}
    written.card |= {
        "vocabulary": made.vocabulary + shift,
        "bytes_per_token": text / max(float(lengths.sum()), 1.0),
        "longest": asked.seq_len,
        "cut": int((lengths > asked.seq_len).sum()),
    }
    written.notes += notes

    def blocks(number: int, kept: Array) -> Iterator[Array]:
        return packing.rows(shards, number, asked.seq_len, shift)

    return Input(name="x", dtype=np.int32, shape=(asked.seq_len,), blocks=blocks)


def _rows(shards: Shards, state: Array, asked: Asked, source: Source, written: Written) -> list[Input]:
    inputs, names = [], safe_names(asked.ids, ("x", "y"))
    if source.features:
        inputs.append(Input(name="x", dtype=np.float32, shape=(len(source.features),), blocks=_stored(shards, "x")))
        written.data["features"] = list(map(printable, source.features))
    for place, name in enumerate(names):
        ordered, blocks = ids_of(shards, place, state)
        inputs.append(Input(name=name, dtype=np.int32, shape=(), blocks=blocks, size=len(ordered)))
        if len(ordered) == int((state == KEPT).sum()) > 1:
            told = (
                f"No two rows have one {printable(asked.ids[place])}: nothing that is learned of one holds for another."
            )
            written.notes.append(told)
        # Which number a name has, for those who ask the trained model.
        file = written.data.setdefault("names", {})[name] = f"{name}-names.json"
        (shards.work.out / file).write_text(documents.encode(ordered), encoding="utf-8")
    written.card |= {
        name: tuple(map(printable, columns))
        for name, columns in (("unused", source.unused), ("unused_numbers", source.unused_numbers))
    }
    return inputs


def _arrays(shards: Shards, asked: Asked, source: Source) -> list[Input]:
    found = arrays.read_lots(asked, source.given)[0].inputs
    names = ["x"] if len(found) == 1 else safe_names(found, ("y",))
    return [
        Input(name=name, dtype=arrays.kept_as(array), shape=array.shape[1:], blocks=_stored(shards, f"in{place}"))
        for place, (name, array) in enumerate(zip(names, found.values(), strict=True))
    ]


def _stored(shards: Shards, name: str) -> Callable[[int, Array], Iterator[Array]]:
    return partial(_block, shards, name)


def _block(shards: Shards, name: str, number: int, kept: Array) -> Iterator[Array]:
    yield shards.array(number, name)[kept]


def safe_names(names: Collection[str], taken: Sequence[str]) -> list[str]:
    """Names of inputs, and so of files: letters, digits and underscores, each once.

    Raises:
        DataError: two are the same then.
    """
    found = [re.sub(r"\W", "_", name, flags=re.ASCII).strip("_").lower() or "input" for name in names]
    if len({*found, *taken}) < len(found) + len(taken):
        raise DataError(f"names of inputs that are too much alike: {', '.join(names)}", "rename them in the data")
    return found
