"""A plot in text: points on a grid of letters, for any terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 60, 10
# From so many points on, the plot has its full height; fewer have a line each, and one between each two.
_MANY = 5
# What lies between the points: a blank would be lost where a format drops blanks.
_GROUND = "·"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where it is, in any two units, and the letter it is drawn with."""

    across: float
    up: float
    mark: str


def drawn(points: Sequence[Point], show: Callable[[float], str]) -> tuple[tuple[str, str], ...]:
    """Lines of the plot from the top down, each with what its height stands for, where a point is on it.

    Args:
        points: at least one. Where several meet, the first of them is seen.
        show: the height for people.

    Both axes go from the least to the most; heights are on a logarithmic scale, as ratios are what matters.
    """
    across, up = [p.across for p in points], [math.log(p.up) for p in points]
    lines = _HEIGHT if len(points) >= _MANY else 2 * len(points) - 1
    grid = [[_GROUND] * _WIDTH for _ in range(lines)]
    heights: dict[int, float] = {}
    for point, height in reversed(list(zip(points, up, strict=True))):
        row = lines - 1 - _cell(height, up, lines)
        grid[row][_cell(point.across, across, _WIDTH)] = point.mark
        heights[row] = point.up
    return tuple((show(heights[r]) if r in heights else "", "".join(line)) for r, line in enumerate(grid))


def _cell(value: float, values: Sequence[float], cells: int) -> int:
    """Which of so many cells between the least and the most it falls into; the first where all are one."""
    low, high = min(values), max(values)
    return round((value - low) / (high - low) * (cells - 1)) if high > low else 0
