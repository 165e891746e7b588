"""``zenplan export``: the model of a finished run in a form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.settings import Format, resolved


def _option(*flags: str, text: str, metavar: str) -> Any:
    return typer.Option(*flags, help=text, metavar=metavar)


_Run = Annotated[
    str, typer.Argument(help="Its id, the first letters of it, four at least, or its folder.", metavar="RUN")
]
_To = Annotated[
    list[str] | None, _option("--to", text="keras, savedmodel, onnx, litert; several with commas.", metavar="FORM")
]
_Quantize = Annotated[
    str | None, _option("--quantize", text="Weights in int8 or int4; by default floats.", metavar="TYPE")
]
_Out = Annotated[
    Path | None,
    _option("--out", "-o", text="A folder, or the file itself; by default exports/ of the run.", metavar="PATH"),
]
_Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
_Samples = Annotated[
    str | None, _option("--samples", text="Of the test set that are scored; 2000, 0 for all.", metavar="COUNT")
]
_Threads = Annotated[str | None, _option("--threads", text="Processor cores; by default all.", metavar="COUNT")]


def export(
    run: _Run,
    to: _To = None,
    quantize: _Quantize = None,
    out: _Out = None,
    force: _Force = False,
    samples: _Samples = None,
    threads: _Threads = None,
    output: Format = None,
) -> int:
    """Export the model of a finished run, and check what was written.

    Each artefact is opened again in another process and scored on the test set beside the model, or on the validation
    set where there is none. It takes its place once it returns the same numbers; weights in int8 or int4 have their loss
    stated. TensorFlow writes it, whichever backend trained: pip install 'zenplan[export]'. Exit codes: 0 written, 3 one of
    them cannot be exported, or differs.

    \b
    Examples:
      zenplan export abcd2345 --to onnx
      zenplan export abcd2345 --to keras,litert --quantize int8 -o out
    """
    from zenplan.commands.export.asked import asked_export
    from zenplan.commands.export.report import export_report
    from zenplan.commands.export.use_case import export as use_case
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.progress import staged
    from zenplan.domain.measured.export import WRITTEN

    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        asked = asked_export(run, to or (), quantize, out, force, samples, threads)
        with staged("exporting") as tell:
            found = use_case(asked, tell)
        say(export_report(found), settings["format"], plugins)
    return 0 if all(each.state == WRITTEN for each in found) else 3
