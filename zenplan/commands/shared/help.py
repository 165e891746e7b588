"""Help of a command with many options: a section for each group of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Options of no group: the only section of options where there are no groups.
_ALONE: Final = "Options"
_OTHERS: Final = "Other"
_ARGUMENTS: Final = "Arguments"


def sections(command: Any, context: Any) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Lines of a command's help, each an option and what it is, by their section: arguments, groups, all others."""
    found: dict[str, list[tuple[str, str]]] = {}
    others: list[tuple[str, str]] = []
    for parameter in command.get_params(context):
        line = parameter.get_help_record(context)
        if line is None:  # hidden
            continue
        name = _ARGUMENTS if parameter.param_type_name == "argument" else getattr(parameter, "rich_help_panel", None)
        (found.setdefault(name, []) if name else others).append(line)
    return {**found, (_OTHERS if found.keys() - {_ARGUMENTS} else _ALONE): others}


class Grouped(TyperCommand):
    """A command whose help has a section for each ``rich_help_panel``, in plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Its arguments and options, section by section."""
        for name, lines in sections(self, ctx).items():
            with formatter.section(name):
                formatter.write_dl(lines)


class GroupedCommands(TyperGroup):
    """The same of a command with commands below it."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Its options, section by section, and its commands."""
        for name, lines in sections(self, ctx).items():
            with formatter.section(name):
                formatter.write_dl(lines)
        self.format_commands(ctx, formatter)
