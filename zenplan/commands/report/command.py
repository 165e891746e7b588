"""``zenplan report``: a saved plan, or a training run, as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    subject: Annotated[
        str, typer.Argument(help="A plan of 'estimate --save' or --format json, or a training run.", metavar="PLAN|RUN")
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="The file to write; stdout without it, or with -.", metavar="FILE"),
    ] = None,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Of a run, without what its model is asked: matrix, text, explanations.")
    ] = False,
) -> None:
    """Show a saved plan, or a training run, as one HTML page that needs no network.

    Of a plan the page has the verdict, the frontier of dollars against time, the bill, time and memory by part, what would
    change the answer, and every assumption and price with its source. It reads on a phone and prints on A4.

    Of a run it has the curves, the metrics beside the baseline, time and bill as predicted and as they came out, the data,
    a confusion matrix or a text that the model writes, explanations with their checks, and the limits.

    \b
    Examples:
      zenplan report plan.json -o plan.html
      zenplan report RUN -o run.html
    """
    from zenplan.adapters.files.whole_file import write_whole
    from zenplan.adapters.run_folder.place import names_a_run
    from zenplan.commands.shared.output import write

    made_from = Path(subject)
    if names_a_run(subject):
        from zenplan.commands.report.run_page import run_page
        from zenplan.commands.shared.progress import elapsed

        with elapsed(subject) as tell:
            text = run_page(subject, not no_model, tell)
    else:
        from zenplan.adapters.page.page import page
        from zenplan.commands.estimate.saved_plan import read_plan
        from zenplan.documents import published

        _check_there(made_from)
        text = page(published(read_plan(made_from)))
    if output is None or output == "-":
        write(sys.stdout, text)
        return
    write_whole(Path(output), text, made_from=made_from if made_from.is_file() else None)
    write(sys.stdout, f"written to {output}\n")


def _check_there(plan: Path) -> None:
    import os

    from zenplan.errors import InputFileError

    if not os.path.lexists(plan):
        raise InputFileError(
            f"'{str(plan)[:100]}' is neither the file of a plan nor a run",
            "a plan that 'estimate --save plan.json' wrote, or a run's folder, or its id, four letters at least",
        )
