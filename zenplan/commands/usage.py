"""What a command line that Typer refuses is told: where to look next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from typer.core import TyperGroup

from zenplan.commands.app import ROOMS

_ALL: Final = "'zenplan --help' lists the commands, 'zenplan COMMAND --help' its options"


def hint_of(error: Any, argv: Sequence[str]) -> str:
    """The hint for an error of Typer's: of the command that it happened in, and of what that misses.

    Args:
        error: a ``TyperException``; those about a command line have its context in ``ctx``, but for an
            option without its value.
        argv: the command line.
    """
    context = getattr(error, "ctx", None)
    if context is None and argv and argv[0] in ROOMS:
        return f"'{' '.join(('zenplan', *_named(argv)))} --help' lists its options"
    if context is None or context.parent is None:
        return _ALL
    what = "commands" if isinstance(context.command, TyperGroup) else "options"
    usage = f"'{context.command_path} --help' lists its {what}"
    # Of all errors about a parameter this one alone knows the parameter's type.
    missing = getattr(error, "param", None) if hasattr(error, "param_type") else None
    return "; ".join(filter(None, (_choices(missing), usage)))


def _named(argv: Sequence[str]) -> Sequence[str]:
    """The command of a command line, with the one below it where it has some."""
    below = ROOMS[argv[0]][0].endswith("_app") and len(argv) > 1 and not argv[1].startswith("-")
    return argv[: 2 if below else 1]


def _choices(missing: Any) -> str:
    """What there is to give for a parameter; empty where that is not known."""
    if missing is None:
        return ""
    if str(missing.metavar).startswith("RUN"):
        return "'zenplan runs list' lists the runs"
    said = (getattr(missing, "help", None) or "").rstrip(".")
    return f"{missing.opts[0] if missing.param_type_name == 'option' else missing.metavar}: {said}" if said else ""
