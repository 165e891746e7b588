"""``zenplan data show``: how much there is to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.options import FLAGS, takes
from zenplan.commands.shared.settings import Format, resolved

data_app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)


@data_app.callback()
def _data(context: typer.Context) -> None:
    """What there is to train on: files, records, bytes and tokens.

    \b
    Examples:
      zenplan data show corpus.jsonl.gz
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@data_app.command("show")
@takes(FLAGS["text_column"], FLAGS["tokenizer"])
def _show(
    path: Annotated[Path, typer.Argument(help="A file, or a folder and all below it.", metavar="PATH")],
    output: Format = None,
    **given: Any,
) -> None:
    """Count the data at a path: text, JSONL, Parquet, CSV, or images.

    Little is counted whole; much is measured on a sample from all over it, with the range that leaves.

    \b
    Examples:
      zenplan data show corpus.jsonl.gz
      zenplan data show chats --tokenizer tokenizer.json
    """
    from zenplan.commands.data.report import data_report
    from zenplan.commands.shared.data import counted
    from zenplan.commands.shared.output import loaded_plugins, say

    settings = resolved(format=output)
    found = counted(path, given["text_column"], given["tokenizer"])
    with loaded_plugins() as plugins:
        say(data_report(found), settings["format"], plugins)
