"""Which parts of a lot are read: all of a small one; of a large one some from everywhere, so that it takes seconds."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, takewhile
from typing import Final

from zenplan.adapters.data.estimates import Draw, Lot
from zenplan.adapters.data.meter import Meter
from zenplan.adapters.data.readers import reading
from zenplan.adapters.data.records import BadFile, Reader
from zenplan.adapters.data.walk import DataFile, PassedBy

# Bytes on the disk of one lot that are read whole: plain, compressed.
_WHOLE: Final = {False: 24e6, True: 6e6}
# Of a larger one: bytes of a part, and how many parts, of which small files need more.
_PART: Final = 65_536.0
_DRAWS: Final = 256
_MOST_DRAWS: Final = 1024
_DRAWN_BYTES: Final = _PART * _DRAWS
# A part of a Parquet file is found by decoding what stands before it in its row group: bytes that are decoded in all.
_DECODED: Final = 1.0e9
_PARQUET_DRAWS: Final = (16, 128)
# What can only be read from its start: how many files, and bytes on the disk of all of them: of JSON, and of gzip,
# which is passed over without being understood.
_FILES: Final = 16
_FORWARD: Final = {True: 32e6, False: 160e6}
# Text in gzip is about so many times as large; it only spaces the parts.
_EXPANSION: Final = 4.0
# How far what stands behind the part that was read may differ from it, as a share. Assumed.
_UNSEEN: Final = 0.15


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are read in one way."""

    files: list[DataFile]
    format: str
    gzip: bool

    @property
    def size_bytes(self) -> float:
        """On the disk."""
        return float(sum(file.size_bytes for file in self.files))

    @property
    def small(self) -> bool:
        """Whether all of it is read."""
        packed = self.gzip or self.format == "Parquet"
        # To open a file takes longer than to read a small one.
        return self.size_bytes <= _WHOLE[packed] and len(self.files) <= _MOST_DRAWS * 2

    @property
    def bytes_to_read(self) -> float:
        """About how many, in memory: texts for the meter are shared out by it."""
        read = self.size_bytes * (_EXPANSION if self.gzip else 1.0)
        return max(read if self.small else min(read, _DRAWN_BYTES), 1.0)


class Drawing:
    """Draws from groups of files.

    Args:
        passed_by: told of files that are not what they say.
        tell: called with the bytes on the disk that each draw stands for.
        seed: of the places; the same answer each time.
    """

    def __init__(self, passed_by: PassedBy, tell: Callable[[float], None], seed: int = 0) -> None:
        self._passed_by, self._tell = passed_by, tell
        self._random = random.Random(seed)  # noqa: S311 (a sample, no secret)
        self.bad: set[str] = set()

    def lot(self, group: Group, meter: Meter) -> Lot:
        """The draws from a group."""
        if group.small:
            return self._whole(group, meter)
        if group.format == "Parquet":
            return self._parquet(group, meter)
        if group.gzip or group.format == "JSON":
            return self._forward(group, meter)
        return self._entered(group, meter)

    def read(self, file: DataFile, work: Callable[[Reader], list[Draw]]) -> list[Draw] | None:
        """What ``work`` makes of a file's reader; None where the file cannot be used, which is told once."""
        try:
            with reading(file) as reader:
                return work(reader)
        except BadFile as error:
            if file.path not in self.bad:
                self.bad.add(file.path)
                self._passed_by.add(file.path, str(error))
            return None

    def _whole(self, group: Group, meter: Meter) -> Lot:
        draws, read = list[Draw](), 0.0
        for file in group.files:
            found = self.read(file, partial(self._every, meter, file.path))
            if found is not None:
                draws += found
                read += file.size_bytes
            self._tell(float(file.size_bytes))
        return Lot(measure=sum(d.measure for d in draws), draws=draws, whole=True, read=1.0, read_bytes=read)

    @staticmethod
    def _every(meter: Meter, path: str, reader: Reader) -> list[Draw]:
        return list(meter.draws(reader.records(), _PART, path))

    def _entered(self, group: Group, meter: Meter) -> Lot:
        """Parts from anywhere."""
        sizes = [float(file.size_bytes) for file in group.files]
        total = sum(sizes)
        part = min(_PART, total / len(sizes))
        number = int(min(max(_DRAWN_BYTES / max(part, 1.0), _DRAWS), _MOST_DRAWS))
        places = self._places(sizes, number)
        draws = []
        for index, within in places:
            low = within // _PART * _PART
            draws.append(self._part(group.files[index], low, min(low + _PART, sizes[index]), meter))
            self._tell(total / number)
        read = sum(d.measure for d in draws)
        return Lot(measure=total, draws=draws, whole=False, read=min(read / total, 1.0), read_bytes=read)

    def _part(self, file: DataFile, low: float, high: float, meter: Meter) -> Draw:
        size = high - low
        found = self.read(file, lambda reader: [meter.draw(reader.records(low, high), size, file.path)])
        return found[0] if found else Draw(measure=size, raw=size)

    def _parquet(self, group: Group, meter: Meter) -> Lot:
        """Parts of row groups, which the metadata of all files weigh."""
        weighed = [(file, *self._weighed(file)) for file in group.files]
        good = [(file, size, count, groups) for file, size, count, groups in weighed if groups]
        sizes = [size for _, size, _, _ in good]
        total, row_groups = sum(sizes), sum(groups for _, _, _, groups in good)
        fewest, most = _PARQUET_DRAWS
        number = int(min(max(_DECODED / max(0.5 * total / max(row_groups, 1), 1.0), fewest), most))
        draws = []
        for index, within in self._places(sizes, number):
            part = 4.0 * _PART
            low = within // part * part
            draws.append(self._part(good[index][0], low, min(low + part, sizes[index]), meter))
            self._tell(group.size_bytes / number)
        share = min(sum(d.measure for d in draws) / total, 1.0) if total else 1.0
        known = sum(count for _, _, count, _ in good)
        return Lot(
            measure=total, draws=draws, whole=False, records=known, read=share, read_bytes=share * group.size_bytes
        )

    def _weighed(self, file: DataFile) -> tuple[float, int, int]:
        """Measure, rows and row groups of a Parquet file; all 0 where it cannot be used."""
        found: list[tuple[float, int, int]] = [(0.0, 0, 0)]

        def look(reader: Reader) -> list[Draw]:
            found.append((reader.size or 0.0, reader.count or 0, getattr(reader, "groups", 1)))
            return []

        self.read(file, look)
        return found[-1]

    def _forward(self, group: Group, meter: Meter) -> Lot:
        """Parts of what is read from its start, as far as it may take."""
        number = min(_FILES, len(group.files))
        sizes = [float(file.size_bytes) for file in group.files]
        # All of a few; else files by their size.
        chosen = range(number) if number == len(sizes) else [i for i, _ in self._places(sizes, number)]
        draws, unpacked, packed, left = list[Draw](), list[tuple[float, float]](), 0.0, 0.0
        for index in dict.fromkeys(chosen):
            file = group.files[index]
            most = _FORWARD[file.format in ("JSON", "CSV")] / number
            found: list[tuple[float, float]] = []
            made = self.read(file, partial(self._ahead, file, most, meter, found))
            draws += made or []
            unpacked += found if made is not None else []
            packed += min(most, file.size_bytes)
            left += max(file.size_bytes - most, 0.0)
            self._tell(group.size_bytes / number)
        measure, error = _unpacked(unpacked, group.size_bytes)
        read = sum(d.measure for d in draws)
        return Lot(
            measure=measure,
            draws=draws,
            whole=False,
            measure_error=error,
            unseen=_UNSEEN * left / (left + packed),
            read=min(read / measure, 1.0) if measure else 1.0,
            read_bytes=sum(on_disk for _, on_disk in unpacked),
        )

    def _ahead(
        self, file: DataFile, most: float, meter: Meter, found: list[tuple[float, float]], reader: Reader
    ) -> list[Draw]:
        """Draws of one file up to so many of its bytes on the disk; ``found`` is told how far that was, in both units."""
        draws = []
        if reader.sequential or file.format == "JSON":
            within = takewhile(lambda _: reader.on_disk <= most, reader.records())
            draws = list(meter.draws(within, _PART, file.path))
        else:
            stride = max(_PART, min(most, file.size_bytes) * _EXPANSION * _FILES / _DRAWS / 4.0)
            start = 0.0
            while reader.on_disk < most:
                low = start + self._random.random() * (stride - _PART)
                if low >= reader.at or not draws:
                    draw = meter.draw(reader.records(low, low + _PART), _PART, file.path)
                    if reader.at < low or (reader.at == low and not draw.raw):
                        break
                    draw.measure = min(_PART, reader.at - low) or _PART
                    draws.append(draw)
                start += stride
        found.append((reader.at, min(reader.on_disk, float(file.size_bytes))))
        return draws

    def _places(self, sizes: Sequence[float], number: int) -> Iterator[tuple[int, float]]:
        """Places in data of these sizes, one from every stretch of it: which, and where in it."""
        ends = list(accumulate(sizes))
        if not ends or not ends[-1]:
            return
        for stretch in range(number):
            place = min((stretch + self._random.random()) / number * ends[-1], ends[-1] * (1.0 - 1e-12))
            index = min(bisect_right(ends, place), len(ends) - 1)
            yield index, min(max(place - (ends[index] - sizes[index]), 0.0), sizes[index])


def _unpacked(found: Sequence[tuple[float, float]], on_disk: float) -> tuple[float, float]:
    """What files of that many bytes hold in all, from how many came out of how many of some; and its standard error."""
    out, of = sum(a for a, _ in found), sum(b for _, b in found)
    if not of:
        return 0.0, 0.0
    ratio, number = out / of, len(found)
    if number < 2 or of >= 0.999 * on_disk:
        return ratio * on_disk, 0.0
    residuals = sum((a - ratio * b) ** 2 for a, b in found)
    return ratio * on_disk, (number / (number - 1) * residuals) ** 0.5 / out
