"""The bytes of a file, as they are or out of gzip: read forward, entered anywhere, and never a pipe or a device."""

from __future__ import annotations

import gzip
import io
import math
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import IO, Final, TypeVar, cast

from zenplan.adapters.data.encoding import LOOKED_AT, UTF8, Encoding, encoding_of
from zenplan.adapters.data.records import MOST_RECORD_BYTES, BadFile
from zenplan.adapters.data.signature import HEAD_BYTES, really
from zenplan.adapters.data.transcoded import Transcoded
from zenplan.adapters.data.walk import DataFile

T = TypeVar("T")

_CHUNK: Final = 1 << 18


@lru_cache(maxsize=4096)
def _found(file: DataFile, size_bytes: int, changed_ns: int) -> Encoding:
    """The encoding of a file, which a sample opens many times; what cannot be read says so when it is."""
    with opened(file) as raw, suppress(OSError, EOFError, zlib.error):
        content = (gzip.GzipFile(fileobj=raw) if file.gzip else raw).read(LOOKED_AT)
        # What has a signature of another kind is none of text.
        what = really(content[:HEAD_BYTES])
        return UTF8 if what and what != "HTML" and not file.encoding else encoding_of(content, file.path, file.encoding)
    return UTF8


def opened(file: DataFile) -> IO[bytes]:
    """The file on the disk, open to be read. Raises BadFile: it cannot be, or is none."""
    try:
        # Not blocking: a pipe that took its place would wait for ever.
        descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise BadFile(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    raw = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raw.close()
        raise BadFile("not a regular file")
    return raw


class Source:
    """A file as bytes of UTF-8; of one that gzip compressed, what comes out.

    Attributes:
        size: in bytes; None where that shows at the end only.
        encoding: that the file is in.

    Raises:
        BadFile: it cannot be opened, or is not what its suffix says.
    """

    def __init__(self, file: DataFile, html: bool = False) -> None:
        """``html`` is whether it may be HTML: a text may, a table not."""
        self._raw = opened(file)
        self._file: IO[bytes] = self._raw
        status = os.fstat(self._raw.fileno())
        self.size = None if file.gzip else float(status.st_size)
        self.encoding = UTF8
        try:
            if file.gzip:
                if (what := really(self._raw.read(HEAD_BYTES))) != "gzip":
                    raise BadFile(f"{what or 'no gzip'}, whatever its suffix says")
                self._raw.seek(0)
                # To go back a little must not mean to begin again.
                self._file = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=self._raw)), _CHUNK)
            self.encoding = _found(file, status.st_size, status.st_mtime_ns)
            if not self.encoding.is_utf8:
                self._file = io.BufferedReader(Transcoded(self._file, self.encoding.name), _CHUNK)
                self.size = None
            what = really(self.read(HEAD_BYTES))
            if what and not (html and what == "HTML"):
                raise BadFile(f"{what}, whatever its suffix says")
            self.seek(0)
        except BadFile:
            self.close()
            raise

    @property
    def at(self) -> int:
        """Where the next byte is read."""
        return self._file.tell()

    @property
    def on_disk(self) -> float:
        """Bytes of the file on the disk that were read up to there."""
        return float(self._raw.tell())

    def seek(self, place: int) -> None:
        """Go there; past the end of what gzip compressed, to its end."""
        self._guarded(lambda: self._file.seek(place))

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end."""
        return self._guarded(lambda: self._file.read(most))

    def lines(self, low: int, high: float) -> Iterator[tuple[int, bytes]]:
        """Lines that start from ``low`` to below ``high``, each with its place. One that is too long is cut, and
        what follows in it is passed over: more than ``MOST_RECORD_BYTES`` are too long.
        """
        self.seek(max(low - 1, 0))
        if low and not self._to_next_line(high):
            return
        place = self.at
        while place < high:
            line = self._guarded(lambda: self._file.readline(MOST_RECORD_BYTES + 1))
            if not line:
                return
            yield place, line
            place += len(line)
            if len(line) > MOST_RECORD_BYTES and not line.endswith(b"\n"):
                self._to_next_line(math.inf)
                place = self.at

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not self._raw:
            self._file.close()
        self._raw.close()

    def _to_next_line(self, high: float) -> bool:
        """Whether a line starts before ``high``, and then to it."""
        while self.at <= high:
            part = self._guarded(lambda: self._file.readline(_CHUNK))
            if not part:
                return False
            if part.endswith(b"\n"):
                return True
        return False

    @staticmethod
    def _guarded(read: Callable[[], T]) -> T:
        try:
            return read()
        except EOFError as error:
            raise BadFile("gzip that ends too early") from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise BadFile(f"broken gzip: {error}") from error
        except (OSError, ValueError) as error:
            raise BadFile(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
