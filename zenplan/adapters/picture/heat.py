"""Attributions as pictures: red adds to a score, blue takes from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zenplan.adapters.picture.png import Canvas
from zenplan.domain.measured.explanation import Attribution

RED, BLUE = (214, 39, 40), (31, 119, 180)
# Pixels a side of a picture, about.
_SIDE: Final = 280
_GAP: Final = 12
Colour = tuple[int, int, int]


def shares(values: Sequence[float]) -> list[float]:
    """Each value as a share of the largest size, from -1 to 1; all 0 where there is none."""
    most = max((abs(value) for value in values), default=0.0)
    return [value / most if most else 0.0 for value in values]


def mixed(below: Colour, share: float) -> Colour:
    """A colour under red, or under blue where the share is negative, as much as it is large."""
    above, weight = (RED, share) if share >= 0.0 else (BLUE, -share)
    red, green, blue = (round(b + (a - b) * weight) for b, a in zip(below, above, strict=True))
    return red, green, blue


def image_png(found: Attribution) -> bytes:
    """The image, and beside it the same in grey under its attributions."""
    height, width, channels = found.given_shape
    scale = max(1, _SIDE // max(height, width))
    canvas = Canvas((2 * width) * scale + _GAP, height * scale)
    most = 255.0 if max(found.given, default=0.0) > 1.0 else 1.0
    of_places = shares(found.values)
    # A place is a pixel, or a square of them.
    down, across = -(-height // found.shape[0]), -(-width // found.shape[1])
    for y in range(height):
        for x in range(width):
            first = (y * width + x) * channels
            pixel = [max(0, min(255, round(255 * v / most))) for v in found.given[first : first + channels]]
            colour = (pixel[0], pixel[0], pixel[0]) if channels == 1 else (pixel[0], pixel[1], pixel[2])
            grey = 128 + sum(colour) // 6
            share = of_places[(y // down) * found.shape[1] + x // across]
            _square(canvas, x * scale, y * scale, scale, colour)
            _square(canvas, (width + x) * scale + _GAP, y * scale, scale, mixed((grey, grey, grey), share))
    return canvas.png()


def bars_png(found: Attribution, most: int = 20) -> bytes:
    """The largest attributions as bars from a middle line, the largest at the top, each with its value."""
    places = found.largest(most)
    of_places = shares(found.values)
    canvas = Canvas(2 * _SIDE + 120, 24 * len(places) + 8)
    for row, place in enumerate(places):
        y, length = 24 * row + 8, round(of_places[place] * _SIDE)
        for x in range(min(0, length), max(0, length) + 1):
            for dy in range(16):
                canvas.dot(_SIDE + x, y + dy, RED if length >= 0 else BLUE)
        canvas.text(2 * _SIDE + 8, y + 3, f"{found.values[place]:.3g}", (60, 60, 60))
    canvas.line((_SIDE, 0), (_SIDE, canvas.height), (60, 60, 60))
    return canvas.png()


def _square(canvas: Canvas, left: int, top: int, side: int, colour: Colour) -> None:
    for x in range(left, left + side):
        for y in range(top, top + side):
            canvas.dot(x, y, colour)
