"""``zenplan federate``: federated averaging among clients, each with rows of its own, beside training in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.settings import Format


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar)


def federate(
    file: Annotated[Path | None, typer.Argument(help="A request file, as of 'zenplan train'.", metavar="FILE")] = None,
    clients: Annotated[
        str | None, _option("--clients", "That the rows are split among; 8 by default.", "COUNT")
    ] = None,
    rounds: Annotated[str | None, _option("--rounds", "In each all clients train; 20 by default.", "COUNT")] = None,
    local_epochs: Annotated[
        str | None, _option("--local-epochs", "Passes of a client over its rows in a round; 1.", "COUNT")
    ] = None,
    alpha: Annotated[
        str | None, _option("--alpha", "Split classes by Dirichlet(alpha), as in 0.5; by default at random.", "NUMBER")
    ] = None,
    dropout: Annotated[
        str | None, _option("--dropout", "Chance of a client to fail in a round; 0 by default.", "SHARE")
    ] = None,
    dp_clip: Annotated[
        str | None, _option("--dp-clip", "Norm that what a client changed is cut down to.", "NUMBER")
    ] = None,
    dp_noise: Annotated[
        str | None, _option("--dp-noise", "Differential privacy: deviation of the noise over --dp-clip.", "NUMBER")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Train the same in one place first.")] = False,
    backend: Annotated[str | None, _option("--backend", "jax, torch or tensorflow.", "NAME")] = None,
    out: Annotated[Path | None, _option("--out", "The run's folder; by default one of its own.", "FOLDER")] = None,
    python: Annotated[
        Path | None, _option("--python", "Of Flower's environment; or ZENPLAN_FLOWER_PYTHON.", "PATH")
    ] = None,
    how: Annotated[bool, typer.Option("--how", help="Print the lines that make Flower's environment.")] = False,
    output: Format = None,
) -> int:
    """Train among clients that keep their rows: federated averaging, over Flower's network with TLS.

    The training data of a request are split among clients; in each round every client trains on its own rows, and the
    average of their weights is evaluated and sent out again. It is compared with a run of the same in one place, where
    there is one or --compare trains it. Flower has an environment of its own: pip install zenplan-flower, and the lines of
    --how. Exit codes: 0 finished, 1 failed, 3 stopped by a limit, 130 Ctrl-C, 143 SIGTERM.

    \b
    Examples:
      zenplan federate --how
      zenplan federate run.toml --clients 8 --rounds 20 --compare
      zenplan federate run.toml --alpha 0.5 --dropout 0.2
      zenplan federate run.toml --dp-clip 1 --dp-noise 0.5
    """
    from zenplan.commands.federate.running import run, told_how
    from zenplan.commands.train.flags import Flags
    from zenplan.errors import UsageError

    if how:
        return told_how(backend)
    if file is None:
        raise UsageError(
            "nothing says what to train", "as in: zenplan federate run.toml; 'zenplan train init' writes one"
        )
    given = {
        "clients": clients,
        "rounds": rounds,
        "local_epochs": local_epochs,
        "alpha": alpha,
        "dropout": dropout,
        "dp_noise": dp_noise,
        "dp_clip": dp_clip,
    }
    flags = Flags(file=file, given={"backend": backend}, out=out, output=output)
    return run(flags, given, compare, python)
