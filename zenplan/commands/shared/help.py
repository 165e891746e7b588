"""A command with many options: its help has a section for each group of them, and each is given once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Options of no group: the only section of options where there are no groups.
_ALONE: Final = "Options"
_OTHERS: Final = "Other"
_ARGUMENTS: Final = "Arguments"
# Of commands whose answers another shows side by side.
_BESIDE: Final = {"estimate": ": 'zenplan compare' takes several, and shows them side by side"}


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

    def make_parser(self, ctx: Any) -> Any:
        """Typer's, which takes the last value of an option that is given twice: scripts want that, not in silence."""
        parser: Any = super().make_parser(ctx)
        parse = parser.parse_args

        def parsed(args: list[str]) -> Any:
            found = parse(args)
            self._name_repeated(found[2])
            return found

        parser.parse_args = parsed
        return parser

    def _name_repeated(self, given: Sequence[Any]) -> None:
        """Warn of options that take one value and are there more than once, among all that were given, in order."""
        single = [each for each in given if each.param_type_name == "option" and each.nargs == 1 and not each.multiple]
        for each in dict.fromkeys(single):
            if single.count(each) > 1 and not getattr(each, "is_flag", False):
                from zenplan.commands.shared.output import warned

                warned(f"{each.opts[0]} is given twice, and the last is taken{_BESIDE.get(self.name or '', '')}")

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
