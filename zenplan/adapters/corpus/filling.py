"""Filling of shards with texts or rows: each sample is read, cleaned, hashed, and kept or dropped with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus import minhash
from zenplan.adapters.corpus.cleaning import Filters, normalised
from zenplan.adapters.corpus.reading import Sample, Samples
from zenplan.adapters.corpus.shards import Shard, Shards
from zenplan.adapters.corpus.values import name_in, number_in
from zenplan.adapters.data.records import BadFile
from zenplan.adapters.data.walk import PassedBy

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

# Texts that signatures are made of at a time.
_AT_A_TIME: Final = 64


@dataclass(slots=True)
class Texts:
    """Keeps texts: normalised, filtered, signed.

    Attributes:
        filters: what a text has to be.
        labelled: whether it has to have a label.
        signed: whether near duplicates will be looked for.
        read_label: makes a text of a label, or says what is wrong with it.
    """

    filters: Filters
    labelled: bool
    signed: bool
    read_label: Callable[[Any], tuple[str, str]]
    waiting: list[str] = field(default_factory=list)
    made: list[Array] = field(default_factory=list)
    texts: bool = True

    def keep(self, sample: Sample, shard: Shard) -> None:
        """Take the sample into the shard, or drop it."""
        text = normalised(sample.text or "")
        label, problem = self.read_label(sample.label) if self.labelled else ("", "")
        if problem := self.filters.why_not(text) or problem:
            shard.drop(sample.place, problem)
            return
        content = text.encode("utf-8")
        shard.add(content, content, sample.part, sample.group, sample.document, label)
        if self.signed:
            self.waiting.append(text)
            if len(self.waiting) >= _AT_A_TIME:
                self._sign()

    def arrays(self, shard: Shard) -> dict[str, Array]:
        """Signatures and bands of a shard that is full; the next one is begun."""
        if not self.signed:
            return {}
        self._sign()
        signed = np.concatenate(self.made) if self.made else np.zeros((0, minhash.HASHES), np.uint32)
        self.made.clear()
        return {"signed": signed, "bands": minhash.bands(signed)}

    def _sign(self) -> None:
        if self.waiting:
            self.made.append(minhash.signatures(self.waiting))
            self.waiting.clear()


@dataclass(slots=True)
class Rows:
    """Keeps rows of a table: numbers of some columns, and names in others.

    Attributes:
        features: columns of numbers.
        ids: columns of names.
        read_label: makes a text of a label, or says what is wrong with it.
    """

    features: Sequence[str]
    ids: Sequence[str]
    read_label: Callable[[Any], tuple[str, str]]
    texts: bool = False

    def keep(self, sample: Sample, shard: Shard) -> None:
        """Take the sample into the shard, or drop it."""
        label, problem = self.read_label(sample.label)
        numbers, names = [], []
        for column in self.features:
            number, why = number_in(sample.row.get(column), f"'{column}'")
            problem = problem or why
            numbers.append(number)
        for column in self.ids:
            name, why = name_in(sample.row.get(column), f"'{column}'")
            problem = problem or why
            names.append(name)
        if problem:
            shard.drop(sample.place, problem)
            return
        values = np.array(numbers, np.float32)
        content = values.tobytes() + "\n".join(names).encode("utf-8")
        # Rows with the same values are of one group: none of them is in train and in test.
        shard.add(content, (values, names), sample.part, sample.group, label=label, of=len(content) or 1)

    def arrays(self, shard: Shard) -> dict[str, Array]:
        """Values of a shard that is full: ``x``, and of each column of names codes and what these are."""
        found: dict[str, Array] = {}
        if self.features:
            rows = [values for values, _ in shard.payload]
            found["x"] = np.stack(rows) if rows else np.zeros((0, len(self.features)), np.float32)
        for place in range(len(self.ids)):
            column = [names[place] for _, names in shard.payload]
            names = sorted(set(column))
            codes = {name: code for code, name in enumerate(names)}
            found[f"id{place}"] = np.array([codes[name] for name in column], np.int64)
            # A name has no line feed in it.
            found[f"names{place}"] = np.frombuffer("\n".join(names).encode("utf-8"), np.uint8)
        return found


def fill(
    shards: Shards, samples: Samples, keeper: Texts | Rows, shard_bytes: int, folder: str, tell: Callable[[float], None]
) -> None:
    """Write the shards of all samples that are not in one yet.

    Args:
        shards: those that are finished.
        samples: of the source.
        keeper: of samples.
        shard_bytes: of a shard, about.
        folder: that paths in reasons are from.
        tell: called with the share that is done.
    """
    filling = _Filling(shards, keeper, shard_bytes, folder)
    number, after = shards.place or (0, 0)
    total = float(sum(file.size_bytes for file in samples.files)) or 1.0
    done = float(sum(file.size_bytes for file in samples.files[:number]))
    for place in range(number, len(samples.files)):
        file, taken = samples.files[place], after if place == number else 0
        before = filling.kept_bytes
        try:
            for sample in islice(samples.of(file), taken, None):
                if filling.take(sample, (place, taken)):
                    tell((done + min(filling.kept_bytes - before, file.size_bytes)) / total)
                taken += 1
        except BadFile as error:
            filling.shard.dropped.add(file.path, str(error))
        done += file.size_bytes
        tell(done / total)
    if number < len(samples.files):
        filling.finish((len(samples.files), 0))


@dataclass(slots=True)
class _Filling:
    """The shard that is being filled, and those before it."""

    shards: Shards
    keeper: Texts | Rows
    shard_bytes: int
    folder: str
    shard: Shard = field(init=False)
    kept_bytes: float = 0.0

    def __post_init__(self) -> None:
        self.shard = self._next()

    def take(self, sample: Sample, place: tuple[int, int]) -> bool:
        """Take the sample of that file and number in; where the shard was full, into the next one, and say so."""
        full = self.shard.size >= self.shard_bytes
        if full:
            self.finish(place)
            self.shard = self._next()
        self.shard.records += 1
        if not place[1]:
            self.shard.encodings[sample.encoding] += 1
        if sample.problem:
            self.shard.drop(sample.place, sample.problem)
        else:
            self.keeper.keep(sample, self.shard)
        return full

    def finish(self, place: tuple[int, int]) -> None:
        """Write the shard; the source goes on from that place."""
        self.kept_bytes += sum(self.shard.sizes)
        self.shard.finish(place, self.keeper.arrays(self.shard), self.keeper.texts)
        self.shards.added()

    def _next(self) -> Shard:
        return Shard(self.shards.work, len(self.shards), PassedBy(self.folder))
