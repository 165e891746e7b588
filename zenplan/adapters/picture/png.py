"""A PNG of a grid of colours (ISO/IEC 15948): 8 bits a channel, one filterless scan line after another."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2


class Canvas:
    """A picture of ``width`` × ``height`` pixels, white at first; colours are (red, green, blue), 0 to 255."""

    def __init__(self, width: int, height: int) -> None:
        """White."""
        self.width, self.height = width, height
        self._rows = [bytearray(b"\xff" * (3 * width)) for _ in range(height)]

    def dot(self, x: int, y: int, colour: tuple[int, int, int]) -> None:
        """One pixel; outside of the picture nothing."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._rows[y][3 * x : 3 * x + 3] = bytes(colour)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], colour: tuple[int, int, int], thick: int = 1
    ) -> None:
        """A straight line, as many pixels thick.

        Args:
            start, end: x and y of its ends.
            colour: of all of it.
            thick: in pixels.
        """
        (x0, y0), (x1, y1) = start, end
        count = max(1, round(max(abs(x1 - x0), abs(y1 - y0))))
        for i in range(count + 1):
            x, y = round(x0 + (x1 - x0) * i / count), round(y0 + (y1 - y0) * i / count)
            for dx in range(thick):
                for dy in range(thick):
                    self.dot(x + dx, y + dy, colour)

    def text(self, x: int, y: int, text: str, colour: tuple[int, int, int], scale: int = 2) -> None:
        """Letters of 3 × 5 squares, ``scale`` pixels a side: digits, a point and what a figure needs.

        Args:
            x, y: of its upper left corner.
            text: other letters are left out, and keep their room.
            colour: of all of it.
            scale: pixels of a square.
        """
        for place, letter in enumerate(text):
            for row, bits in enumerate(_LETTERS.get(letter.lower(), ())):
                for column in range(3):
                    if bits & (4 >> column):
                        for dx in range(scale):
                            for dy in range(scale):
                                self.dot(x + (4 * place + column) * scale + dx, y + row * scale + dy, colour)

    def png(self) -> bytes:
        """The file."""
        raw = b"".join(b"\0" + row for row in self._rows)
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, _RGB, 0, 0, 0)
        return _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# Rows of three bits, from the top.
_LETTERS = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 1, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
    ".": (0, 0, 0, 0, 2),
    "-": (0, 0, 7, 0, 0),
    "+": (0, 2, 7, 2, 0),
    "k": (5, 5, 6, 5, 5),
    "m": (5, 7, 7, 5, 5),
    "e": (7, 4, 6, 4, 7),
    "t": (7, 2, 2, 2, 2),
    "r": (6, 5, 6, 5, 5),
    "a": (2, 5, 7, 5, 5),
    "i": (7, 2, 2, 2, 7),
    "n": (6, 5, 5, 5, 5),
    "v": (5, 5, 5, 5, 2),
    "l": (4, 4, 4, 4, 7),
    "d": (6, 5, 5, 5, 6),
    "o": (7, 5, 5, 5, 7),
    "s": (7, 4, 7, 1, 7),
    "p": (7, 5, 7, 4, 4),
}
