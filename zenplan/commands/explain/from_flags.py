"""An explanation from the texts of flags, and its picture in a file: what the command and Python have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zenplan.commands.explain.use_case import Wanted, explained
from zenplan.commands.train.finished import finished_run
from zenplan.domain.measured.explanation import GRADIENTS, METHODS, PERMUTATION, Explanation
from zenplan.errors import UnknownName, UsageError
from zenplan.units import parse_duration_s, parse_whole

_LEAST_STEPS, _MOST = 64, 1e6


def explanation_of(
    run: str, flags: Mapping[str, Any], backend: str | None, tell: Callable[[str, float], None]
) -> Explanation:
    """What the answers of that run's model come from.

    Args:
        flags: of the command, as texts.
        backend, tell: as of ``use_case.explained``.

    Raises:
        UsageError: a flag is wrong, or the run is none that is finished.
    """
    method = flags.get("method") or GRADIENTS
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    samples = flags.get("samples")
    seed = str(flags.get("seed") or "0")
    numbers = {
        name: parse_whole(str(flags.get(name) or usual), name, _MOST, example=usual)
        for name, usual in (("steps", 64), ("repeats", 5))
    }
    if numbers["steps"] < _LEAST_STEPS:
        raise UsageError(f"{numbers['steps']} steps are too few to add up", f"{_LEAST_STEPS} or more: --steps")
    wanted = Wanted(
        method=method,
        given=flags.get("given"),
        part=flags.get("part") or "",
        samples=parse_whole(samples, "samples", _MOST, example=4) if samples else 0 if method == PERMUTATION else 4,
        target=flags.get("target"),
        seed=0 if seed == "0" else parse_whole(seed, "seed", 2.0**32, example=1),
        time_s=parse_duration_s(flags.get("timeout") or "10m", "timeout"),
        **numbers,
    )
    return explained(finished_run(run), wanted, backend, tell)


def check_picture(path: Path) -> None:
    """Raise ``UsageError`` for the name of a file that no picture is written to."""
    if path.suffix not in _PICTURES:
        raise UsageError(f"{path} is neither .html nor .png", "as in: -o why.html")


def write_picture(path: Path, found: Explanation) -> None:
    """The explanation as a page, or the picture of its first sample, by the name of the file.

    Raises:
        UsageError: it is another kind of file.
        ZenplanError: it cannot be written.
    """
    from zenplan.adapters.files.whole_file import write_whole

    check_picture(path)
    write_whole(path, _PICTURES[path.suffix](found))


def _page(found: Explanation) -> str:
    from zenplan.adapters.formats import html
    from zenplan.adapters.page.explanation import sections
    from zenplan.adapters.page.markup import element
    from zenplan.adapters.page.page import plain_page
    from zenplan.commands.explain.report import explanation_report

    report = explanation_report(found)
    verdict = element("p", element("strong", report.verdict))
    tables = html(replace(report, verdict=""))
    return plain_page("zenplan.explanation/1", verdict + sections(found) + tables)


def _png(found: Explanation) -> bytes:
    from zenplan.adapters.picture.heat import bars_png, image_png

    inputs = found.samples[0].inputs if found.samples else found.importance.inputs if found.importance else ()
    if not inputs:
        raise UsageError("there is no sample to show", "--samples 1 or more")
    first = inputs[0]
    return image_png(first) if first.is_image and len(first.shape) == 2 else bars_png(first)


_PICTURES: dict[str, Callable[[Explanation], str | bytes]] = {".html": _page, ".png": _png}
