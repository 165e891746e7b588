"""Help: examples that are true, ``-h``, completion, and the page of all options that is made of it.

``ZENPLAN_REGENERATE=1 pytest tests/commands/test_help.py`` writes the tables of ``docs/commands.md``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from zenplan.commands.app import ROOMS
from zenplan.commands.shared import options
from zenplan.commands.shared.help import sections

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
_MARKED = re.compile(r"(?<=<!-- commands -->\n).*(?=<!-- /commands -->)", re.DOTALL)
_EXAMPLE = re.compile(r"^ +zenplan(.*)$", re.MULTILINE)
# They measure, build a model, or read a file of the user's: their flags are read, and no more.
_READ_FILES = ("export", "calibrate", "count", "backtest", "diff", "report", "data show", "data prepare", "launch")
_TRAIN = ("train run.toml", "train --model", "train --resume", "train --demo", "federate run.toml")
# Those that would use the network, look at what was fetched, or write a file.
_FETCH = ("prices refresh", "prices diff", "prices import", "prices export")
# Those on a finished run.
_RUN = ("explain RUN", "compress RUN", "serve RUN", "serve-cost RUN", "retrain-plan RUN", "watch", "stop")
_ONLY_READ = (*_READ_FILES, *_FETCH, *_RUN, "plugins check", "calibrations import", "calibrations export", *_TRAIN)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and group below the program, by its words."""
    from typer.main import get_command

    from zenplan.commands.app import app

    def below(command: Any, words: str) -> Iterator[tuple[str, Any]]:
        for name, each in getattr(command, "commands", {}).items():
            path = f"{words} {name}".strip()
            yield path, each
            yield from below(each, path)

    yield from below(get_command(app), "")


def examples() -> list[list[str]]:
    return [shlex.split(found) for _, command in commands() for found in _EXAMPLE.findall(command.help or "")]


def tables() -> str:
    """Each command with its arguments and options, in markdown; the groups of all options of a run once."""
    text = ""
    run: dict[str, Sequence[tuple[str, str]]] = {}
    for words, command in commands():
        context = command.make_context(words, [], resilient_parsing=True)
        found = {
            name: [row for row in rows if "--help" not in row[0]] for name, rows in sections(command, context).items()
        }
        found = {name: rows for name, rows in found.items() if rows}
        text += f"\n## zenplan {words}\n\n{' '.join(command.help.split(chr(10) * 2)[0].split())}\n"
        if words == "estimate":
            run = {name: rows for name, rows in found.items() if name != "Other"}
        elif run.items() <= found.items():
            text += "\nThe options of [zenplan estimate](#zenplan-estimate) from Model to Project, and:\n"
            found = {name: rows for name, rows in found.items() if name not in run}
        text += "".join(_table(name if len(found) > 1 else "option", rows) for name, rows in found.items())
    return f"{text}\n"


def _table(name: str, rows: Sequence[tuple[str, str]]) -> str:
    lines = (f"| `{option}` | {' '.join(what.split())} |\n" for option, what in rows)
    return "".join([f"\n| {name} | what it is |\n|---|---|\n", *lines])


def test_the_page_of_commands_is_what_the_help_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = _MARKED.sub(lambda _: tables(), page)
    if os.environ.get("ZENPLAN_REGENERATE"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "stale: ZENPLAN_REGENERATE=1 pytest tests/commands/test_help.py"
    assert made.count("\n## zenplan ") == len(list(commands()))


def test_every_option_is_in_one_section() -> None:
    for words, command in commands():
        context = command.make_context(words, [], resilient_parsing=True)
        found = sections(command, context)
        rows = [row for each in found.values() for row in each]
        assert sorted(rows) == sorted(filter(None, (p.get_help_record(context) for p in command.get_params(context))))


def test_options_of_a_run_stand_under_the_tables_of_a_request_file() -> None:
    estimate = dict(commands())["estimate"]
    found = sections(estimate, estimate.make_context("estimate", [], resilient_parsing=True))
    for name, flags in options.GROUPS.items():
        assert [option for option, _ in found[name.capitalize()]] == [f"{f.flag} {f.metavar}" for f in flags]


def test_every_command_has_an_example() -> None:
    without = {words for words, command in commands() if " " not in words and not _EXAMPLE.findall(command.help or "")}
    assert without == set()
    # One of each command's own, not of its neighbour's.
    assert {example[0] for example in examples()} == ROOMS.keys()


def test_the_flags_of_every_example_exist() -> None:
    known = dict(commands())
    for words in examples():
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        known[name].make_context(name, words[len(name.split()) :])


@pytest.mark.parametrize(
    "words", [w for w in examples() if not " ".join(w).startswith(_ONLY_READ)], ids=lambda w: " ".join(w)
)
def test_an_example_runs(words: list[str], called: Callable[..., Any]) -> None:
    ended = called(*words)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.strip()


@pytest.mark.parametrize("words", [(), ("estimate",), ("calibrations",), ("accelerators", "show")], ids=" ".join)
def test_h_is_help(words: tuple[str, ...], called: Callable[..., Any]) -> None:
    assert called(*words, "-h").out == called(*words, "--help").out != ""


def test_without_a_word_there_is_help(called: Callable[..., Any]) -> None:
    assert called().out == called("--help").out
    assert called("calibrations").out == called("calibrations", "--help").out


def test_completion_is_printed_and_installed_nowhere(called: Callable[..., Any], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    ended = called("--show-completion", "zsh")
    assert (ended.code, ended.err) == (0, "")
    assert "#compdef zenplan" in ended.out
    assert sorted(tmp_path.rglob("*")) == before
    for words in [(), *((name,) for name in ROOMS)]:
        assert "--install-completion" not in called(*words, "--help").out


def test_a_shell_that_has_no_completion_is_refused(called: Callable[..., Any]) -> None:
    ended = called("--show-completion", "tcsh")
    assert ended.code == 2
    assert (
        ended.err
        == "error: no completion for the shell 'tcsh'\nhint: there is one for bash, zsh, fish, powershell, pwsh\n"
    )


@pytest.mark.parametrize(
    ("line", "found"), [("zenplan est", "estimate"), ("zenplan estimate --deadl", "--deadline")], ids=str
)
def test_bash_completes_what_was_begun(line: str, found: str, zenplan: Any) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1), "_ZENPLAN_COMPLETE": "complete_bash"}
    ended = zenplan(environ=zenplan.environment(**words))
    assert (ended.code, ended.out.split(), ended.err) == (0, [found], "")


def test_the_script_is_bash(zenplan: Any) -> None:
    script = zenplan("--show-completion", "bash").out
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
