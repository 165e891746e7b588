"""``zenplan train``: the real run, predicted, watched, stopped in time, and compared with the prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.settings import Format
from zenplan.commands.train.flags import OF_DATA, REQUEST, TRAIN

if TYPE_CHECKING:
    from collections.abc import Sequence


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar)


_What = Annotated[
    list[str] | None,
    typer.Argument(help="A request file with [data] and [train]; or 'init', a kind, and a file.", metavar="[FILE]"),
]
_Options = Annotated[
    list[str] | None, _option("--option", "Of the kind of model: layers=4; several times.", "NAME=VALUE")
]
_Compiled = Annotated[bool | None, typer.Option("--compiled/--eager", help="Compiled by XLA or torch.compile, or not.")]
_Resume = Annotated[str | None, _option("--resume", "Go on with a run, by its id or folder.", "RUN")]
_Autoresume = Annotated[bool, typer.Option("--autoresume", help="Go on with the run at --out, where one was begun.")]
_Out = Annotated[Path | None, _option("--out", "The run's folder; by default one of its own.", "FOLDER")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Stop after the estimate.")]
_Demo = Annotated[bool, typer.Option("--demo", help="A small decoder on the Python library's own sources, in minutes.")]


@options.takes(*REQUEST, *OF_DATA, *TRAIN)
def train(
    what: _What = None,
    option: _Options = None,
    compiled: _Compiled = None,
    resume: _Resume = None,
    out: _Out = None,
    autoresume: _Autoresume = False,
    dry_run: _DryRun = False,
    demo: _Demo = False,
    output: Format = None,
    **given: Any,
) -> int:
    """Train a model: predict first, watch it, stop in time, and compare.

    First comes the estimate for this run on this machine, of what was measured before or of a few steps that are timed and
    taken back; then the run, which Ctrl-C, SIGTERM and a cloud's notice end with a checkpoint. Exit codes: 0 finished, 1
    failed, 3 stopped by --max-usd, --max-hours or 'zenplan stop', 75 preempted, to be resumed, 130 Ctrl-C, 143 SIGTERM.

    \b
    Examples:
      zenplan train init decoder -
      zenplan train run.toml --dry-run
      zenplan train run.toml --max-usd 5
      zenplan train --model decoder --data corpus --steps 500 --backend jax
      zenplan train --resume abcd2345
      zenplan train --demo
    """
    words = list(what or ())
    if words[:1] == ["init"]:
        return _init(words[1:])
    from zenplan.commands.train.flags import Flags
    from zenplan.commands.train.running import run

    ways: dict[str, Any] = {
        "compiled": compiled,
        "resume": resume,
        "out": out,
        "autoresume": autoresume,
        "dry_run": dry_run,
        "demo": demo,
        "output": output,
    }
    return run(Flags(file=_file(words), given=given, options=tuple(option or ()), **ways))


def _file(words: Sequence[str]) -> Path | None:
    from zenplan.errors import UsageError

    if len(words) > 1:
        raise UsageError(f"there is one file, not {len(words)}", "as in: zenplan train run.toml")
    return Path(words[0]) if words else None


def _init(words: Sequence[str]) -> int:
    """Write a commented file for a kind; ``-`` for the terminal."""
    import sys

    from zenplan.commands.shared.output import write
    from zenplan.commands.train.kinds import KINDS, starter
    from zenplan.errors import UsageError

    if not words or len(words) > 2:
        lines = "; ".join(KINDS)
        raise UsageError(
            "'train init' takes a kind of model, and a file", f"as in: zenplan train init decoder; kinds: {lines}"
        )
    text, file = starter(words[0]), words[1] if len(words) > 1 else "run.toml"
    if file == "-":
        write(sys.stdout, text)
        return 0
    if Path(file).exists():
        raise UsageError(f"{file} is there already", f"name another file: zenplan train init {words[0]} other.toml")
    from zenplan.adapters.files.whole_file import write_whole

    write_whole(Path(file), text)
    write(sys.stdout, f"written: {file}\n")
    return 0
