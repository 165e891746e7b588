"""``zenplan stop``: end a run with a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer


def stop(
    run: Annotated[
        str, typer.Argument(help="Its id, the first letters of it, its folder, or https://host:port.", metavar="RUN")
    ],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Leave once the order is given.")] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", help="Of its endpoint; better in the variable.", metavar="TEXT", envvar="ZENPLAN_TOKEN"
        ),
    ] = None,
) -> int:
    """End a run with a checkpoint, on whichever machine it is, and wait until it has ended.

    The order goes through its folder, which may be a shared one, or through its endpoint. The run ends with exit code 3, and
    goes on with 'zenplan train --resume RUN'. Exit codes: 0 it is over, also where it was already; 1 it failed on the way,
    or does not hear.

    \b
    Examples:
      zenplan stop RUN
      zenplan stop RUN --no-wait
      ZENPLAN_TOKEN=... zenplan stop https://node1:8443
    """
    import sys

    from zenplan.commands.shared.output import write
    from zenplan.commands.shared.progress import elapsed
    from zenplan.commands.stop.use_case import stop as stopped
    from zenplan.commands.watch.sources import source_of

    with source_of(run, token or "") as source, elapsed("stopping", lines=True) as tell:
        found = stopped(source, not no_wait, tell)
    write(sys.stdout, "".join(f"{line}\n" for line in found.text))
    return found.code
