"""Pictures of a loss curve: an SVG that parses, a PNG whose bytes are what was drawn."""

from __future__ import annotations

import struct
import zlib
from xml.etree import ElementTree

import pytest

from zenplan.adapters.picture.curve import curve_png, curve_svg, smooth
from zenplan.adapters.picture.png import Canvas


def decoded(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and rows of a PNG of ours; each chunk's checksum is looked at."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, {}
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        assert struct.unpack(">I", data[place + 8 + size : place + 12 + size]) == (zlib.crc32(kind + body),)
        chunks[kind], place = body, place + 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour, list(chunks)) == (8, 2, [b"IHDR", b"IDAT", b"IEND"])
    return width, height, zlib.decompress(chunks[b"IDAT"])


def test_a_dot_is_where_it_was_put() -> None:
    canvas = Canvas(5, 3)
    canvas.dot(2, 1, (1, 2, 3))
    canvas.dot(99, 1, (0, 0, 0))
    width, height, rows = decoded(canvas.png())
    assert (width, height, len(rows)) == (5, 3, 3 * (1 + 15))
    assert rows[16 + 1 + 6 : 16 + 1 + 9] == bytes([1, 2, 3])
    assert rows.count(255) == 3 * 15 - 3


@pytest.mark.parametrize(
    ("training", "evaluated"),
    [
        ([], {}),
        ([(1, 2.0)], {}),
        ([(1, 2.0), (2, 2.0)], {"validation": [(2, 2.0)]}),
        ([(i, 100.0 / i) for i in range(1, 5000)], {"validation": [(i, 90.0 / i) for i in range(100, 5000, 100)]}),
        ([(1, float("nan")), (2, float("inf"))], {}),
        ([(1, -3.0), (2, 5.0)], {"<&>": [(1, 0.0)]}),
    ],
)
def test_any_curve_is_drawn(training: list[tuple[int, float]], evaluated: dict[str, list[tuple[int, float]]]) -> None:
    text = curve_svg("a <title> & more", training, evaluated)
    root = ElementTree.fromstring(text)  # noqa: S314 - it is our own
    assert root.tag.endswith("svg")
    assert "nan" not in text
    decoded(curve_png(training, evaluated))
    paths = [each for each in root.iter("{http://www.w3.org/2000/svg}path") if each.get("fill") == "none"]
    finite = any(value - value == 0.0 for _, value in training)
    assert len(paths) == finite + len(evaluated)


def test_neighbours_are_drawn_as_their_mean() -> None:
    found = smooth([(i, float(i % 2)) for i in range(1000)], 100)
    assert len(found) == 100
    assert {value for _, value in found} == {0.5}
    assert found[-1][0] == 999
