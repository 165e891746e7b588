"""A text in any encoding as bytes of UTF-8, read forward; to go back means to begin again."""

from __future__ import annotations

import codecs
import io
from typing import IO, Any, Final

from zenplan.adapters.data.records import BadFile

_CHUNK: Final = 1 << 16


class Transcoded(io.RawIOBase):
    """The bytes of another file, decoded and encoded again; without a byte order mark.

    Raises:
        BadFile: while it is read: a byte is none of that encoding.
    """

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._decode = codecs.getincrementaldecoder(self._encoding)()
        self._at, self._ready, self._raw_at, self._ended = 0, b"", 0, False

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, as of gzip."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        while not self._ready and not self._ended:
            part = self._file.read(_CHUNK)
            self._ended = not part
            try:
                text = self._decode.decode(part, final=self._ended)
            except UnicodeDecodeError as error:
                raise BadFile(f"not text in {self._encoding} (byte {self._raw_at + error.start})") from error
            if not self._raw_at:
                text = text.removeprefix("\ufeff")
            self._raw_at += len(part)
            # JSON may have half a surrogate pair, and UTF-16 too.
            self._ready = text.encode("utf-8", "replace")
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        self._at += size
        return size

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Go there, or to the end where it is before."""
        if whence == io.SEEK_CUR:
            place += self._at
        elif whence != io.SEEK_SET:
            raise io.UnsupportedOperation("from its end")
        if place < self._at:
            self._begin()
        buffer = bytearray(_CHUNK)
        while self._at < place and self.readinto(memoryview(buffer)[: place - self._at]):
            pass
        return self._at

    def tell(self) -> int:
        """Bytes of UTF-8 before the next."""
        return self._at
