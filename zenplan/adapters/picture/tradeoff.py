"""Versions of a model as a picture: size to the right, the figure that they are judged by upwards, latency as the area of a
mark, and the cost of serving beside its name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from zenplan import units
from zenplan.adapters.picture.png import Canvas
from zenplan.domain.measured.compression import Compression, Version

_WIDTH, _HEIGHT = 960, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 240, 60, 60
_TICKS: Final = 5
_LEAST_RADIUS, _MOST_RADIUS = 4.0, 22.0
_GREY, _INK, _CHOSEN, _INSIDE, _OUTSIDE = (210, 210, 210), (60, 60, 60), (214, 39, 40), (31, 119, 180), (150, 150, 150)
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Mark:
    """A version in the picture: its place and radius in pixels."""

    version: Version
    x: float
    y: float
    radius: float
    colour: Colour
    text: str


def tradeoff_svg(found: Compression) -> str:
    """As an SVG document of its own."""
    title = f"{found.name}: size against {found.metric}"
    body = [f'<text x="{_LEFT}" y="28" font-size="18">{escape(title)}</text>']
    caption = "area of a mark: latency of one sample"
    body.append(f'<text x="{_LEFT}" y="46">{caption}{_paid(found)}</text>')
    axes = _Axes.of(found)
    for x, label in axes.sizes():
        body.append(f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="{_hex(_GREY)}"/>')
        body.append(f'<text x="{x:.1f}" y="{_HEIGHT - 38}" text-anchor="middle">{escape(label)}</text>')
    for y, label in axes.figures():
        body.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_hex(_GREY)}"/>')
        body.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    body.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 14}" text-anchor="end">size</text>')
    for mark, (x, y) in zip(axes.marks(found), _apart(axes.marks(found)), strict=True):
        colour = _hex(mark.colour)
        body.append(
            f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{mark.radius:.1f}" fill="{colour}" fill-opacity="0.55"/>'
        )
        body.append(f'<path d="M{mark.x:.1f} {mark.y:.1f}L{x - 4:.1f} {y - 4:.1f}" stroke="{colour}"/>')
        body.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(mark.text)}</text>')
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="13" fill="{_hex(_INK)}" role="img">\n<title>{escape(title)}</title>\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>\n{inner}\n</svg>\n'
    )


def tradeoff_png(found: Compression) -> bytes:
    """The same as a PNG, with figures at its axes; marks have the number of their row."""
    canvas, axes = Canvas(_WIDTH, _HEIGHT), _Axes.of(found)
    for x, label in axes.sizes():
        canvas.line((x, _TOP), (x, _HEIGHT - _BOTTOM), _GREY)
        canvas.text(round(x) - 4 * len(label), _HEIGHT - 48, label, _INK)
    for y, label in axes.figures():
        canvas.line((_LEFT, y), (_WIDTH - _RIGHT, y), _GREY)
        canvas.text(_LEFT - 8 - 8 * len(label), round(y) - 5, label, _INK)
    for number, (mark, (x, y)) in enumerate(zip(axes.marks(found), _apart(axes.marks(found)), strict=True)):
        for dx in range(-math.ceil(mark.radius), math.ceil(mark.radius) + 1):
            for dy in range(-math.ceil(mark.radius), math.ceil(mark.radius) + 1):
                if dx * dx + dy * dy <= mark.radius**2:
                    canvas.dot(round(mark.x) + dx, round(mark.y) + dy, mark.colour)
        canvas.line((mark.x, mark.y), (x - 4, y - 4), mark.colour)
        canvas.text(round(x), round(y) - 10, str(number), mark.colour)
    return canvas.png()


@dataclass(frozen=True, slots=True)
class _Axes:
    """From bytes and figures to places in the picture."""

    bytes: tuple[float, float]
    values: tuple[float, float]

    @classmethod
    def of(cls, found: Compression) -> _Axes:
        """Around all versions."""
        shown = _shown(found)
        values = [value for each in shown if (value := found.figure(each)) is not None]
        low, high = min(values, default=0.0), max(values, default=1.0)
        room = 0.1 * (high - low) or 0.1 * abs(high) or 0.1
        return cls((0.0, 1.1 * max((each.bytes or 0 for each in shown), default=1) or 1.0), (low - room, high + room))

    def at(self, size: float, value: float) -> tuple[float, float]:
        low, high = self.values
        x = _LEFT + size / self.bytes[1] * (_WIDTH - _LEFT - _RIGHT)
        return x, _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def sizes(self) -> Iterator[tuple[float, str]]:
        for number in range(_TICKS):
            size = self.bytes[1] * number / (_TICKS - 1)
            yield self.at(size, self.values[0])[0], units.size(size)

    def figures(self) -> Iterator[tuple[float, str]]:
        low, high = self.values
        for number in range(_TICKS):
            value = low + (high - low) * number / (_TICKS - 1)
            yield self.at(0.0, value)[1], units.significant(value)

    def marks(self, found: Compression) -> list[_Mark]:
        shown = _shown(found)
        slowest = max(_one_s(each) for each in shown) or 1.0
        marks = []
        for each in shown:
            x, y = self.at(each.bytes or 0, found.figure(each) or 0.0)
            radius = max(_LEAST_RADIUS, _MOST_RADIUS * math.sqrt(_one_s(each) / slowest))
            usd, one_s = found.usd_per_million(each), _one_s(each)
            parts = [each.name, units.duration(one_s) if one_s else "", "" if usd is None else units.usd(usd)]
            marks.append(_Mark(each, x, y, radius, _colour(found, each), ", ".join(filter(None, parts))))
        return marks


def _shown(found: Compression) -> list[Version]:
    """Those that have a figure, the model first."""
    return [each for each in (found.original, *found.versions) if found.figure(each) is not None]


def _apart(marks: list[_Mark]) -> list[tuple[float, float]]:
    """Places of the marks' texts, to the right, none over another."""
    places: dict[int, tuple[float, float]] = {}
    last = float(_TOP)
    for number in sorted(range(len(marks)), key=lambda i: marks[i].y):
        last = max(last + 18.0, marks[number].y + 4.0)
        places[number] = (_WIDTH - _RIGHT + 16.0, last)
    over = max(0.0, last - (_HEIGHT - 8.0))
    return [(places[i][0], places[i][1] - over) for i in range(len(marks))]


def _one_s(version: Version) -> float:
    return (version.scores.one_s if version.scores else None) or 0.0


def _colour(found: Compression, version: Version) -> Colour:
    if version.name == found.chosen:
        return _CHOSEN
    return _INK if not version.method else _OUTSIDE if found.misses(version) else _INSIDE


def _paid(found: Compression) -> str:
    return "" if found.usd_per_h is None else "; dollars for a million samples"


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
