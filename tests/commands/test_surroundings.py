"""Where zenplan runs: terminals, pipes, disks and homes as they are. Whatever they are, no traceback."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ONE = ("estimate", "--params", "1e9")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def in_shell(zenplan: Any, line: str, *argv: str, **environ: str) -> Any:
    """A line of bash in which "$@" is zenplan; PIPESTATUS of it in ``codes``."""
    return zenplan(program=("bash", "-c", line, "bash", *zenplan.module, *argv), environ=zenplan.environment(**environ))


def one_error(ended: Any) -> bool:
    lines = ended.err.splitlines()
    return ended.err.startswith("error: ") and [x.split(":")[0] for x in lines[1:]] in ([], ["hint"])


# --- stdout and stderr


@pytest.mark.parametrize("argv", [ONE, ("--help",), ("--version",), ("accelerators", "--format", "json")], ids=" ".join)
class TestStdout:
    """What becomes of the answer when there is nowhere to write it."""

    def test_a_full_disk(self, argv: tuple[str, ...], zenplan: Any) -> None:
        ended = in_shell(zenplan, '"$@" > /dev/full', *argv)
        assert ended.code == 1
        assert ended.err.startswith("error: No space left on device\n")
        assert one_error(ended)

    def test_closed_before_the_start(self, argv: tuple[str, ...], zenplan: Any) -> None:
        ended = in_shell(zenplan, '"$@" >&-', *argv)
        assert ended.code == 1
        assert "stdout is closed" in ended.err
        assert one_error(ended)

    def test_a_reader_that_leaves(self, argv: tuple[str, ...], zenplan: Any) -> None:
        # "true" reads nothing and is gone by the time that there is an answer.
        ended = in_shell(zenplan, '"$@" | true; exit ${PIPESTATUS[0]}', *argv)
        assert (ended.code, ended.out, ended.err) == (141, "", "")


def test_the_first_line_of_an_answer(zenplan: Any) -> None:
    ended = in_shell(zenplan, '"$@" | head -1; exit ${PIPESTATUS[0]}', "accelerators", "--format", "json")
    assert ended.code in (0, 141)
    assert (ended.out, ended.err) == ("{\n", "")


@pytest.mark.parametrize("stderr", ["/dev/full", "&-"])
def test_nowhere_to_complain(stderr: str, zenplan: Any) -> None:
    ended = in_shell(zenplan, f'"$@" 2>{stderr}', "estimate", "--params", "x")
    assert (ended.code, ended.out, ended.err) == (2, "", "")


def test_nothing_open_at_all(zenplan: Any) -> None:
    assert in_shell(zenplan, '"$@" <&- >&- 2>&-', *ONE).code == 1
    assert in_shell(zenplan, '"$@" <&- 2>&-', *ONE).code == 0


# --- encodings


ENCODINGS: tuple[Mapping[str, str], ...] = (
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize(
    ("environ", "format_"),
    [*((each, "table") for each in ENCODINGS), *((ENCODINGS[0], each) for each in ("json", "csv", "markdown"))],
    ids=str,
)
def test_a_terminal_without_utf8(environ: Mapping[str, str], format_: str, zenplan: Any) -> None:
    argv = ("estimate", "--model", "gpt2-124m", "--gpu", "h100", "--explain", "--format", format_)
    ended = zenplan(*argv, environ=zenplan.environment(**environ))
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert ended.out
    # A question mark is a price that is not known: no other character may become one.
    assert re.findall(r"\w\?|\?\w", ended.out) == []
    if format_ == "json":
        json.loads(ended.out)


def test_a_complaint_without_utf8(zenplan: Any) -> None:
    ended = zenplan("estimate", "--params", "\u00e9\u00d7", environ=zenplan.environment(PYTHONIOENCODING="ascii"))
    assert ended.code == 2
    assert one_error(ended)


def test_every_letter_of_ours_has_a_plain_one() -> None:
    """Whatever the program and its data can show is shown without UTF-8 too."""
    from zenplan.commands.shared.output import _PLAIN
    from zenplan.units import _HAN

    package = Path(__file__).parents[2] / "zenplan"
    # Alphabets to tell an encoding by, and names that a plugin's contract is tried with: read, and never shown.
    unseen = {
        package / name
        for name in ("adapters/data/encoding.py", "testing/exporters.py", "testing/launchers.py", "testing/trackers.py")
    }
    assert all(f.is_file() for f in unseen)
    ours = [f for kind in ("*.py", "*.csv") for f in package.rglob(kind) if f not in unseen]
    found = {c for f in ours for c in f.read_text(encoding="utf-8") if not c.isascii()}
    # Drawn in the docstring of errors.py, read as the units of a number, or cut out of a processor's name; never shown.
    assert {c for c in found if ord(c) not in _PLAIN} <= set("├└│®™") | set(_HAN) | set("万")


# --- terminals


def on_a_terminal(zenplan: Any, *argv: str, columns: int = 80, **environ: str) -> str:
    """What a terminal of that width is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    given = {k: v for k, v in zenplan.environment(TERM="xterm-256color", **environ).items() if k != "COLUMNS"}
    process = subprocess.Popen(
        [*zenplan.module, *argv], env=given, cwd=zenplan.cwd, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    sent = b""
    try:
        while chunk := os.read(ours, 65536):
            sent += chunk
    except OSError:
        pass  # How Linux says that the other side has closed.
    finally:
        os.close(ours)
        process.wait(timeout=60)
    assert process.returncode == 0
    return sent.decode().replace("\r\n", "\n")


def test_a_terminal_has_colour_and_the_same_text(zenplan: Any) -> None:
    sent = on_a_terminal(zenplan, *ONE)
    assert ANSI.search(sent)
    plain = "\n".join(line.rstrip() for line in ANSI.sub("", sent).splitlines())
    assert plain.rstrip("\n") + "\n" == zenplan(*ONE).out


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_a_terminal_without_colour(environ: dict[str, str], zenplan: Any) -> None:
    ours = zenplan.environment
    zenplan.environment = lambda **more: ours(**{**more, **environ})
    assert "\x1b" not in on_a_terminal(zenplan, *ONE)


def test_an_empty_no_color_is_none(zenplan: Any) -> None:
    assert ANSI.search(on_a_terminal(zenplan, *ONE, NO_COLOR=""))


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_width_of_the_terminal_is_used(columns: int, zenplan: Any) -> None:
    lines = ANSI.sub("", on_a_terminal(zenplan, *ONE, "--details", columns=columns)).splitlines()
    assert max(map(len, lines)) <= columns
    assert columns == 200 or max(map(len, lines)) == columns


def test_only_the_table_has_colour(zenplan: Any) -> None:
    assert "\x1b" not in on_a_terminal(zenplan, *ONE, "--format", "json")


@pytest.mark.parametrize(
    "environ", [{}, {"TERM": "dumb"}, {"CLICOLOR_FORCE": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}], ids=str
)
def test_a_pipe_has_no_colour(environ: dict[str, str], zenplan: Any) -> None:
    for argv in (("config",), ("--help",)):
        ended = zenplan(*argv, environ=zenplan.environment(**environ))
        assert "\x1b" not in ended.out + ended.err


@pytest.mark.parametrize("columns", ["0", "1", "-5", "wide", "40", "100000", ""])
def test_a_width_that_is_none(columns: str, zenplan: Any) -> None:
    ended = zenplan("config", environ=zenplan.environment(COLUMNS=columns))
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.lines)) >= 20


# --- homes and folders


@pytest.mark.parametrize("home", ["/dev/null", "/nonexistent", "", "relative", "/proc/self"])
def test_a_home_that_is_none(home: str, zenplan: Any) -> None:
    environ = {k: v for k, v in zenplan.environment(HOME=home).items() if not k.startswith("XDG_")}
    for argv in (("config",), ("profile",)):
        ended = zenplan(*argv, environ=environ)
        assert (ended.code, ended.err) == (0, "")


def test_no_environment_at_all(zenplan: Any) -> None:
    ended = zenplan(*ONE, environ={})
    assert (ended.code, ended.err) == (0, "")


def test_a_home_that_cannot_be_written(zenplan: Any) -> None:
    zenplan.home.chmod(0o500)
    zenplan.cwd.chmod(0o500)
    ended = zenplan(*ONE)
    assert (ended.code, ended.err) == (0, "")


def test_a_folder_that_is_gone(zenplan: Any) -> None:
    ended = in_shell(zenplan, 'mkdir gone && cd gone && rmdir ../gone && "$@"', *ONE)
    assert ended.code == 2
    assert one_error(ended)


def test_no_stdin(zenplan: Any) -> None:
    ended = in_shell(zenplan, '"$@" <&-', *ONE)
    assert (ended.code, ended.err) == (0, "")


_WRITES = """
import os, sys
seen = []
def watch(event, args):
    if event == "open" and args[0] != os.devnull:
        path, mode, flags = args
        if (isinstance(mode, str) and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen.append(("open", str(path)))
    if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"):
        seen.append((event, str(args[0])))
    if event in ("subprocess.Popen", "os.system", "socket.connect", "os.posix_spawn", "os.fork"):
        seen.append((event, str(args)))
sys.addaudithook(watch)
from zenplan.commands.main import run
code = run(sys.argv[1:])
sys.stderr.write("".join(f"{event} {path}\\n" for event, path in seen))
sys.exit(code)
"""


@pytest.mark.parametrize(
    "argv",
    [
        ONE,
        ("profile",),
        ("accelerators",),
        ("prices",),
        ("workloads", "show", "gpt2-124m"),
        ("plugins",),
        ("config",),
        ("--help",),
    ],
    ids=" ".join,
)
def test_nothing_is_written_and_nobody_is_called(argv: tuple[str, ...], zenplan: Any) -> None:
    """Neither in the home nor in the folder nor anywhere: no file, no process, no network."""
    ended = zenplan(*argv, program=(sys.executable, "-B", "-c", _WRITES))
    assert (ended.code, ended.err) == (0, "")
    around = zenplan.home.parent
    assert sorted(p.name for p in around.rglob("*")) == ["cwd", "home", "tmp"]


def test_the_watch_sees_a_write(zenplan: Any) -> None:
    """The proof that the test above can fail."""
    code = _WRITES.replace("code = run(", "open('x', 'w').close(); os.mkdir('y'); code = run(")
    ended = zenplan("config", program=(sys.executable, "-B", "-c", code))
    assert ended.err == "open x\nos.mkdir y\n"


@pytest.mark.parametrize("code", ["EUR", "GBP", "JPY", "CNY", "INR", "KRW", "CHF"])
def test_a_currency_is_named_where_its_sign_cannot_be_shown(code: str, zenplan: Any) -> None:
    argv = ("estimate", "--params", "1e9", "--gpu", "h100", "--currency", code, "--rate", "5")
    ended = zenplan(*argv, environ=zenplan.environment(PYTHONIOENCODING="ascii"))
    verdict = ended.out.partition("Range")[0]
    assert f"{code} " in verdict
    assert "?" not in ended.out


@pytest.mark.parametrize("day", ["9999-12-31", "9001-01-01", "0000-01-01", "2026-02-30", "20261129x", "today"])
def test_a_day_that_nobody_plans_from(day: str, called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENPLAN_TODAY", day)
    for argv in (("estimate", "--params", "1e9"), ("compare", "--params", "1e9"), ("prices",)):
        ended = called(*argv)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 2)
        assert "ZENPLAN_TODAY" in ended.err


@pytest.mark.parametrize("day", ["2016-11-29", "2027-11-29", "9000-12-31"])
def test_a_day_long_before_or_after_the_prices(day: str, called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENPLAN_TODAY", day)
    ended = called("estimate", "--params", "1e9", "--repeat", "1000", "--horizon", "9d")
    assert (ended.code, ended.err) == (0, "")
