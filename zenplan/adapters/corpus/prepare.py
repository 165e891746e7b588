"""Preparation of data: stage by stage from files to a folder that a model is trained from."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from zenplan.adapters.corpus import arrays, duplicates, images, labels, minhash, splitting, writing
from zenplan.adapters.corpus.asked import Asked, key_of
from zenplan.adapters.corpus.cleaning import Filters
from zenplan.adapters.corpus.filling import Rows, Texts, fill
from zenplan.adapters.corpus.labels import Labels
from zenplan.adapters.corpus.prepared import read_card, write_card, write_prepared
from zenplan.adapters.corpus.reading import Samples
from zenplan.adapters.corpus.shards import Shards
from zenplan.adapters.corpus.sources import ARRAYS, IMAGES, LABELLED, ROWS, TEXT, Source, source_of
from zenplan.adapters.corpus.work import Work, finished, publish, working
from zenplan.adapters.data import tokenizer
from zenplan.adapters.data.walk import HINT
from zenplan.domain import checks
from zenplan.domain.training.data_card import PARTS, DataCard, PartCard
from zenplan.domain.training.data_set import LeftOut
from zenplan.errors import DataError, ZenplanError
from zenplan.version import __version__

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Tell = Callable[[float, str], None]

# Of the whole, when a stage is done; rough, for a bar.
_READ, _LOOKED = 0.45, 0.55
# A part whose share is farther from what was asked for, by this factor, is spoken of.
_FAR = 1.5
_ALIKE = {
    duplicates.SAME: "the same as another",
    duplicates.NEAR: "nearly the same as another",
    duplicates.SAME_HELD: "to train on, and the same as one that is held out",
    duplicates.NEAR_HELD: "to train on, and nearly the same as one that is held out",
}


def prepare(asked: Asked, tell: Tell) -> DataCard:
    """Prepare the data; what an interrupted preparation of the same has finished is gone on from.

    Args:
        asked: what, and how.
        tell: called with the share that is done, and what is being done.

    Raises:
        DataError: nothing of the data can be used, or too little.
        UsageError: what is asked for does not go with the data, or a package is not installed.
        ZenplanError: the disk is full, or another process prepares the same folder.
    """
    # A link stays one, and leads to the data.
    asked = replace(asked, out=Path(os.path.realpath(asked.out)))
    source = source_of(asked, lambda: tell(0.0, "looking for files"))
    _check_installed(source, asked)
    key = key_of(asked, source.root, source.files)
    if finished(asked.out, key):
        return read_card(asked.out)
    with working(asked.out, key, asked.overwrite) as work:
        try:
            card = _Preparation(asked, source, work, tell).run()
        except ZenplanError:
            # It would end so again: there is nothing to go on from.
            shutil.rmtree(work.folder, ignore_errors=True)
            raise
        publish(work, asked.out, key, card.fingerprint)
    return card


def _check_installed(source: Source, asked: Asked) -> None:
    if source.what == IMAGES:
        images.check_installed()
    if source.what in (TEXT, LABELLED):
        tokenizer.check_installed()
        if asked.near != "ignore":
            minhash.check_installed()


class _Preparation:
    """One preparation, and what its stages hand on."""

    def __init__(self, asked: Asked, source: Source, work: Work, tell: Tell) -> None:
        self.asked, self.source, self.work, self.tell = asked, source, work, tell
        self.shards = Shards(work)
        self.notes = list(source.notes)
        self._began = time.process_time(), time.monotonic()
        # What earlier processes spent.
        self._earlier = self._stored()

    def run(self) -> DataCard:
        """All stages. Returns the card, which is written beside the data."""
        self._fill()
        if not self.shards.samples:
            raise self._nothing()
        given = self.shards.column("given") if self.source.given else None
        state, first = self._duplicates(given)
        labelled = None
        if self.source.what != TEXT:
            labelled = labels.labels_of(self.shards, state, self.asked)
            again = duplicates.contradicting(self.shards, labelled.values)
            if again and labelled.names is not None:
                self.notes.append(f"{again:,} samples are the same as another one that has another label.")
        parts = self._split(given, state, first)

        def tell(share: float) -> None:
            self.tell(_LOOKED + (1.0 - _LOOKED) * share, "writing")

        if labelled is None:
            written = writing.write_tokens(self.shards, parts, self.asked, tell)
        else:
            written = writing.write_arrays(self.shards, state, parts, labelled, (self.asked, self.source), tell)
            self.notes += labels.notes_of(labelled, labelled.counts(parts))
        self.notes += written.notes
        card = self._card(state, parts, labelled, written)
        write_card(self.work.out, card)
        return card

    # --- stages

    def _fill(self) -> None:
        asked, source = self.asked, self.source

        def tell(share: float) -> None:
            self.tell(_READ * share, "reading")

        read_label = labels.reader_of(asked)
        if source.what == IMAGES:
            images.fill_images(self.shards, source.files, asked, (str(source.root), source.given), tell)
        elif source.what == ARRAYS:
            arrays.fill_arrays(self.shards, arrays.read_lots(asked, source.given), asked, read_label, tell)
        else:
            rows = source.what == ROWS
            samples = Samples(asked, source.root, source.files, source.split_by, rows, source.given)
            filters = Filters(asked.min_chars, asked.max_chars, asked.quality == "prose")
            keeper: Texts | Rows = Texts(filters, source.what == LABELLED, asked.near != "ignore", read_label)
            if rows:
                keeper = Rows(source.features, asked.ids, read_label)
            fill(self.shards, samples, keeper, asked.shard_bytes, str(source.root), tell)

    def _duplicates(self, given: Array | None) -> tuple[Array, Array | None]:
        """The state of each sample, and the first of those that it is nearly the same as; None where nobody looked.

        Args:
            given: the part of each, in a split that the data come with; None without one.
        """
        source, asked = self.source, self.asked
        usual = "keep" if source.what in (ROWS, ARRAYS) else "drop"
        state, both = np.zeros(self.shards.samples, np.uint8), 0
        if (asked.same or usual) == "drop":
            state, both = duplicates.same(self.shards, given)
        elif given is not None:
            found, both = duplicates.same(self.shards, given)
            if leaked := int((found == duplicates.SAME_HELD).sum()):
                self.notes.append(
                    f"{leaked:,} samples of train are the same as one that is held out, by chance or not: "
                    "--duplicates drop takes them out of train."
                )
        first = None
        if source.what in (TEXT, LABELLED) and asked.near != "ignore":

            def tell(share: float) -> None:
                self.tell(_READ + (_LOOKED - _READ) * share, "looking for near duplicates")

            first = duplicates.near(self.shards, state, asked.similarity, tell)
            near = duplicates.NEAR if asked.near == "drop" else duplicates.KEPT
            apart = np.flatnonzero((first != np.arange(len(first), dtype=first.dtype)) & (state == duplicates.KEPT))
            if given is None:
                state[apart] = near
            else:
                # What is the same is nearly the same: of validation it was counted, and not dropped, before.
                state[apart], both = duplicates.held(given, apart, first[apart], (near, duplicates.NEAR_HELD))
        if both:
            self.notes.append(
                f"Validation and test have {both:,} in common, or nearly so: they stay as they are given."
            )
        return state, first

    def _split(self, given: Array | None, state: Array, first: Array | None) -> Array:
        """The part of each sample."""
        kept = state == duplicates.KEPT
        if given is None:
            return self._drawn(kept, first, self.asked.shares)
        parts = np.where(kept, given, np.uint8(splitting.DROPPED))
        source = self.source.given
        for part in filter(source.has, source.there):
            if not (parts == part).any():
                self.notes.append(f"No record of the given {PARTS[part - 1]} can be used.")
        # Validation that is missing is drawn from train; what to test on is drawn where that was said.
        validation = 0.0 if source.has(splitting.VALIDATION) else self.asked.shares[0]
        test = 0.0 if source.has(splitting.TEST) else self.asked.test or 0.0
        train = parts == splitting.TRAIN
        if not train.any():
            raise self._nothing("record to train on")
        return np.where(train, self._drawn(train, first, (validation, test)), parts)

    def _drawn(self, kept: Array, first: Array | None, shares: tuple[float, float]) -> Array:
        """Parts of such shares of what is kept."""
        asked, text = self.asked, self.source.what == TEXT
        if first is not None and asked.near == "keep":
            # Eight bytes for each sample: a group may be one with any other.
            every = np.concatenate([self._groups(number) for number in range(len(self.shards))])
            groups = splitting.joined(every, first)
            sizes = self.shards.column("size") if text else np.ones(len(groups))
            parts = splitting.parts(groups, sizes, kept, shares, asked.seed, self._too_few())
        else:
            keys, weights = self._weighed(kept, text)
            found = None
            if len(keys) <= splitting.MANY:
                found = splitting.parts(keys, weights, np.ones(len(keys), bool), shares, asked.seed, self._too_few())
            shards = range(len(self.shards))
            parts = np.concatenate([self._drawn_of(number, kept, keys, found, shares) for number in shards])
        self._check_shares(parts, shares, text)
        return parts

    def _drawn_of(
        self, number: int, kept: Array, keys: Array, found: Array | None, shares: tuple[float, float]
    ) -> Array:
        """The parts of the samples of one shard: those of their groups, or of these by their hashes alone."""
        own, groups = self.shards.own(number, kept), self._groups(number)
        if found is None:
            return splitting.alone(groups, own, shares, self.asked.seed)
        at = np.minimum(np.searchsorted(keys, groups), len(keys) - 1)
        return np.where(own, found[at], np.uint8(splitting.DROPPED))

    def _weighed(self, kept: Array, text: bool) -> tuple[Array, Array]:
        """Groups of what is kept, in order, and the bytes or samples of each: 16 bytes a group, as far as they are used.

        Of more than ``splitting.MANY`` none weighs, and no more of them are looked for.
        """
        keys: Array = np.zeros(0, np.uint64)
        weights: Array = np.zeros(0)
        for number in range(len(self.shards)):
            own = self.shards.own(number, kept)
            sizes = self.shards.array(number, "size")[own].astype(np.float64) if text else np.ones(int(own.sum()))
            keys, inverse = np.unique(np.concatenate((keys, self._groups(number)[own])), return_inverse=True)
            weights = np.bincount(inverse, np.concatenate((weights, sizes)), minlength=len(keys))
            if len(keys) > splitting.MANY:
                break
        return keys, weights

    def _too_few(self) -> str:
        """What to do where there are too few groups to split."""
        finer = "" if self.source.split_by == "record" else ", --split-by record"
        if numbers := self.source.unused_numbers:
            # Rows that are the same in what is learned from are not parted.
            return f"--ids alone leaves columns of numbers out: --features {','.join(numbers[:4])} learns from them too"
        return f"give more data{finer}, or --validation 0 --test 0"

    def _groups(self, number: int) -> Array:
        """What each sample of a shard may not be parted from; samples that are the same have one group."""
        groups = self.shards.array(number, "group")
        return np.where(groups == 0, self.shards.array(number, "hash")[:, 0], groups)

    def _check_shares(self, parts: Array, shares: tuple[float, float], text: bool) -> None:
        has_of = self.shards.sizes_of(parts) if text else np.bincount(parts, minlength=len(PARTS) + 1)
        total = float(has_of[1:].sum())
        for place, share in ((splitting.VALIDATION, shares[0]), (splitting.TEST, shares[1])):
            has = float(has_of[place]) / total
            if share > 0 and not share / _FAR <= has <= share * _FAR:
                name = PARTS[place - 1]
                self.notes.append(
                    f"{name} has {has:.1%} and not {share:.1%}: what may not be parted is large beside it."
                )

    # --- what came of it

    def _card(self, state: Array, parts: Array, labelled: Labels | None, written: writing.Written) -> DataCard:
        sizes = self.shards.sizes_of(parts)
        counts = labelled.counts(parts) if labelled is not None else ((),) * len(PARTS)
        train = written.tokens.get("train")
        needed = self.asked.needed_tokens
        figures = {"longest": None, "cut": None, **written.card}
        return DataCard(
            source=checks.one_line(str(self.asked.source)),
            kind=written.data["kind"],
            what=self.source.what,
            files=len(self.source.files),
            read_bytes=sum(file.size_bytes for file in self.source.files),
            records=self.shards.records,
            dropped=(*self.shards.dropped(self.source.passed_by), *self._alike(state)),
            parts=tuple(
                PartCard(
                    name=name,
                    records=int((parts == place).sum()),
                    bytes=int(sizes[place]),
                    tokens=written.tokens.get(name),
                    classes=counts[place - 1],
                )
                for place, name in enumerate(PARTS, start=1)
                if name in written.data["parts"]
            ),
            encodings=self.shards.encodings,
            split_by="given" if self.source.given else self.source.split_by,
            seed=self.asked.seed,
            classes=tuple(written.data.get("class_names", ())),
            parameters=self.asked.parameters,
            needed_tokens=needed,
            passes=needed / train if needed and train else None,
            cpu_s=self._earlier[0] + time.process_time() - self._began[0],
            fixed_cpu_s=writing.fixed_cpu_s(self.work),
            wall_s=self._earlier[1] + time.monotonic() - self._began[1],
            notes=tuple(map(checks.one_line, self.notes)),
            version=__version__,
            fingerprint=write_prepared(self.work.out, written.data),
            **figures,
        )

    def _stored(self) -> tuple[float, float]:
        encoded = [
            self.work.read_json(name)
            for number in range(len(self.shards))
            if self.work.has(name := f"{number:05}.encoded.json")
        ]
        cpu_s, wall_s = (
            self.shards.total(name) + sum(float(each[name]) for each in encoded) for name in ("cpu_s", "wall_s")
        )
        return cpu_s + writing.fixed_cpu_s(self.work), wall_s

    def _alike(self, state: Array) -> tuple[LeftOut, ...]:
        """Duplicates that were dropped. The example is by its number: what was kept has no place any more."""
        found = []
        for kind, why in _ALIKE.items():
            places = np.flatnonzero(state == kind)
            if len(places):
                example = self._place(int(places[0]))
                found.append(LeftOut(what="records", why=why, count=len(places), example=example))
        return tuple(found)

    def _place(self, number: int) -> str:
        shard = int(np.searchsorted(np.array(self.shards.starts), number, side="right")) - 1
        texts = self.source.what in (TEXT, LABELLED)
        if not texts:
            return f"sample {number:,} of those that were kept"
        wanted = np.arange(*self.shards.starts[shard : shard + 2]) == number
        start = checks.one_line(next(self.shards.texts(shard, wanted))[:200])
        return f"'{start[:60]}…'" if len(start) > 60 else f"'{start}'"

    def _nothing(self, what: str = "record") -> DataError:
        lines = self.shards.dropped(self.source.passed_by)
        path: Path | str = self.asked.source
        if not lines:
            return DataError(f"the data '{path}' have no {what}", HINT)
        most = max(lines, key=lambda line: (line.what == "records", line.count))
        hint = "--label names the column to learn" if "label" in most.why else HINT
        if most.why == "without text":
            hint = "--text-column names a column of text, or --label the one to learn of a table"
        return DataError(f"no {what} in the data '{path}' can be used: {most.example}: {most.why}", hint)
