"""Smaller versions beside their model: what is kept of its figure, and which is chosen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from zenplan.adapters.picture.tradeoff import tradeoff_png, tradeoff_svg
from zenplan.domain.measured.compression import Bounds, Compression, Version
from zenplan.domain.measured.export import Scores


def version(
    name: str, size: int | None, value: float | None, metric: str = "accuracy", one_s: float | None = 0.01
) -> Version:
    scores = None if value is None else Scores(values={metric: value}, one_s=one_s, batch_s=0.1)
    return Version(name=name, method="prune", bytes=size, scores=scores)


def compared(*versions: Version, metric: str = "accuracy", value: float = 0.8, **changes: Any) -> Compression:
    bounds = changes.pop("bounds", Bounds(min_kept=0.98))
    original = Version(name="the model", bytes=1000, scores=Scores(values={metric: value}, one_s=0.02, batch_s=0.2))
    given: dict[str, Any] = {"run": "r", "name": "<m>", "backend": "jax", "made_at": datetime(2026, 1, 1, tzinfo=UTC)}
    given |= {"metric": metric, "part": "test", "samples": 9, "timed": 8, "threads": 1, "bounds": bounds}
    return Compression(original=original, versions=versions, **{**given, **changes})


def test_the_smallest_is_best_and_of_one_size_the_better() -> None:
    small, better, bad = version("a", 400, 0.79), version("b", 400, 0.8), version("c", 100, 0.1)
    assert compared(version("d", 900, 0.9), small, better, bad, version("e", None, None)).best == better
    assert compared(bad).best is None
    assert compared().best is None


def test_what_is_better_when_lower_is_kept_the_other_way_round() -> None:
    found = compared(version("a", 400, 2.0, "loss"), metric="loss", value=1.0)
    assert found.kept(found.versions[0]) == 0.5
    better = version("b", 400, 0.5, "loss")
    assert compared(better, metric="loss", value=1.0).kept(better) == 2.0
    nothing = version("c", 400, 0.0, "loss")
    assert compared(nothing, metric="loss", value=0.0).kept(nothing) == 1.0


@pytest.mark.parametrize(
    ("bounds", "misses"),
    [
        (Bounds(), ()),
        (Bounds(min_accuracy=0.5, min_kept=0.5, max_share=0.4, max_mb=0.0004, max_ms=10.0), ()),
        (Bounds(min_accuracy=0.9), ("min_accuracy",)),
        (Bounds(max_share=0.39, max_mb=0.0003), ("max_share", "max_mb")),
        (Bounds(max_ms=9.0, min_kept=1.1), ("min_kept", "max_ms")),
    ],
)
def test_bounds_hold_at_their_edge(bounds: Bounds, misses: tuple[str, ...]) -> None:
    found = compared(version("a", 400, 0.8), bounds=bounds)
    assert found.misses(found.versions[0]) == misses


def test_a_figure_that_is_not_known_is_within_no_bound() -> None:
    untimed = version("a", 400, 0.8, one_s=None)
    assert compared(untimed, bounds=Bounds(max_ms=100.0)).best is None
    assert compared(version("b", 400, 2.0, "loss"), bounds=Bounds(min_accuracy=0.1)).best is None


def test_serving_costs_what_a_busy_machine_costs() -> None:
    found = compared(version("a", 400, 0.8), usd_per_h=36.0)
    # 0.01 dollars a second, 8 samples in 0.1 s.
    assert found.usd_per_million(found.versions[0]) == pytest.approx(0.01 / 80 * 1e6)
    assert compared(version("a", 400, 0.8)).usd_per_million(version("a", 400, 0.8)) is None


def test_its_picture_has_every_version_and_no_code() -> None:
    rows = [version(f"<v{number}>", 100 * number, 0.8) for number in range(1, 30)]
    found = compared(*rows, version("not there", None, None), usd_per_h=1.0)
    text = tradeoff_svg(found)
    assert text.count("<circle") == 30
    assert "<v1>" not in text
    assert "&lt;v1&gt;" in text
    assert "not there" not in text
    assert tradeoff_png(found).startswith(b"\x89PNG")
    assert "nan" not in tradeoff_svg(compared())
