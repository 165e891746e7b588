"""The README and the other documents are true: their commands run, and what they name is there.

In a ``console`` block a line that starts with ``$`` is a command. A zenplan command is run, and must end with 0 or
with the code in a comment behind it (``# exit code 3``). So is a zenplan command that is the last cell of a table's row.
Others are looked at: an installation of what is here, the tests, a script of ours.

What measures does so for real, but no longer than it must and with all the time there is, so that a busy machine
changes nothing (``quickly``).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import zenplan.hookspecs
from tests.session import ENVIRONMENT
from zenplan.adapters.prices import table as price_table
from zenplan.adapters.prices.table import PRICES, REQUIRED, read_price_csv
from zenplan.adapters.settings.operations import parse_operations
from zenplan.adapters.settings.settings import resolve
from zenplan.adapters.tables.accelerators import SOURCE_KEYS, read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import DataError
from zenplan.plugins.sources import GROUP
from zenplan.protocols import PriceProvider

ROOT = Path(__file__).parents[1]
# The README, what it points to, and the README in other languages.
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("README.*.md"))]
TEXTS = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
README, EVERYTHING = TEXTS[0], "\n".join(TEXTS)
# Blocks of TOML that say in their first line which file they are: commands in the documents read them.
FILES = ("request.toml", "policy.toml", "search.toml", "prices.toml", "launch.toml")
HOOKS = {name for name in vars(zenplan.hookspecs) if name.startswith("zenplan_")}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\|.*\| `(zenplan [^`]+)` \|$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_CODE = re.compile(r"#\s*exit code (\d+)\s*$")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


# A model of the user's own, as in ``--keras mine:build``.
_MINE = """
from keras import Input, Model, layers

def build(depth=12):
    x = inputs = Input((32,))
    for _ in range(depth):
        x = layers.Dense(32, activation="relu")(x)
    return Model(inputs, layers.Dense(10)(x))
"""


# --- what is there


@cache
def commands() -> dict[tuple[str, ...], set[str]]:
    """The path of each command to its options."""
    from typer.main import get_command

    from zenplan.commands.app import app

    def below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")}
        yield path, options | {"--help"}
        for name, each in getattr(command, "commands", {}).items():
            yield from below(each, (*path, name))

    return dict(below(get_command(app), ()))


@cache
def source() -> str:
    return "\n".join(f.read_text(encoding="utf-8") for f in (ROOT / "zenplan").rglob("*.py"))


@cache
def variables() -> set[str]:
    """Environment variables that zenplan reads."""
    from zenplan.adapters.settings.settings import SETTINGS

    return {setting.variable for setting in SETTINGS.values()} | set(re.findall(r"\bZENPLAN_[A-Z_]+\b", source()))


# --- what a README says


def console(readme: str) -> Iterator[tuple[str, int]]:
    """Each single command with the exit code it has to have."""
    for language, body in _BLOCK.findall(readme):
        if language != "console":
            continue
        for line in body.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                code = _CODE.search(line)
                for each in _CODE.sub("", line[2:]).split("&&"):
                    yield each.strip(), int(code[1]) if code else 0
    yield from ((command, 0) for command in _ROW.findall(_BLOCK.sub("", readme)))


def blocks(language: str, text: str = "") -> list[str]:
    """All of a language in the documents, with that text in them."""
    return [body for each, body in _BLOCK.findall(EVERYTHING) if each == language and text in body]


def problems(readme: str, folder: Path, home: Path = ROOT) -> Iterator[str]:
    """What in that document is not so; its links start at ``home``."""
    for command, code in console(readme):
        yield from problems_of(command, code, folder)
    # Inline code outside of the blocks is held to what exists.
    for span in _SPAN.findall(_BLOCK.sub("", readme)):
        words = span.split()
        if words[0] == "zenplan":
            yield from unknown_of_zenplan(words[1:])
        elif words[0] == "python":
            yield from unknown_of_script(words[1:])
        else:
            known = set[str]().union(*commands().values())
            yield from (f"no option {option}" for option in _OPTION.findall(span) if option not in known)
    for name in re.findall(r"\bZENPLAN_[A-Z_]*[A-Z]\b", readme):
        if name not in variables():
            yield f"no variable {name}"
    # Blocks are run; in a path it is a module of a plugin's.
    for name in re.findall(r"(?<!/)\bzenplan_[a-z_]+\b", _BLOCK.sub("", readme)):
        if name not in HOOKS | {"zenplan_api"}:
            yield f"no hook {name}"
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", readme):
        if not (home / target).exists():
            yield f"no file {target}"


def problems_of(command: str, code: int, folder: Path) -> Iterator[str]:
    words = shlex.split(command)
    environ = dict(w.split("=", 1) for w in words if re.match(r"[A-Z_]+=", w))
    words = [w for w in words if not re.match(r"[A-Z_]+=", w)]
    match words:
        case ["zenplan", *argv]:
            # What comes behind a pipe or an arrow is another program's; a file in this folder is there for the next.
            cut = next((i for i, w in enumerate(argv) if w in ("|", ">", "2>")), len(argv))
            into = argv[cut + 1] if argv[cut : cut + 1] == [">"] and re.fullmatch(r"[\w.-]+", argv[cut + 1]) else None
            unknown = [*unknown_of_zenplan(argv[:cut])]
            yield from unknown or ended_otherwise(argv[:cut], code, environ, folder, into)
        case ["python", *argv]:
            yield from unknown_of_script(argv)
        case ["pip", "install", *targets]:
            yield from (f"cannot be installed: {t}" for t in targets if t != "-e" and not is_installable(t))
        case ["pytest", *paths]:
            yield from (f"no tests in {p}" for p in paths if not (ROOT / p).exists())
        case ["git", "clone", *_] | ["cd", *_]:
            pass
        case _:
            yield f"an unknown command: {command}"


def unknown_of_zenplan(argv: list[str]) -> Iterator[str]:
    """Commands and options that do not exist. A word in capitals, or with an ellipsis, stands for any."""
    path: tuple[str, ...] = ()
    for word in argv:
        if word.startswith("-") or (*path, word) not in commands():
            break
        path = (*path, word)
    left = argv[len(path) :]
    groups = {p[:-1] for p in commands() if p}
    if left and re.fullmatch(r"[a-z][a-z-]*", left[0]) and path in groups:
        yield f"no command {' '.join(('zenplan', *path, left[0]))}"
        return
    for option in _OPTION.findall(" ".join(left)):
        # A plugin of one file goes with every command.
        if option not in commands()[path] | {"--plugin"}:
            yield f"zenplan {' '.join(path)} has no option {option}"


def unknown_of_script(argv: list[str]) -> Iterator[str]:
    if argv[:1] == ["-m"]:
        if argv[1:2] not in (["zenplan"], ["pytest"], ["pip"]):
            yield f"no module {argv[1:2]}"
        return
    script = ROOT / argv[0]
    if not script.is_file():
        yield f"no script {argv[0]}"
    else:
        text = script.read_text(encoding="utf-8")
        yield from (f"{argv[0]} has no option {o}" for o in _OPTION.findall(" ".join(argv)) if o not in text)


def is_installable(target: str) -> bool:
    path, _, extras = target.partition("[")
    project = ROOT / path / "pyproject.toml"
    if not project.is_file():
        return False
    known = tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("optional-dependencies", {})
    return all(extra in known for extra in extras.rstrip("]").split(",") if extra)


def _without(argv: list[str], flag: str) -> list[str]:
    """A command line without that flag and its value."""
    at = argv.index(flag) if flag in argv else len(argv)
    return [*argv[:at], *argv[at + 2 :]]


def ended_otherwise(
    argv: list[str], code: int, environ: dict[str, str], folder: Path, into: str | None
) -> Iterator[str]:
    from zenplan.commands.main import run

    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "80", "ZENPLAN_PLUGINS": ""}
    said, answer = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, {**clean, **ENVIRONMENT, **environ}, clear=True),
        contextlib.redirect_stdout(answer),
        contextlib.redirect_stderr(said),
    ):
        ended = run([*_without(argv, "--minutes"), "--minutes", "60"] if argv[:1] == ["calibrate"] else argv)
    if into:
        (folder / into).write_text(answer.getvalue(), encoding="utf-8")
    if ended != code:
        yield f"zenplan {' '.join(argv)} ended with {ended}, not {code}: {said.getvalue()}"


# --- the tests


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured, is so as seldom as an answer needs, and of a sweep only the smallest steps and products."""
    from zenplan.commands.calibrate import points, running

    found = points.read_sweep()
    families = dict.fromkeys(p.family for p in found)
    # As many as a fit needs.
    few = [p for family in families for p in [p for p in found if p.family == family][:6]]
    monkeypatch.setattr(running, "MOST_ROUNDS", running.LEAST_ROUNDS)
    monkeypatch.setattr(points, "read_sweep", lambda: few)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where commands run, with the files that they may name."""
    llama = {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 16,
        "intermediate_size": 5632,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    }
    (tmp_path / "config.json").write_text(json.dumps(llama), encoding="utf-8")
    prices = (
        "provider,instance,accelerator,devices,region,on_demand_usd_per_h,spot_usd_per_h",
        "mine,box,H100-SXM5-80GB,8,here,20,",
    )
    (tmp_path / "prices.csv").write_text("\n".join(prices) + "\n", encoding="utf-8")
    (tmp_path / "mine.py").write_text(_MINE, encoding="utf-8")
    (plugin,) = blocks("python", "class MyCloud")
    (tmp_path / "mycloud.py").write_text(plugin, encoding="utf-8")
    chat = {"messages": [{"role": "user", "content": "How are you?"}, {"role": "assistant", "content": "Well."}]}
    (tmp_path / "chats.jsonl").write_text(f"{json.dumps(chat)}\n" * 200, encoding="utf-8")
    reviews = (f'"Review {n}: it is {n * n} times as good as number {n % 7}.",{n % 3}\n' for n in range(60))
    (tmp_path / "reviews.csv").write_text(f"text,stars\n{''.join(reviews)}", encoding="utf-8")
    ratings = (f"u{n % 9},i{n % 13},{n % 5}\n" for n in range(90))
    (tmp_path / "ratings.csv").write_text(f"user,item,rating\n{''.join(ratings)}", encoding="utf-8")
    houses = (f"{50 + n % 90},{1 + n % 5},street {n},{3000 * (50 + n % 90) + n % 7}\n" for n in range(300))
    (tmp_path / "houses.csv").write_text(f"area,rooms,address,price\n{''.join(houses)}", encoding="utf-8")
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    for number in range(300):
        (tmp_path / "photos" / "cats" / f"{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo")
    for name in FILES:
        (text,) = blocks("toml", f"# {name}\n")
        (tmp_path / name).write_text(text, encoding="utf-8")
    measured = Path("benchmarks", "published", "language_models.csv")
    (tmp_path / measured).parent.mkdir(parents=True)
    lines = (ROOT / measured).read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / measured).write_text("".join(lines[:20]), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_is_true(document: Path, folder: Path) -> None:
    assert list(problems(document.read_text(encoding="utf-8"), folder, document.parent)) == []


def test_there_is_something_to_run() -> None:
    run = [command for command, _ in console(README)]
    assert any(command.startswith("pip install ") for command in run)
    assert any(command.startswith("pytest") for command in run)
    assert sum(command.startswith("zenplan ") for command in run) >= 3


def test_every_hook_is_in_the_documents() -> None:
    assert sorted(hook for hook in HOOKS if f"`{hook}`" not in EVERYTHING) == []


def test_every_command_is_in_the_documents() -> None:
    names = [" ".join(path) for path in commands() if path]
    assert [name for name in names if not re.search(rf"\bzenplan {name}\b", EVERYTHING)] == []


def test_the_python_in_the_documents_runs() -> None:
    # Those of docs/python.md go one after another: tests/test_face.py runs them.
    alone = [body for body in blocks("python") if body not in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")]
    assert alone
    for number, body in enumerate(alone):
        names: dict[str, Any] = {}
        exec(compile(body, f"python block {number}", "exec"), names)  # noqa: S102 (our own README)
        for name in HOOKS & names.keys():
            assert list(names[name]())


def test_the_price_provider_in_the_documents_is_one() -> None:
    found = blocks("python", "zenplan_price_providers():")
    assert found
    for body in found:
        names: dict[str, Any] = {}
        exec(body, names)  # noqa: S102 (our own README)
        (provider,) = names["zenplan_price_providers"]()
        assert isinstance(provider, PriceProvider)
        assert provider.bundled().offers
        with pytest.raises(DataError):
            provider.fetch(None)  # type: ignore[arg-type]


def test_the_entry_points_in_the_documents_are_those_of_a_plugin() -> None:
    found = blocks("toml", "entry-points")
    assert found
    for body in found:
        assert tomllib.loads(body)["project"]["entry-points"][GROUP]


def test_the_settings_in_the_documents_are_settings(tmp_path: Path) -> None:
    others = ("entry-points", *(f"# {name}" for name in FILES))
    found = [body for body in blocks("toml") if not any(other in body for other in others)]
    assert found
    for body in found:
        (tmp_path / "zenplan.toml").write_text(body, encoding="utf-8")
        settings = resolve({}, {}, tmp_path, None)
        for name, value in tomllib.loads(body).items():
            if name == "operations":
                # A table is read as what --operations takes.
                assert settings[name] == parse_operations(value)
                continue
            # What may be several is a tuple, of one name too.
            assert settings[name] in (value, (value,), tuple(value) if isinstance(value, list) else value)


def test_the_prices_in_the_documents_can_be_read(tmp_path: Path) -> None:
    sheets = Catalogue(accelerators=read_accelerators())
    assert blocks("csv")
    for body in blocks("csv"):
        (tmp_path / "prices.csv").write_text(body, encoding="utf-8")
        (table,) = read_price_csv(tmp_path / "prices.csv", lambda name: sheets.by_name(name).name, date.today())
        assert [o.instance.accelerator for o in table.offers] == ["H100-SXM5-80GB", "RTX-4090"]
        assert table.left_out == ()


def test_every_column_of_a_price_table_is_in_the_documents() -> None:
    documented = price_table.__doc__ or ""
    columns = {*REQUIRED, *PRICES, *re.findall(r"``([a-z_]+)``", documented)} - {"instance", "gpu", "any"}
    assert sorted(column for column in columns if f"`{column}`" not in EVERYTHING) == []


def test_every_figure_and_data_file_is_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = {file.name for file in (ROOT / "zenplan" / "data").glob("*.csv")}
    assert (
        sorted(name for name in files | SOURCE_KEYS.keys() if f"`{name}`" not in text and f"/{name}`" not in text) == []
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```console\n$ zenplan estimat --params 1e9\n```", "no command zenplan estimat"),
        ("```console\n$ zenplan accelerators list\n```", "no command zenplan accelerators list"),
        ("```console\n$ zenplan estimate --parms 1e9\n```", "has no option --parms"),
        ("```console\n$ zenplan estimate --params x\n```", "ended with 2, not 0"),
        ("```console\n$ zenplan estimate \\\n    --params x\n```", "ended with 2, not 0"),
        ("```console\n$ zenplan config  # exit code 3\n```", "ended with 0, not 3"),
        ("```console\n$ ZENPLAN_TOP=0 zenplan config\n```", "ended with 2, not 0"),
        ("```console\n$ pip install . && zenplan config x\n```", "ended with 2, not 0"),
        ("```console\n$ pip install nothing-here\n```", "cannot be installed: nothing-here"),
        ("```console\n$ pip install '.[nothing]'\n```", "cannot be installed: .[nothing]"),
        ("```console\n$ pytest nowhere\n```", "no tests in nowhere"),
        ("```console\n$ python nothing.py\n```", "no script nothing.py"),
        ("```console\n$ rm -r x\n```", "an unknown command"),
        ("| how much? | `zenplan estimate --params x` |", "ended with 2, not 0"),
        ("see `zenplan conjure`", "no command zenplan conjure"),
        ("see `zenplan estimate --backend`", "has no option --backend"),
        ("`--gearbox` is", "no option --gearbox"),
        ("`python benchmarks/fit.py --nothing`", "has no option --nothing"),
        ("`ZENPLAN_NOTHING=1`", "no variable ZENPLAN_NOTHING"),
        ("`zenplan_nothing`", "no hook zenplan_nothing"),
        ("[x](nothing/here.md)", "no file nothing/here.md"),
    ],
)
def test_a_wrong_readme_would_be_seen(text: str, problem: str, folder: Path) -> None:
    found = list(problems(f"# zenplan\n\n{text}\n", folder))
    assert len(found) == 1
    assert problem in found[0]


def test_the_transcript_is_what_the_command_answers_today() -> None:
    command = [sys.executable, "benchmarks/transcript.py", "--check"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stderr == ""
