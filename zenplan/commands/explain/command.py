"""``zenplan explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.settings import Format, resolved


def _option(text: str, metavar: str, *names: str) -> Any:
    return typer.Option(*names, help=text, metavar=metavar)


def explain(
    run: Annotated[
        str, typer.Argument(help="A finished run: its id, four letters of it at least, or its folder.", metavar="RUN")
    ],
    given: Annotated[
        str | None,
        _option("A text, a JSON value, or a file of one; else samples of the run's data.", "SAMPLE", "--input"),
    ] = None,
    method: Annotated[str, _option("gradients, occlusion or permutation.", "NAME")] = "gradients",
    samples: Annotated[str | None, _option("Of the run's data; 4, of permutation all.", "COUNT")] = None,
    part: Annotated[str | None, _option("test, validation or train; else test where there is one.", "NAME")] = None,
    target: Annotated[str | None, _option("Class or token to explain; else the likeliest.", "CLASS")] = None,
    steps: Annotated[str, _option("Of integrated gradients; 64 at least.", "COUNT")] = "64",
    repeats: Annotated[str, _option("Of each permutation.", "COUNT")] = "5",
    seed: Annotated[str, _option("Of what is shuffled.", "COUNT")] = "0",
    backend: Annotated[str | None, _option("jax, torch or tensorflow; else that of the run.", "NAME")] = None,
    timeout: Annotated[str, _option("How long it may take.", "TIME")] = "10m",
    out: Annotated[Path | None, _option("A page .html, or a picture .png, of it.", "FILE", "--out", "-o")] = None,
    output: Format = None,
) -> None:
    """Say what a trained model's answers come from: which columns, tokens or pixels.

    By integrated gradients, by occlusion, or, over the whole test data, by permutation. Two checks tell whether it can be
    believed: attributions must add up, and the same model with shuffled weights must give another picture. Exit code 3: one
    of them fails.

    \b
    Examples:
      zenplan explain RUN -o why.html
      zenplan explain RUN --input 'a fine film' --target positive
      zenplan explain RUN --method permutation
    """
    import sys

    from zenplan.commands.explain.from_flags import check_picture, explanation_of, write_picture
    from zenplan.commands.explain.report import coloured, explanation_report
    from zenplan.commands.shared.output import colourful, loaded_plugins, say, write
    from zenplan.commands.shared.progress import elapsed
    from zenplan.errors import NoFit

    settings = resolved(format=output)
    flags = {"given": given, "method": method, "samples": samples, "part": part, "target": target, "steps": steps}
    if out is not None:
        check_picture(out)
    with loaded_plugins() as plugins:
        with elapsed(run) as tell:
            found = explanation_of(run, {**flags, "repeats": repeats, "seed": seed, "timeout": timeout}, backend, tell)
        if out is not None:
            write_picture(out, found)
        say(explanation_report(found), settings["format"], plugins)
        if settings["format"] == "table" and colourful(sys.stdout):
            write(sys.stdout, coloured(found))
    if found.believable is False:
        failed = ", ".join(each.name for each in found.checks if not each.passed)
        raise NoFit(f"the explanation is not to be believed: {failed}", "another --method, or more --steps")
