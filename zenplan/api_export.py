"""Exporting the model of a finished run, from Python. Arguments are as in ``zenplan.api``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from zenplan.arguments import flags, unseen
from zenplan.results import Exports

Number = float | str
Names = str | Sequence[str]
File = str | os.PathLike[str]


def export(
    run: File,
    *,
    to: Names | None = None,
    quantize: str | None = None,
    out: File | None = None,
    force: bool = False,
    samples: Number | None = None,
    threads: Number | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Exports:
    """Write the model of a finished run in a form that others read, and check what was written. As ``zenplan export``.

    A form that the model cannot be exported to, or that returns other numbers, is told in the answer and not raised.

    Args:
        run: its id or folder.
        to: keras, savedmodel, onnx or litert; or several.
        quantize: "int8" or "int4" for weights in that; None for floats.
        out: a folder, or the file itself where there is one form; None for ``exports/`` of the run.
        force: replace what is there.
        samples: of the test set that are scored; None for 2,000, 0 for all.
        threads: of the host; None for all cores.
        progress: called with the share that is done, 0 to 1, and a line.

    Raises:
        UsageError: an argument is wrong, the run is not finished, or a library is missing.
        ZenplanError: the model cannot be opened, or nothing can be written there.
    """
    given = flags({"to": to, "quantize": quantize, "out": out, "samples": samples, "threads": threads})
    from zenplan.commands.export.asked import asked_export
    from zenplan.commands.export.use_case import export as use_case

    forms = given["to"] if isinstance(given["to"], list) else [given["to"] or ""]
    place = None if given["out"] is None else Path(given["out"])
    asked = asked_export(os.fspath(run), forms, given["quantize"], place, force, given["samples"], given["threads"])
    return Exports(use_case(asked, progress or unseen))
