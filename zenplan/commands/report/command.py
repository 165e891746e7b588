"""``zenplan report``: a saved plan as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    plan: Annotated[Path, typer.Argument(help="A plan that 'estimate --save' or --format json wrote.", metavar="PLAN")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="The file to write; stdout without it, or with -.", metavar="FILE"),
    ] = None,
) -> None:
    """Show a saved plan as one HTML page that needs no network.

    The page has the verdict, the frontier of dollars against time, the bill, time and memory by part, what would
    change the answer, and every assumption and price with its source. It reads on a phone and prints on A4.

    \b
    Examples:
      zenplan report plan.json -o plan.html
    """
    from zenplan.adapters.files.whole_file import write_whole
    from zenplan.adapters.page.page import page
    from zenplan.commands.estimate.saved_plan import read_plan
    from zenplan.commands.shared.output import write
    from zenplan.documents import published

    text = page(published(read_plan(plan)))
    if output is None or output == "-":
        write(sys.stdout, text)
        return
    write_whole(Path(output), text, made_from=plan)
    write(sys.stdout, f"written to {output}\n")
