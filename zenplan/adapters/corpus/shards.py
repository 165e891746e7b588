"""Shards: what was read, cleaned and looked at, in pieces that are each finished on the disk before the next begins.

Of each sample a shard has hashes, its group and its size in arrays (the index); texts lie one behind another in a file,
values in arrays. Memory holds one shard at a time, and the columns of all indices that a later stage asks for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus.work import Work
from zenplan.adapters.data.encoding import UTF8
from zenplan.adapters.data.walk import PassedBy
from zenplan.domain.training.data_card import PARTS
from zenplan.domain.training.data_set import LeftOut

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

_NO_LABEL: Final = -1
# What a sample takes in memory beside its content while its shard is filled: Python's objects; roughly.
EACH_BYTES: Final = 300


@dataclass(slots=True)
class Shard:
    """A shard that is being filled.

    Attributes:
        work: where it is written.
        number: of the shard, from 0.
        records: that came in so far, whatever became of them.
        size: of what was kept, in bytes of memory.
        dropped: what was not.
        encodings: files that begin in it, by theirs.
    """

    work: Work
    number: int
    dropped: PassedBy
    records: int = 0
    size: int = 0
    hashes: list[bytes] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    parts: bytearray = field(default_factory=bytearray)
    documents: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    encodings: Counter[str] = field(default_factory=Counter)
    payload: list[Any] = field(default_factory=list)
    _began: tuple[float, float] = field(default_factory=lambda: (time.process_time(), time.monotonic()))

    def add(
        self, content: bytes, payload: Any, part: int, group: int = 0, document: int = 0, label: str = "", of: int = 0
    ) -> None:
        """Keep a sample.

        Args:
            content: what makes two samples the same.
            payload: what is written of it.
            part: of the split that the data come with; 0 without one.
            group: what it may not be parted from; 0 for samples that are the same alone.
            document: that it is a piece of, or 0.
            label: as a text; empty without.
            of: bytes that it counts for; 0 for those of ``content``.
        """
        self.hashes.append(blake2b(content, digest_size=16).digest())
        self.groups.append(group)
        self.parts.append(part)
        self.documents.append(document)
        self.sizes.append(of or len(content))
        self.labels.append(label)
        self.payload.append(payload)
        self.size += len(content) + EACH_BYTES

    def drop(self, place: str, why: str) -> None:
        """Leave a record out."""
        self.dropped.add(place, why, "records")

    def finish(self, place: Sequence[int], arrays: dict[str, Array], texts: bool) -> None:
        """Write it. The last file says that all are there.

        Args:
            place: in the source, from which the next goes on.
            arrays: by their names, beside the index.
            texts: whether payloads are texts in UTF-8, which are written one behind another.
        """
        names = sorted(set(self.labels))
        codes = {name: code if name else _NO_LABEL for code, name in enumerate(names)}
        index: dict[str, Array] = {
            "hash": np.frombuffer(b"".join(self.hashes), np.uint64).reshape(-1, 2),
            "group": np.array(self.groups, np.uint64),
            "given": np.frombuffer(bytes(self.parts), np.uint8),
            "document": np.array(self.documents, np.uint64),
            "size": np.array(self.sizes, np.uint64),
            "label": np.array([codes[label] for label in self.labels], np.int64),
        }
        if texts:
            lengths = [len(text) for text in self.payload]
            index["end"] = np.cumsum(lengths, dtype=np.uint64) if lengths else np.zeros(0, np.uint64)
            self.work.write(f"{self.number:05}.text", lambda file: file.writelines(self.payload))
        for name, array in {**index, **arrays}.items():
            self.work.write(f"{self.number:05}.{name}.npy", partial(np.save, arr=array, allow_pickle=False))
        cpu_s, wall_s = time.process_time() - self._began[0], time.monotonic() - self._began[1]
        self.work.write_json(f"{self.number:05}.labels.json", {"names": names})
        self.work.write_json(
            f"{self.number:05}.json",
            {
                "place": list(place),
                "records": self.records,
                "samples": len(self.hashes),
                "encodings": self.encodings,
                "dropped": [asdict(each) for each in self.dropped.lines],
                "cpu_s": cpu_s,
                "wall_s": wall_s,
            },
        )


class Shards:
    """The shards that are finished, in their order."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.about: list[dict[str, Any]] = []
        # The number of the first sample of each among all, and at the end how many there are.
        self.starts = [0]
        while work.has(f"{len(self.about):05}.json"):
            self.added()

    def __len__(self) -> int:
        return len(self.about)

    @property
    def place(self) -> tuple[int, ...]:
        """In the source, from which the next shard goes on; none for its beginning."""
        return tuple(self.about[-1]["place"]) if self.about else ()

    def added(self) -> None:
        """One more is finished."""
        self.about.append(self.work.read_json(f"{len(self.about):05}.json"))
        self.starts.append(self.starts[-1] + int(self.about[-1]["samples"]))

    @property
    def samples(self) -> int:
        """Of all of them."""
        return self.starts[-1]

    @property
    def records(self) -> int:
        """That came in."""
        return sum(int(each["records"]) for each in self.about)

    @property
    def encodings(self) -> dict[str, int]:
        """Files by their encoding, without those in UTF-8."""
        found = sum((Counter(each["encodings"]) for each in self.about), Counter[str]())
        return {name: count for name, count in found.most_common() if name != UTF8.name}

    def total(self, name: str) -> float:
        """The sum of a figure over all of them."""
        return float(sum(each[name] for each in self.about))

    def array(self, number: int, name: str, mapped: bool = False) -> Array:
        """An array of one shard."""
        path = self.work.path(f"{number:05}.{name}.npy")
        found: Array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        return found

    def labels(self, number: int) -> list[str]:
        """What the label of each sample of a shard is a number of: of values to predict, nearly as many as samples."""
        return list(map(str, self.work.read_json(f"{number:05}.labels.json")["names"]))

    def column(self, name: str) -> Array:
        """An array of all shards, one behind another."""
        return np.concatenate([self.array(number, name) for number in range(len(self))])

    def own(self, number: int, every: Array) -> Array:
        """Of an array of all samples, what those of one shard have."""
        return every[self.starts[number] : self.starts[number + 1]]

    def sizes_of(self, parts: Array) -> Array:
        """Bytes of all samples by their part: of those in none first, then train and so on."""
        total = np.zeros(len(PARTS) + 1)
        for number in range(len(self)):
            sizes = self.array(number, "size").astype(np.float64)
            total += np.bincount(self.own(number, parts), sizes, minlength=len(total))
        return total

    def texts(self, number: int, wanted: Array) -> Iterator[str]:
        """Those texts of a shard for which ``wanted`` is true, in order."""
        ends = self.array(number, "end").tolist()
        with self.work.path(f"{number:05}.text").open("rb") as file:
            start = 0
            for end, want in zip(ends, wanted.tolist(), strict=True):
                if want:
                    file.seek(start)
                    yield file.read(end - start).decode("utf-8")
                start = end

    def dropped(self, more: PassedBy) -> tuple[LeftOut, ...]:
        """What was dropped by all of them and before, put together by reason."""
        found: dict[tuple[str, str], LeftOut] = {(each.what, each.why): each for each in more.lines}
        for each in (LeftOut(**line) for about in self.about for line in about["dropped"]):
            known = found.get((each.what, each.why))
            count = each.count + (known.count if known else 0)
            example = known.example if known else each.example
            found[each.what, each.why] = LeftOut(what=each.what, why=each.why, count=count, example=example)
        return tuple(found.values())
