"""Help: examples that are true, ``-h``, completion, and the page of all options that is made of it.

``ZENPLAN_REGENERATE=1 pytest tests/commands/test_help.py`` writes the tables of ``docs/commands.md``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zenplan.commands.app import ROOMS

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
_MARKED = re.compile(r"(?<=<!-- commands -->\n).*(?=<!-- /commands -->)", re.DOTALL)
_EXAMPLE = re.compile(r"^ +zenplan(.*)$", re.MULTILINE)
# They measure, build a model, or read a file of the user's: their flags are read, and no more.
_ONLY_READ = ("calibrate", "count", "backtest", "diff", "calibrations import", "calibrations export", "data show")


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
    """Each command with its arguments and options, in markdown."""
    text = ""
    for words, command in commands():
        context = command.make_context(words, [], resilient_parsing=True)
        # A hidden option has no record.
        records = filter(None, (p.get_help_record(context) for p in command.params if "--help" not in p.opts))
        rows = [f"| `{name}` | {' '.join(what.split())} |\n" for name, what in records]
        text += f"\n## zenplan {words}\n\n{' '.join(command.help.split(chr(10) * 2)[0].split())}\n"
        text += "".join(["\n| option | what it is |\n|---|---|\n", *rows]) if rows else ""
    return f"{text}\n"


def test_the_page_of_commands_is_what_the_help_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = _MARKED.sub(lambda _: tables(), page)
    if os.environ.get("ZENPLAN_REGENERATE"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "stale: ZENPLAN_REGENERATE=1 pytest tests/commands/test_help.py"
    assert made.count("\n## zenplan ") == len(list(commands()))


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
