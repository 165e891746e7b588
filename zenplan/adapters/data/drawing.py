"""Which parts of a lot are read: all of a small one; of a large one some from everywhere, so that it takes seconds."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby, takewhile
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
# Bytes of a file that is not UTF-8 from which is drawn.
_DECODED_BEFORE: Final = 64 * _PART
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
        # Of files that are not in UTF-8, as far as they were opened.
        self.encodings: dict[str, str] = {}

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
                if not reader.encoding.is_utf8:
                    self.encodings[file.path] = reader.encoding.name
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
        measure = sum(d.measure for d in draws)
        return Lot(measure=measure, size=measure, draws=draws, whole=True, read_bytes=read)

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
        return Lot(measure=total, size=total, draws=draws, whole=False, read_bytes=read)

    def _part(self, file: DataFile, low: float, high: float, meter: Meter) -> Draw:
        size = high - low

        def drawn(reader: Reader) -> list[Draw]:
            if reader.encoding.is_utf8:
                return [meter.draw(reader.records(low, high), size, file.path)]
            # It is only reached by decoding all before it: of such a file the beginning stands for the rest.
            start, scale = low % _DECODED_BEFORE, reader.encoding.scale
            draw = meter.draw(reader.records(start * scale, (start + size) * scale), size, file.path)
            draw.raw /= scale
            return [draw]

        found = self.read(file, drawn)
        return found[0] if found else Draw(measure=size, raw=size)

    def _parquet(self, group: Group, meter: Meter) -> Lot:
        """Batches of rows, from row groups that the metadata of all files weigh. A row group that is drawn from is
        decoded to its end, which says how much larger it is in memory than the metadata have it.
        """
        weighed = [(file, *self._weighed(file)) for file in group.files]
        good = [(file, size, count, groups) for file, size, count, groups in weighed if groups]
        sizes = [size for _, size, _, _ in good]
        total, row_groups = sum(sizes), sum(groups for _, _, _, groups in good)
        fewest, most = _PARQUET_DRAWS
        number = int(min(max(_DECODED * row_groups / total, fewest), most)) if total else 0
        places = [list(each) for _, each in groupby(self._places(sizes, number), key=lambda place: place[0])]
        draws, decoded = list[Draw](), list[tuple[float, float, float]]()
        for each in places:
            file, within = good[each[0][0]][0], [place for _, place in each]
            found = self.read(file, partial(self._batches, file, within, meter, decoded))
            draws += found if found is not None else [Draw(measure=1.0, raw=1.0) for _ in within]
            self._tell(group.size_bytes * len(within) / number)
        ratio, error = _ratio(decoded)
        read = min(sum(d.raw for d in draws) / (ratio * total), 1.0) if ratio * total else 0.0
        return Lot(
            measure=total,
            size=ratio * total,
            size_error=error,
            draws=draws,
            whole=False,
            records=sum(count for _, _, count, _ in good),
            read_bytes=read * group.size_bytes,
        )

    @staticmethod
    def _batches(
        file: DataFile, places: list[float], meter: Meter, decoded: list[tuple[float, float, float]], reader: Reader
    ) -> list[Draw]:
        from zenplan.adapters.data.parquet import ParquetReader

        draws = []
        if isinstance(reader, ParquetReader):
            for found in reader.at_places(places):
                decoded.append((found.decoded_bytes, found.group_size, float(len(found.batches))))
                draws += [meter.draw(records, size, file.path) for size, records in found.batches]
        return draws

    def _weighed(self, file: DataFile) -> tuple[float, int, int]:
        """Measure, rows and row groups of a Parquet file; all 0 where it cannot be used."""
        found: list[tuple[float, int, int]] = [(0.0, 0, 0)]

        def look(reader: Reader) -> list[Draw]:
            found.append((reader.size or 0.0, reader.count or 0, getattr(reader, "groups", 1)))
            return []

        self.read(file, look)
        return found[-1]

    def _forward(self, group: Group, meter: Meter) -> Lot:
        """Parts of what is read from its start, as far as it may take: of all of a few files, else of some."""
        sizes = [float(file.size_bytes) for file in group.files]
        some = len(sizes) > _FILES
        times = Counter(index for index, _ in self._places(sizes, _FILES)) if some else Counter(range(len(sizes)))
        draws, unpacked, packed, left = list[Draw](), list[tuple[float, float, float]](), 0.0, 0.0
        for index, number in times.items():
            file = group.files[index]
            most = _FORWARD[reads_in_order(file)] / len(times)
            share = number / _FILES if some else sizes[index] / sum(sizes)
            found: list[tuple[float, float]] = []
            made = self.read(file, partial(self._ahead, file, most, _DRAWS / len(times), meter, found)) or []
            for draw in made:
                draw.share, draw.file = share / len(made), index if some else None
            draws += made
            if made:
                unpacked += [(out, on_disk, share) for out, on_disk in found]
            packed += min(most, sizes[index])
            left += max(sizes[index] - most, 0.0)
            self._tell(group.size_bytes / len(times))
        ratio, error = _ratio([(out, on_disk, share) for out, on_disk, share in unpacked])
        measure = ratio * group.size_bytes
        read = min(sum(d.measure for d in draws) / measure, 1.0) if measure else 0.0
        return Lot(
            measure=measure,
            size=measure,
            size_error=error if some else 0.0,
            draws=draws,
            whole=False,
            unseen=_UNSEEN * left / (left + packed),
            read_bytes=read * group.size_bytes,
        )

    def _ahead(
        self, file: DataFile, most: float, number: float, meter: Meter, found: list[tuple[float, float]], reader: Reader
    ) -> list[Draw]:
        """About ``number`` draws of one file up to so many of its bytes on the disk; ``found`` is told how far that
        was, unpacked and on the disk.
        """
        draws = []
        if reads_in_order(file):
            within = takewhile(lambda _: reader.on_disk <= most, reader.records())
            draws = list(meter.draws(within, _PART, file.path))
        else:
            stride = max(_PART, min(most, file.size_bytes) * _EXPANSION / number)
            start = 0.0
            while reader.on_disk < most:
                low = start + self._random.random() * (stride - _PART)
                start += stride
                high = low + _PART
                # A record that was longer than its part has been read beyond this one, or into it.
                at = reader.at if draws else 0.0
                draw = meter.draw(reader.records(max(low, at), high) if at < high else (), _PART, file.path)
                if reader.at <= low:
                    break
                draw.measure = min(_PART, reader.at - low)
                draws.append(draw)
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


def reads_in_order(file: DataFile) -> bool:
    """Whether a place in the file is reached only by understanding all that stands before."""
    return file.format == "JSON" or (file.gzip and file.format == "CSV")


def _ratio(found: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """The mean ratio of two figures, each with its weight, and its standard error as a share of it."""
    total = sum(weight for _, _, weight in found)
    if not total:
        return 0.0, 0.0
    ratio = sum(weight * a / b for a, b, weight in found) / total
    number = len(found)
    if number < 2:
        return ratio, 0.0
    residuals = sum((weight * (a / b - ratio)) ** 2 for a, b, weight in found)
    return ratio, math.sqrt(number / (number - 1.0) * residuals) / (total * ratio)
