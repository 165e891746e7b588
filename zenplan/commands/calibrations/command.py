"""``zenplan calibrations list | show | export | import | rm``: the store of what was measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zenplan.commands.shared.settings import Format, resolved
from zenplan.errors import ZenplanError

if TYPE_CHECKING:
    from zenplan.adapters.store.store import CalibrationStore

calibrations_app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)


@calibrations_app.callback()
def _calibrations(context: typer.Context) -> None:
    """List, show, share and remove calibrations: what was measured here or imported.

    \b
    Examples:
      zenplan calibrations list
      zenplan calibrations export team.json
      zenplan calibrations import team.json
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_Id = Annotated[str, typer.Argument(help="Its id, or the first letters of it, four at least.", metavar="ID")]


@contextmanager
def _store(only_read: bool = True, quiet: bool = False) -> Iterator[CalibrationStore]:
    """The user's store. What its opening has to tell goes to stderr, unless ``quiet``."""
    from zenplan.adapters.store.store import CalibrationStore
    from zenplan.commands.shared.output import write

    with CalibrationStore.open(only_read=only_read) as store:
        if store.warning and not quiet:
            write(sys.stderr, f"warning: {store.warning}\n")
        yield store


def _tell_left_out(lines: tuple[str, ...]) -> None:
    """What could not be read, on stderr."""
    from zenplan.commands.shared.output import write

    for line in lines:
        write(sys.stderr, f"warning: left out: {line}\n")


def _tell(text: str) -> None:
    from zenplan.commands.shared.output import write

    write(sys.stdout, f"{text}\n")


@calibrations_app.command("list")
def _list(output: Format = None) -> None:
    """List calibrations, the newest first."""
    from zenplan.commands.calibrations.report import calibrations_report
    from zenplan.commands.shared.output import loaded_plugins, say

    settings = resolved(format=output)
    with loaded_plugins() as plugins, _store() as store:
        entries = store.entries()
        say(calibrations_report(entries, store.left_out), settings["format"], plugins)


@calibrations_app.command("show")
def _show(id: _Id, output: Format = None) -> None:
    """Show one: its points, and the step predicted of them."""
    from zenplan.commands.calibrations.report import calibration_report
    from zenplan.commands.calibrations.use_case import chosen
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.planning.calibration.depth_fit import prediction_of

    settings = resolved(format=output)
    with loaded_plugins() as plugins, _store() as store:
        (stored,), left_out = chosen(store, [id])
        _tell_left_out(left_out)
        say(calibration_report(stored, *prediction_of(stored.calibration)), settings["format"], plugins)


@calibrations_app.command("export")
def _export(
    file: Annotated[str, typer.Argument(help="The file to write, or - for stdout.", metavar="FILE")],
    ids: Annotated[
        list[str] | None, typer.Argument(help="Which; all of them if none is given.", metavar="[ID]...")
    ] = None,
) -> None:
    """Write calibrations to a file that 'import' reads elsewhere."""
    from zenplan.adapters.store.file import write_calibrations
    from zenplan.commands.calibrations.document import calibrations_text
    from zenplan.commands.calibrations.use_case import chosen
    from zenplan.commands.shared.output import write

    with _store(quiet=True) as store:
        if store.unreadable:
            # A file that is there may hold the only copy.
            raise ZenplanError(f"nothing is exported: {store.unreadable.message}", store.unreadable.hint)
        found, left_out = chosen(store, ids or ())
        _tell_left_out(left_out)
        content = calibrations_text(found, left_out)
    if file == "-":
        write(sys.stdout, content)
        return
    write_calibrations(Path(file), content)
    _tell(f"exported to {file}: {_ids([s.calibration.id for s in found])}")


@calibrations_app.command("import")
def _import(file: Annotated[Path, typer.Argument(help="A file that 'export' wrote.", metavar="FILE")]) -> None:
    """Add what is in a file: all, or none if any is not valid."""
    from datetime import UTC, datetime

    from zenplan.commands.calibrations.use_case import take_in

    with _store(only_read=False) as store:
        imported = take_in(store, file, datetime.now(UTC))
    _tell(f"imported: {_ids(imported.added)}")
    if imported.there:
        _tell(f"here already: {_ids(imported.there)}")


@calibrations_app.command("rm")
def _rm(
    ids: Annotated[
        list[str], typer.Argument(help="Ids, or the first letters of them, four at least.", metavar="ID...")
    ],
) -> None:
    """Remove calibrations, with all that was measured."""
    from zenplan.commands.calibrations.use_case import take_out

    with _store(only_read=False) as store:
        _tell(f"removed: {_ids(take_out(store, ids))}")


def _ids(ids: tuple[str, ...] | list[str]) -> str:
    return ", ".join(ids) or "none"
