"""Parquet files, through pyarrow: the one reader of it that is kept by the format's own project, and takes every
encoding and compression. Its metadata count rows and bytes of each column before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from zenplan.adapters.data.encoding import UTF8
from zenplan.adapters.data.records import BadFile, Record
from zenplan.adapters.data.source import opened
from zenplan.adapters.data.walk import DataFile
from zenplan.errors import UsageError

_ROWS: Final = 128
_BUFFER: Final = 1 << 20


@dataclass(slots=True)
class FromGroup:
    """What was taken from one row group.

    Attributes:
        group_size: of it, in the unit of the reader's ``size``; ``decoded_bytes`` is what it takes in memory.
        batches: the size of each batch of rows, and its records, whose sizes are in memory.
    """

    group_size: float
    decoded_bytes: float = 0.0
    batches: list[tuple[float, list[Record]]] = field(default_factory=list)


class ParquetReader:
    """The rows of a Parquet file: of its columns those with texts in them, also in lists and structures; or every one
    but images.

    ``size`` is what these columns take, uncompressed; a row has its share of its row group's.

    Raises:
        UsageError: pyarrow is not installed.
        BadFile: it is no Parquet file, or a broken one.
    """

    sequential = False
    encoding = UTF8

    def __init__(self, file: DataFile, every_column: bool = False) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise UsageError(
                "Parquet files need pyarrow, which is not installed", "pip install 'zenplan[data]'"
            ) from error
        self._broken = (pyarrow.ArrowException, OSError, ValueError)
        self._raw = opened(file)
        try:
            self._file = pyarrow.parquet.ParquetFile(self._raw, buffer_size=_BUFFER, pre_buffer=False)
        except self._broken as error:
            self._raw.close()
            raise BadFile("not a Parquet file, or one that ends too early") from error
        self._describe(pyarrow.types, every_column)

    def _describe(self, types: Any, every_column: bool) -> None:
        schema, metadata = self._file.schema_arrow, self._file.metadata
        self.columns = tuple(schema.names)
        self._images = {n for n in schema.names if _is_image(schema.field(n).type, types)}
        leaves = [metadata.schema.column(i) for i in range(metadata.num_columns)]
        texts = [
            i
            for i, leaf in enumerate(leaves)
            if leaf.logical_type.type in ("STRING", "JSON") and leaf.path.split(".")[0] not in self._images
        ]
        self._read = list(dict.fromkeys(leaves[i].path.split(".")[0] for i in texts))
        if every_column:
            self._read = [name for name in self.columns if name not in self._images]
        measured = texts or range(len(leaves))
        groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
        self._rows = [group.num_rows for group in groups]
        self._sizes = [float(sum(g.column(i).total_uncompressed_size for i in measured)) or 1.0 for g in groups]
        self.size: float | None = sum(self._sizes)
        self.count: int | None = metadata.num_rows
        self.groups = len(groups)
        self._at = 0.0

    def records(self, low: float = 0.0, high: float | None = None) -> Iterator[Record]:
        """The rows whose share of the columns starts from ``low`` to below ``high``."""
        most = float("inf") if high is None else high
        start, before = 0.0, 0
        for group, (size, rows) in enumerate(zip(self._sizes, self._rows, strict=True)):
            if start + size > low and start < most and rows:
                yield from self._of_group(group, start, before, (low, most))
            start, before = start + size, before + rows

    def _of_group(self, group: int, start: float, before: int, within: tuple[float, float]) -> Iterator[Record]:
        each = self._sizes[group] / self._rows[group]
        number = 0
        try:
            for batch in self._file.iter_batches(_ROWS, row_groups=[group], columns=self._read, use_threads=False):
                first, number = number, number + batch.num_rows
                if start + number * each <= within[0]:
                    continue
                rows = batch.to_pylist() if self._read else [{}] * batch.num_rows
                for offset, row in enumerate(rows, start=first):
                    self._at = start + offset * each
                    if self._at >= within[1]:
                        return
                    if self._at >= within[0]:
                        row.update({name: {"bytes": b"", "path": ""} for name in self._images})
                        yield Record(place=f"row {before + offset + 1}", size=each, row=row)
        except self._broken as error:
            raise BadFile(f"a broken Parquet file: {str(error).splitlines()[0]}") from error

    def at_places(self, places: list[float]) -> Iterator[FromGroup]:
        """The batches that are at these places, one after another, by row group; each of these is decoded whole.

        Raises:
            BadFile: what is decoded is broken.
        """
        start, before = 0.0, 0
        for group, (size, rows) in enumerate(zip(self._sizes, self._rows, strict=True)):
            # The last rows may be in a smaller batch.
            here = sorted(
                min(int((p - start) / size * rows), rows - 1) // _ROWS for p in places if 0 <= p - start < size
            )
            if here:
                yield self._taken(group, here, before)
            start, before = start + size, before + rows

    def _taken(self, group: int, numbers: list[int], before: int) -> FromGroup:
        each = self._sizes[group] / self._rows[group]
        found = FromGroup(self._sizes[group])
        try:
            batches = self._file.iter_batches(_ROWS, row_groups=[group], columns=self._read, use_threads=False)
            for number, batch in enumerate(batches):
                found.decoded_bytes += batch.nbytes
                if number not in numbers:
                    continue
                size = batch.nbytes / batch.num_rows
                records = [
                    Record(place=f"row {before + number * _ROWS + offset}", size=size, row=row)
                    for offset, row in enumerate(batch.to_pylist(), start=1)
                ]
                found.batches += [(batch.num_rows * each, records)] * numbers.count(number)
        except self._broken as error:
            raise BadFile(f"a broken Parquet file: {str(error).splitlines()[0]}") from error
        return found

    @property
    def at(self) -> float:
        """Up to where it was read, in bytes of the columns."""
        return self._at

    @property
    def on_disk(self) -> float:
        """The same in bytes of the file, to which it is compressed."""
        return self._at

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        self._raw.close()


def _is_image(kind: Any, types: Any) -> bool:
    """Whether a column holds images, as ``datasets`` writes them."""
    return types.is_struct(kind) and {kind.field(i).name for i in range(kind.num_fields)} >= {"bytes", "path"}
