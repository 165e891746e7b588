"""What is to be exported, where to, and whether it can be: all that is known before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from zenplan.adapters.run_folder.exports import EXPORTS
from zenplan.commands.shared.artefacts import folder_of
from zenplan.commands.train.data import Prepared, read_prepared
from zenplan.commands.train.finished import FinishedRun, finished_run
from zenplan.commands.train.scoring import part_of, samples_of, threads_of
from zenplan.domain.training.forms import FORMS, ONNX, QUANTIZED, SUFFIXES, file_name
from zenplan.errors import UnknownName, UsageError

# Imported by the worker, whichever form it writes; and by that of ONNX.
_NEEDED: Final = ("keras", "tensorflow")
_NEEDED_BY: Final = {ONNX: ("onnx", "tf2onnx", "onnxruntime")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An export to be made.

    Attributes:
        places: by form, where it goes.
        part: of the data that it is scored on.
        most: samples of it; 0 for all.
        threads: of the host.
    """

    run: FinishedRun
    data: Prepared
    places: dict[str, Path]
    quantize: str
    part: str
    most: int
    threads: int


def asked_export(
    name: str,
    to: Sequence[str],
    quantize: str | None,
    out: Path | None,
    force: bool,
    samples: str | None,
    threads: str | None,
    installed: Callable[[str], object] = find_spec,
) -> Asked:
    """What flags ask for.

    Args:
        name: of the run; the others are flags, as texts.
        installed: whether a library is there; None where it is not.

    Raises:
        UsageError: a flag is wrong, a library is missing, or something is in the place of the export.
        InputFileError, DataError: the run or its data cannot be read.
    """
    forms = _forms(to)
    if quantize is not None and quantize not in QUANTIZED:
        raise UnknownName("quantization", quantize, QUANTIZED)
    needed = [*_NEEDED, *(each for form in forms for each in _NEEDED_BY.get(form, ()))]
    if missing := [each for each in needed if installed(each) is None]:
        raise UsageError(
            f"{missing[0]} is not installed, and {', '.join(forms)} is not written without",
            "pip install 'zenplan[export]'",
        )
    run = finished_run(name)
    data = read_prepared(Path(run.job.data))
    return Asked(
        run=run,
        data=data,
        places=_places(run, forms, quantize or "", out, force),
        quantize=quantize or "",
        part=part_of(data),
        most=samples_of(samples),
        threads=threads_of(threads),
    )


def _forms(to: Sequence[str]) -> tuple[str, ...]:
    found = [name.strip().lower() for each in to for name in each.split(",") if name.strip()]
    if not found:
        raise UsageError("nothing says which form to export to", f"as in: --to {FORMS[0]}; forms: {', '.join(FORMS)}")
    for name in found:
        if name not in FORMS:
            raise UnknownName("form", name, FORMS)
    return tuple(dict.fromkeys(found))


def _places(run: FinishedRun, forms: Sequence[str], quantize: str, out: Path | None, force: bool) -> dict[str, Path]:
    folder = folder_of(out, run.folder / EXPORTS)
    found = {form: folder / file_name(form, quantize) for form in forms}
    suffix = Path(file_name(forms[0], quantize)).suffix
    if out is not None and len(forms) == 1 and suffix and out.suffix == suffix and not out.is_dir():
        found = {forms[0]: folder}
    elif folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", f"name a folder, or a file that ends in {suffix or SUFFIXES[ONNX]}")
    for path in found.values():
        if not force and (path.exists() or path.is_symlink()):
            raise UsageError(f"{path} is there already", "--force replaces it; -o PATH names another place")
    return found
