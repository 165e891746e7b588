"""zenplan as a user runs it, in a home, a folder and an environment of its own.

``answer`` and ``called`` run it in this process, which takes milliseconds and makes warnings errors; ``zenplan``
starts a process, for what needs one: signals, pipes, terminals, the start and the exit, worker processes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.session import ENVIRONMENT, once
from zenplan.adapters.clock import VARIABLE

MODULE = (sys.executable, "-m", "zenplan")


@dataclass(frozen=True)
class Ended:
    """What became of a process."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Of stdout."""
        return self.out.splitlines()


class Zenplan:
    """Runs command lines in a folder of its own."""

    module: Sequence[str] = MODULE

    def __init__(self, folder: Path) -> None:
        self.home, self.cwd, self.tmp = (folder / name for name in ("home", "cwd", "tmp"))
        for each in (self.home, self.cwd, self.tmp):
            each.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the machine but where programs are. Plugins that happen to be installed stay out."""
        xdg = {f"XDG_{n}_HOME": str(self.home / n.lower()) for n in ("CONFIG", "DATA", "CACHE", "STATE")}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "COLUMNS": "80",
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            "ZENPLAN_PLUGINS": "",
            VARIABLE: os.environ[VARIABLE],
            **ENVIRONMENT,
            **xdg,
            **more,
        }

    def __call__(
        self, *argv: str, environ: Mapping[str, str] | None = None, program: Sequence[str] = MODULE, **more: Any
    ) -> Ended:
        """One command line, to its end."""
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        env = self.environment() if environ is None else environ
        more.setdefault("cwd", self.cwd)
        more.setdefault("timeout", 60)
        done = subprocess.run(
            [*program, *argv], env=env, text=True, encoding="utf-8", errors="replace", check=False, **more
        )
        return Ended(done.returncode, done.stdout or "", done.stderr or "")


@pytest.fixture
def zenplan(tmp_path: Path) -> Zenplan:
    """A fresh home and folder."""
    folder = tmp_path / "zenplan"
    folder.mkdir()
    return Zenplan(folder)


@pytest.fixture(scope="session")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ended]:
    """The end of a command line in a clean environment, each run once for the whole session."""
    plain = Zenplan(tmp_path_factory.mktemp("shared"))

    @cache
    def run(*argv: str, columns: int = 80, day: str = "") -> Ended:
        environ = plain.environment(COLUMNS=str(columns), **({VARIABLE: day} if day else {}))
        return here(argv, environ, plain.cwd)

    return run


def here(argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Ended:
    """A command line in this process, its output in files as of a pipe."""
    from zenplan.commands.main import run

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, environ, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(argv)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8"))  # type: ignore[attr-defined]  # a BytesIO
    return Ended(code, *texts)


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """A command line in a fresh home and folder, in an environment that the test may change first."""
    from zenplan.commands.main import run

    of_zenplan = (n for n in os.environ if n.startswith(("ZENPLAN_", "XDG_")) and n != VARIABLE)
    for name in [*of_zenplan, *({"NO_COLOR", "TERM"} & set(os.environ))]:
        monkeypatch.delenv(name)
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    home.mkdir()
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    for name, value in {"HOME": str(home), "COLUMNS": "80", "ZENPLAN_PLUGINS": ""}.items():
        monkeypatch.setenv(name, value)

    def call(*argv: str) -> Ended:
        capsys.readouterr()
        code = run(argv)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


# --- finished runs, for what is done with their models

ROWS = ("age", "visits", "height", "price", "rain", "noise")


def write_rows(path: Path, count: int = 900) -> None:
    """A table of which the class is told by ``age`` and ``price`` alone."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=(count, len(ROWS)))
    lines = [",".join([*(f"{v:.3f}" for v in row), "buys" if 1.5 * row[0] > row[3] else "leaves"]) for row in x]
    path.write_text("\n".join([",".join([*ROWS, "what"]), *lines]), encoding="utf-8")


def write_texts(path: Path, count: int = 900) -> None:
    """Lines of which one word tells the class."""
    import numpy as np

    draw, telling = np.random.default_rng(0), {"positive": "fine great lovely", "negative": "dull poor awful"}
    plain = "the film was a story of two people in town and it had music with actors".split()  # noqa: SIM905 (it reads better)
    lines = []
    for number in range(count):
        label = ("positive", "negative")[number % 2]
        words = draw.choice(plain, 12).tolist()
        words[draw.integers(12)] = str(draw.choice(telling[label].split()))
        lines.append(json.dumps({"text": " ".join(words), "label": label}))
    path.write_text("\n".join(lines), encoding="utf-8")


def _run(folder: Path, first: str, *argv: str) -> None:
    """A run that ``zenplan train`` does, in ``run`` there; skipped where no backend is installed.

    Args:
        first: the backend, or another where that one is not installed.
    """
    backend = next((b for b in (first, "torch", "jax", "tensorflow") if find_spec("keras") and find_spec(b)), None)
    if backend is None:
        pytest.skip("Keras and a backend are not installed")
    place = Zenplan(folder)
    line = ("train", *argv, "--backend", backend, "--threads", "1", "--out", str(folder / "run"))
    done = place(*line, cwd=folder, timeout=300)
    assert done.code == 0, done.err


@pytest.fixture(scope="session")
def rows_run() -> Path:
    """The folder of a run on ``write_rows``; tests leave it as it is."""

    def make(folder: Path) -> None:
        write_rows(folder / "rows.csv")
        data = ("--data", "rows.csv", "--label", "what", "--seed", "1")
        model = ("--model", "softmax-regression", "--steps", "90", "--batch", "64", "--learning-rate", "0.05")
        _run(folder, "jax", *data, *model)

    return once("rows-run", make) / "run"


@pytest.fixture(scope="session")
def texts_run() -> Path:
    """The folder of a run on ``write_texts``; tests leave it as it is."""

    def make(folder: Path) -> None:
        write_texts(folder / "texts.jsonl")
        data = ("--data", "texts.jsonl", "--label", "label", "--seq-len", "24", "--vocabulary", "400")
        model = ("--model", "text-classifier", "--option", "layers=1", "--option", "width=16", "--option", "heads=2")
        _run(folder, "torch", *data, *model, "--steps", "160", "--batch", "32", "--learning-rate", "5e-3")

    return once("texts-run", make) / "run"
