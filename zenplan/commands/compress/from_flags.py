"""What is to be made smaller, how, and within which bounds: all that is known before anything is done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.run_folder.exports import COMPARISON, COMPRESSED
from zenplan.adapters.workers.process import backend_of
from zenplan.commands.shared.artefacts import folder_of
from zenplan.commands.train.data import Prepared, read_prepared
from zenplan.commands.train.finished import FinishedRun, finished_run
from zenplan.commands.train.scoring import part_of, samples_of, threads_of
from zenplan.domain.measured.compression import MERGE, METHODS, Bounds, Compression
from zenplan.errors import UnknownName, UsageError
from zenplan.units import is_amount, number_of, or_zero, parse_share, parse_usd, parse_whole

# Assumed where nothing is said: what is kept of the figure of the run, zeros, widths of students, and minutes of training.
MIN_KEPT, SPARSITY, WIDTHS, MINUTES = 0.98, 0.5, (0.5, 0.25), 10.0
_MOST: Final = 1e9
_TARGET: Final = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Smaller versions to be made.

    Attributes:
        methods: of ``METHODS``.
        sparsity: of pruning. widths: of students, shares of that of the run's model. student: builder of one; empty for
            smaller ones of the run's kind.
        steps: of each training; None for those that go with the run.
        seconds: of all trainings together; 0 for no end.
        usd_per_h: that serving is paid by; None where it is not known.
        folder: that the chosen version goes to.
        part: of the data that they are scored on; most: samples of it, 0 for all.
        threads: of the host.
    """

    run: FinishedRun
    data: Prepared
    methods: tuple[str, ...]
    sparsity: float
    widths: tuple[float, ...]
    student: str
    steps: int | None
    seconds: float
    bounds: Bounds
    usd_per_h: float | None
    backend: str
    folder: Path
    part: str
    most: int
    threads: int


def asked_compression(
    name: str, methods: Sequence[str], flags: Mapping[str, Any], out: Path | None, force: bool
) -> Asked:
    """What flags ask for.

    Args:
        name: of the run.
        methods: as they stand in the command; none for all that go with the run.
        flags: the others, as texts.
        out: a folder; None for that of the run.
        force: whether what is there is replaced.

    Raises:
        UsageError: a flag is wrong, the run is not finished, or something is in the place.
        InputFileError, DataError: the run or its data cannot be read.
    """
    chosen = _methods(methods)
    student = flags.get("student") or ""
    if student and not _TARGET.match(student):
        raise UsageError(f"the student '{student}' names no function", "as in: --student package.module:function")
    bounds = _bounds(flags)
    sparsity = _share(flags, "sparsity") or SPARSITY
    if sparsity >= 1.0:
        raise UsageError("a sparsity of 1 leaves nothing", "as in: --sparsity 0.8")
    width = _share(flags, "width")
    steps, seconds = _training(flags)
    usd, most, threads = flags.get("usd_per_hour"), samples_of(flags.get("samples")), threads_of(flags.get("threads"))
    run = finished_run(name)
    if not chosen:
        chosen = tuple(each for each in METHODS if each != MERGE or run.job.lora_rank)
    data = read_prepared(Path(run.job.data))
    return Asked(
        run=run,
        data=data,
        methods=chosen,
        sparsity=sparsity,
        widths=WIDTHS if width is None else (width,),
        student=student,
        steps=steps,
        seconds=seconds,
        bounds=bounds,
        usd_per_h=run.result.status.usd_per_h if usd is None else or_zero(parse_usd)(usd, "--usd-per-hour"),
        backend=backend_of(flags.get("backend") or run.backend, {}),
        folder=_folder(run, out, force),
        part=part_of(data),
        most=most,
        threads=threads,
    )


def _training(flags: Mapping[str, Any]) -> tuple[int | None, float]:
    """Steps of each training, and seconds of all."""
    steps, minutes = flags.get("steps"), flags.get("minutes")
    seconds = (0.0 if steps else MINUTES * 60) if minutes is None else _positive(minutes, "--minutes", "10") * 60
    return None if steps is None else parse_whole(steps, "--steps", _MOST, 200), seconds


def _methods(given: Sequence[str]) -> tuple[str, ...]:
    found = [name.strip().lower() for each in given for name in each.split(",") if name.strip()]
    for name in found:
        if name not in METHODS:
            raise UnknownName("method", name, METHODS)
    return tuple(dict.fromkeys(found))


def _bounds(flags: Mapping[str, Any]) -> Bounds:
    accuracy, kept = _share(flags, "min_accuracy"), _share(flags, "min_metric")
    return Bounds(
        min_accuracy=accuracy,
        min_kept=MIN_KEPT if kept is None and accuracy is None else kept,
        max_share=_share(flags, "max_share"),
        max_mb=_amount(flags, "max_mb", "5"),
        max_ms=_amount(flags, "max_ms", "20"),
    )


def _share(flags: Mapping[str, Any], name: str) -> float | None:
    text = flags.get(name)
    return None if text is None else parse_share(text, f"--{name.replace('_', '-')}")


def _amount(flags: Mapping[str, Any], name: str, example: str) -> float | None:
    text = flags.get(name)
    return None if text is None else _positive(text, f"--{name.replace('_', '-')}", example)


def _positive(text: str, flag: str, example: str) -> float:
    value = number_of(text)
    if value is None or not is_amount(value) or value <= 0.0:
        raise UsageError(f"{flag} '{text}' is no number above 0", f"as in: {flag} {example}")
    return value


def _folder(run: FinishedRun, out: Path | None, force: bool) -> Path:
    folder = folder_of(out, run.folder / COMPRESSED)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", "name a folder: -o PATH")
    if not folder.is_dir() or not any(folder.iterdir()):
        return folder
    if not (folder / COMPARISON).is_file():
        # What is replaced goes as a whole: only what this command wrote.
        raise UsageError(f"{folder} is not empty", "name a new folder: -o PATH")
    if not force:
        raise UsageError(f"there is a compressed model in {folder}", "--force replaces it; -o PATH names another place")
    return folder


def check_picture(path: Path | None) -> None:
    """Raise UsageError where no picture can be written to that file."""
    if path is not None and path.suffix not in (".svg", ".png"):
        raise UsageError(f"{path} is neither .svg nor .png", "as in: --picture versions.svg")


def write_picture(path: Path, found: Compression) -> None:
    """The comparison as a picture, by the name of the file.

    Raises:
        UsageError: it is another kind of file; ZenplanError: it cannot be written.
    """
    from zenplan.adapters.files.whole_file import write_whole
    from zenplan.adapters.picture.tradeoff import tradeoff_png, tradeoff_svg

    check_picture(path)
    write_whole(path, tradeoff_png(found) if path.suffix == ".png" else tradeoff_svg(found))
