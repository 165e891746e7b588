"""``zenplan plugins``: what each plugin gives; whether one keeps its contract; the beginning of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zenplan.commands.shared.settings import Format, resolved

plugins_app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)

# The exit code of a question whose answer is no.
_NOT_GOOD = 1


@plugins_app.callback()
def _plugins(
    context: typer.Context,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where anything was left out.")] = False,
    output: Format = None,
) -> int:
    """List plugins: name, version, distribution, hooks, items, and what was left out and why.

    Every hook is asked, and of plugins' items whatever can be asked without input.

    \b
    Examples:
      zenplan plugins
      zenplan plugins --strict --format json
      zenplan plugins check runpod
      zenplan plugins new provider mycloud
    """
    # What is given before "check" counts for it.
    context.obj = output
    if context.invoked_subcommand:
        return 0
    from zenplan.commands.plugins.report import plugins_report
    from zenplan.commands.shared.output import is_strict, say
    from zenplan.plugins import load_plugins

    settings, found = resolved(format=output), load_plugins()
    # Every hook is called for the counts, and only then all problems are known.
    infos = found.infos()
    found.ask()
    infos, problems = found.infos(), found.problems()
    say(plugins_report(infos, problems), settings["format"], found)
    # A format that fails is a plugin's failure too.
    return _NOT_GOOD if (strict or is_strict()) and any(not each.kept for each in found.problems()) else 0


@plugins_app.command("check")
def _check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A plugin, as 'zenplan plugins' lists it.", metavar="NAME")],
    minutes: Annotated[float, typer.Option(help="The most that it may take.", metavar="MINUTES")] = 10.0,
    output: Format = None,
) -> int:
    """Hold an installed plugin to the contracts of its hooks.

    Prints a report card. Exit code 1 where it fails one.

    The checks are those of zenplan.testing, which its author may run too; they need pytest.

    \b
    Examples:
      zenplan plugins check runpod
      zenplan plugins check runpod --format json
    """
    from zenplan.commands.plugins.check import check
    from zenplan.commands.plugins.check_report import check_report
    from zenplan.commands.shared.output import loaded_plugins, say

    settings = resolved(format=output or context.obj)
    card = check(name, minutes * 60.0)
    with loaded_plugins() as plugins:
        say(check_report(card), settings["format"], plugins)
    return 0 if card.passed else _NOT_GOOD


@plugins_app.command("new")
def _new(
    kind: Annotated[
        str,
        typer.Argument(help="provider, engine, workload, accelerators, format, tracker or launcher.", metavar="KIND"),
    ],
    name: Annotated[str, typer.Argument(help="What it is called, as in mycloud.", metavar="NAME")],
    out: Annotated[
        Path | None, typer.Option(help="The folder to make; by default zenplan-NAME.", metavar="DIR")
    ] = None,
) -> None:
    """Write a plugin to begin with, which passes its tests.

    It is a distribution with its data, tests and README, which installs.

    \b
    Examples:
      zenplan plugins new provider mycloud
      zenplan plugins new format tsv --out tsv
    """
    import sys

    from zenplan.commands.plugins.new import new
    from zenplan.commands.shared.output import write

    write(sys.stdout, new(kind, name, out))
