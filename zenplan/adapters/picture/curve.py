"""Loss curves of a run, as SVG and as PNG: training, of which a mean of neighbours is drawn, and evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from zenplan import units
from zenplan.adapters.picture.png import Canvas

Points = Sequence[tuple[int, float]]
_WIDTH, _HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 30, 50, 50
# So many points a line at most: each is the mean of its neighbours.
_MOST_POINTS: Final = 400
_COLOURS: Final = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189))
_GREY, _INK = (210, 210, 210), (60, 60, 60)


@dataclass(frozen=True, slots=True)
class _Axes:
    """From steps and losses to places in the picture; losses go by their logarithm where they span decades."""

    steps: tuple[float, float]
    losses: tuple[float, float]
    log: bool

    def at(self, step: float, loss: float) -> tuple[float, float]:
        first, last = self.steps
        low, high = map(self._scaled, self.losses)
        x = _LEFT + (step - first) / max(last - first, 1.0) * (_WIDTH - _LEFT - _RIGHT)
        y = _TOP + (high - self._scaled(loss)) / max(high - low, 1e-12) * (_HEIGHT - _TOP - _BOTTOM)
        return x, y

    def _scaled(self, loss: float) -> float:
        return math.log10(loss) if self.log else loss

    def ticks(self) -> list[float]:
        low, high = map(self._scaled, self.losses)
        values = [low + (high - low) * i / 4 for i in range(5)]
        return [10.0**v if self.log else v for v in values]


def smooth(points: Points, most: int = _MOST_POINTS) -> list[tuple[int, float]]:
    """At most so many points, each the mean of neighbours at the last step of them; what is no number is left out."""
    known = [(step, value) for step, value in points if math.isfinite(value)]
    size = max(1, -(-len(known) // most))
    groups = (known[i : i + size] for i in range(0, len(known), size))
    return [(group[-1][0], sum(v for _, v in group) / len(group)) for group in groups]


def _axes(lines: Mapping[str, Points]) -> _Axes | None:
    every = [point for points in lines.values() for point in points]
    if not every:
        return None
    values = [value for _, value in every]
    low, high = min(values), max(values)
    log = low > 0.0 and high / low > 30.0
    if low == high:
        low, high = low - 0.5, high + 0.5
    return _Axes((min(s for s, _ in every), max(s for s, _ in every)), (low, high), log and low > 0.0)


def drawn(training: Points, evaluations: Mapping[str, Points]) -> dict[str, list[tuple[int, float]]]:
    """The lines of the picture by name, those without a point left out."""
    lines = {"training": smooth(training), **{name: smooth(points) for name, points in evaluations.items()}}
    return {name: points for name, points in lines.items() if points}


def curve_svg(title: str, training: Points, evaluations: Mapping[str, Points]) -> str:
    """The curves as an SVG document of their own.

    Args:
        title: above them.
        training: step and loss.
        evaluations: the same by part.
    """
    lines = drawn(training, evaluations)
    axes = _axes(lines)
    body = [f'<text x="{_LEFT}" y="28" font-size="18">{escape(title)}</text>']
    if axes is None:
        body.append(f'<text x="{_LEFT}" y="{_HEIGHT // 2}">no step was done</text>')
    else:
        body += _grid(axes)
        for number, (name, points) in enumerate(lines.items()):
            body += _line(axes, number, name, points)
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="13" fill="{_hex(_INK)}" role="img">\n<title>{escape(title)}</title>\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>\n{inner}\n</svg>\n'
    )


def _grid(axes: _Axes) -> list[str]:
    found = []
    for value in axes.ticks():
        _, y = axes.at(axes.steps[0], value)
        found.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_hex(_GREY)}"/>')
        found.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{units.significant(value)}</text>')
    for i in range(5):
        step = axes.steps[0] + (axes.steps[1] - axes.steps[0]) * i / 4
        x, _ = axes.at(step, axes.losses[0])
        found.append(f'<text x="{x:.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{round(step):,}</text>')
    found.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">step</text>')
    found.append(f'<text x="{_LEFT - 8}" y="{_TOP - 12}" text-anchor="end">loss</text>')
    return found


def _line(axes: _Axes, number: int, name: str, points: Points) -> list[str]:
    colour = _hex(_COLOURS[number % len(_COLOURS)])
    places = [axes.at(*point) for point in points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places] if number else []
    y = _TOP + 6 + 18 * number
    label = f'<text x="{_WIDTH - _RIGHT - 8}" y="{y}" text-anchor="end" fill="{colour}">{escape(name)}</text>'
    return [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *marks, label]


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def curve_png(training: Points, evaluations: Mapping[str, Points]) -> bytes:
    """The same as a PNG, with figures at its axes."""
    lines = drawn(training, evaluations)
    axes, canvas = _axes(lines), Canvas(_WIDTH, _HEIGHT)
    if axes is None:
        return canvas.png()
    for value in axes.ticks():
        _, y = axes.at(axes.steps[0], value)
        canvas.line((_LEFT, y), (_WIDTH - _RIGHT, y), _GREY)
        text = units.significant(value)
        canvas.text(_LEFT - 8 - 8 * len(text), round(y) - 5, text, _INK)
    for i in range(5):
        step = axes.steps[0] + (axes.steps[1] - axes.steps[0]) * i / 4
        x, _ = axes.at(step, axes.losses[0])
        text = units.count(round(step))
        canvas.text(round(x) - 4 * len(text), _HEIGHT - 34, text, _INK)
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [axes.at(*point) for point in points]
        for start, end in zip(places, places[1:] or places, strict=False):
            canvas.line(start, end, colour, 2)
        canvas.text(_WIDTH - _RIGHT - 8 * len(name) - 8, _TOP + 18 * number, name, colour)
    return canvas.png()
