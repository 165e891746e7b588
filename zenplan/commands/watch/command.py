"""``zenplan watch``: a run that goes on elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer


def watch(
    run: Annotated[
        str, typer.Argument(help="Its id, the first letters of it, its folder, or https://host:port.", metavar="RUN")
    ],
    once: Annotated[bool, typer.Option("--once", help="Show how it stands now, and leave.")] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", help="Of its endpoint; better in the variable.", metavar="TEXT", envvar="ZENPLAN_TOKEN"
        ),
    ] = None,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            "--notify", help="Tell there of alarms and the end, as Apprise does; several times.", metavar="URL"
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--format", help="table, or json: an object a line.", metavar="FORMAT")
    ] = "table",
) -> int:
    """Follow a run that another process, or another machine, does: its panel, what is said of it, and alarms.

    Alarms: steps are slower than predicted, it is late or dearer than predicted, its loss is no number, it gives no sign of
    life. Ctrl-C ends the watching, not the run. Exit codes: those of the run, once it is over (143 for Ctrl-C at it);
    1 where it was killed; 0 with --once while it goes on.

    \b
    Examples:
      zenplan watch RUN
      zenplan watch RUN --once
      zenplan watch /shared/run --notify ntfy://my-topic
      ZENPLAN_TOKEN=... zenplan watch https://node1:8443
    """
    from zenplan.commands.watch.running import watched

    return watched(run, token or "", notify or (), once, output)
