"""``zenplan compress``: smaller versions of the model of a finished run, and the best within bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.settings import Format, resolved


def _option(text: str, metavar: str, *names: str) -> Any:
    return typer.Option(*names, help=text, metavar=metavar)


def compress(
    run: Annotated[
        str, typer.Argument(help="A finished run: its id, four letters of it at least, or its folder.", metavar="RUN")
    ],
    method: Annotated[
        list[str] | None,
        _option("int8, int4, prune, distill, merge; several with commas, else all.", "NAME", "--method"),
    ] = None,
    min_accuracy: Annotated[str | None, _option("Of the chosen version, at least.", "SHARE")] = None,
    min_metric: Annotated[str | None, _option("Of the run's own figure, at least; 98%.", "SHARE")] = None,
    max_share: Annotated[str | None, _option("Of the size of the run's model, at most.", "SHARE")] = None,
    max_mb: Annotated[str | None, _option("Of its files, at most, in 1e6 bytes.", "MB")] = None,
    max_ms: Annotated[str | None, _option("Of a call with one sample, at most.", "MS")] = None,
    sparsity: Annotated[str | None, _option("Of the weights, that pruning makes zero; 50%.", "SHARE")] = None,
    width: Annotated[str | None, _option("Of a student, of that of the model; 50% and 25%.", "SHARE")] = None,
    student: Annotated[str | None, _option("A student of your own: package.module:function.", "TARGET")] = None,
    steps: Annotated[str | None, _option("Of each training; as many as the run, pruning half.", "COUNT")] = None,
    minutes: Annotated[str | None, _option("Of all trainings together; 10 without --steps.", "MINUTES")] = None,
    usd_per_hour: Annotated[str | None, _option("What an hour of serving costs; that of the run.", "USD")] = None,
    samples: Annotated[str | None, _option("Of the test set that are scored; 2000, 0 for all.", "COUNT")] = None,
    threads: Annotated[str | None, _option("Processor cores; by default all.", "COUNT")] = None,
    backend: Annotated[str | None, _option("jax, torch or tensorflow; else that of the run.", "NAME")] = None,
    out: Annotated[Path | None, _option("A folder; by default compressed/ of the run.", "PATH", "--out", "-o")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what was compressed there before.")] = False,
    picture: Annotated[Path | None, _option("A picture of the comparison, .svg or .png.", "FILE")] = None,
    output: Format = None,
) -> None:
    """Make smaller versions of a finished run's model, compare them, and keep the best.

    In int8 and int4, with small weights pruned, and distilled into narrower students, trained on the run's own data; of a
    run with adapters, those merged. Each is opened again in another process and scored on the test set beside the model:
    size, metric, latency, cost. The smallest one within the bounds is written. Exit code 3: there is none.

    \b
    Examples:
      zenplan compress RUN --max-share 0.3
      zenplan compress RUN --method int8,distill --min-accuracy 0.9 --max-ms 5
      zenplan compress RUN --usd-per-hour 0.50 --picture versions.svg -o small
    """
    import sys

    from zenplan.commands.compress.from_flags import asked_compression, check_picture, write_picture
    from zenplan.commands.compress.report import compression_report, within
    from zenplan.commands.compress.use_case import compressed, plan
    from zenplan.commands.shared.output import loaded_plugins, say, write
    from zenplan.commands.shared.progress import staged
    from zenplan.errors import NoFit

    settings = resolved(format=output)
    flags = {"min_accuracy": min_accuracy, "min_metric": min_metric, "max_share": max_share, "max_mb": max_mb}
    flags |= {"max_ms": max_ms, "sparsity": sparsity, "width": width, "student": student, "steps": steps}
    flags |= {"minutes": minutes, "usd_per_hour": usd_per_hour, "samples": samples, "threads": threads}
    with loaded_plugins() as plugins:
        check_picture(picture)
        asked = asked_compression(run, method or (), {**flags, "backend": backend}, out, force)
        wanted = plan(asked)
        write(sys.stderr, f"{wanted.line}\n")
        with staged("compressing") as tell:
            found = compressed(asked, wanted, tell)
        if picture is not None:
            write_picture(picture, found)
        say(compression_report(found), settings["format"], plugins)
    if not found.chosen:
        raise NoFit(f"no smaller version has {within(found)}", "loosen a bound, or give it more --steps")
