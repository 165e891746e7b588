"""``zenplan export``: the model of a finished run in a form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zenplan.commands.shared.settings import Format, resolved


def export(
    run: Annotated[str, typer.Argument(help="Its id, the first letters of it, or its folder.", metavar="RUN")],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="keras, savedmodel, onnx, litert; several with commas.", metavar="FORM"),
    ] = None,
    quantize: Annotated[
        str | None, typer.Option("--quantize", help="Weights in int8 or int4; by default floats.", metavar="TYPE")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A folder, or the file itself; by default exports/ of the run.", metavar="PATH"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    samples: Annotated[
        str | None,
        typer.Option("--samples", help="Of the test set that are scored; 2000, 0 for all.", metavar="COUNT"),
    ] = None,
    threads: Annotated[
        str | None, typer.Option("--threads", help="Processor cores; by default all.", metavar="COUNT")
    ] = None,
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
      zenplan export abcd2345 --to savedmodel,litert --quantize int8 -o artefacts
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
