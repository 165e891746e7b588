"""Points on a grid of letters."""

from __future__ import annotations

import pytest

from zenplan.commands.layouts.report import Point, drawn


def plot(*points: tuple[float, float, str]) -> list[tuple[str, str]]:
    return list(drawn([Point(across=x, up=y, mark=m) for x, y, m in points], lambda y: f"{y:g}"))


def test_corners_are_the_least_and_the_most() -> None:
    lines = plot((0.0, 100.0, "a"), (10.0, 1.0, "b"))
    assert len(lines) == 3
    assert {len(line) for _, line in lines} == {60}
    assert lines[0] == ("100", "a" + "·" * 59)
    assert lines[-1] == ("1", "·" * 59 + "b")
    assert all(line == ("", "·" * 60) for line in lines[1:-1])


def test_heights_are_ratios() -> None:
    # Ten lies halfway between one and a hundred; so does five between nought and ten.
    lines = plot((0.0, 1.0, "a"), (5.0, 10.0, "b"), (10.0, 100.0, "c"))
    place = next(i for i, (_, line) in enumerate(lines) if "b" in line)
    assert place == 2
    assert lines[place][1].index("b") in (29, 30)


@pytest.mark.parametrize(("points", "lines"), [(1, 1), (2, 3), (3, 5), (4, 7), (5, 10), (40, 10)])
def test_few_points_have_few_lines(points: int, lines: int) -> None:
    drawn_ = plot(*((float(i), 2.0**-i, "o") for i in range(points)))
    assert len(drawn_) == lines
    assert sum("o" in line for _, line in drawn_) == min(points, 10)


def test_a_single_point_and_a_tie_are_drawn() -> None:
    assert plot((3.0, 2.0, "a"))[-1] == ("2", "a" + "·" * 59)
    assert plot((3.0, 2.0, "a"), (3.0, 2.0, "b"))[-1] == ("2", "a" + "·" * 59)
