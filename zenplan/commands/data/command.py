"""``zenplan data``: how much there is to train on, and a folder that is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.help import Grouped
from zenplan.commands.shared.options import FLAGS, RequestFile, parsed, takes
from zenplan.commands.shared.preparing import PREPARE, READ
from zenplan.commands.shared.settings import Format, resolved

data_app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)


@data_app.callback()
def _data(context: typer.Context) -> None:
    """What there is to train on: files, records, bytes and tokens; and data that are ready to be trained on.

    \b
    Examples:
      zenplan data show corpus.jsonl.gz
      zenplan data prepare corpus.jsonl.gz --out prepared
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@data_app.command("show")
@takes(FLAGS["text_column"], FLAGS["tokenizer"], *READ)
def _show(
    path: Annotated[Path, typer.Argument(help="A file, or a folder and all below it.", metavar="PATH")],
    output: Format = None,
    **given: Any,
) -> None:
    """Count data to train on, or show prepared data's card.

    Text, JSONL, Parquet, CSV or images are counted; of a folder that was prepared the data card is shown.

    Little is counted whole; much is measured on a sample from all over it, with the range that leaves.

    \b
    Examples:
      zenplan data show corpus.jsonl.gz
      zenplan data show chats --tokenizer tokenizer.json
      zenplan data show prepared
    """
    from zenplan.adapters.corpus.prepared import is_prepared, read_card
    from zenplan.commands.data.card_report import card_report
    from zenplan.commands.data.report import data_report
    from zenplan.commands.shared.data import counted
    from zenplan.commands.shared.output import loaded_plugins, say

    settings = resolved(format=output)
    if is_prepared(path):
        report = card_report(read_card(path))
    else:
        report = data_report(counted(path, given["text_column"], given["tokenizer"], **parsed(given, READ)))
    with loaded_plugins() as plugins:
        say(report, settings["format"], plugins)


@data_app.command("prepare", cls=Grouped)
@takes(*PREPARE)
def prepare(
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it is there at the end.", metavar="FOLDER")],
    source: Annotated[
        str | None,
        typer.Argument(
            help="A file, a folder, or python-library, the sources of Python's own.", metavar="PATH", show_default=False
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there; begin an unfinished preparation anew.")
    ] = False,
    request: RequestFile = None,
    output: Format = None,
    **given: Any,
) -> None:
    """Clean, split and pack data to train on.

    Prepare data to train on: cleaned, without duplicates, split, as tokens or arrays; with a data card.

    Text, JSONL, Parquet and CSV become tokens, or with --label samples and their classes; so do tables of numbers,
    folders of images, and arrays (.npy, .npz). Memory stays small whatever the size. When it is interrupted, the same
    command goes on where it was, and the same data, seed and versions give the same bytes.

    \b
    Examples:
      zenplan data prepare corpus.jsonl.gz --out prepared
      zenplan data prepare python-library --out sources --vocabulary 4096
      zenplan data prepare reviews.csv --out reviews --label stars --seq-len 128
      zenplan data prepare photos --out photos-32 --image-size 32
    """
    from zenplan.commands.data.card_report import card_report
    from zenplan.commands.data.use_case import prepare as use_case
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.progress import staged
    from zenplan.commands.shared.request_file import lines_named, with_request

    settings = resolved(format=output)
    with lines_named(request, given):
        every = with_request(request, given, preparing=True)
        with staged(f"preparing {out.name}") as tell:
            card = use_case(source, out, every, overwrite, tell)
    with loaded_plugins() as plugins:
        say(card_report(card), settings["format"], plugins)
