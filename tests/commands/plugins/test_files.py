"""``--plugin FILE``, anywhere in a command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from zenplan.commands.plugins.files import parted
from zenplan.errors import InputFileError, UsageError

FILE = """
from zenplan import Accelerator, hookimpl

@hookimpl
def zenplan_accelerators():
    yield Accelerator(name="Mine-1", vendor="V", architecture="A", memory_bytes=1e9, memory_bytes_per_s=1e9)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_it_may_stand_anywhere(file: Path, called: Any) -> None:
    for argv in (
        ("--plugin", str(file), "accelerators", "show", "mine-1"),
        ("accelerators", "show", "mine-1", "--plugin", str(file)),
        ("accelerators", f"--plugin={file}", "show", "mine-1"),
    ):
        ended = called(*argv)
        assert (ended.code, ended.err) == (0, "")
        assert "Mine-1" in ended.out
    # It is of that command alone.
    assert called("accelerators", "show", "mine-1").code == 2
    assert "ZENPLAN_PLUGIN_FILES" not in os.environ


def test_several_are_several(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.touch()
    files, rest = parted(["a", "--plugin", str(file), "b", f"--plugin={other}", "--", "--plugin", "c"], "/before.py")
    assert files.split(os.pathsep) == ["/before.py", str(file), str(other)]
    assert rest == ["a", "b", "--", "--plugin", "c"]


def test_what_cannot_be_a_file_is_an_error(tmp_path: Path, called: Any) -> None:
    with pytest.raises(UsageError):
        parted(["estimate", "--plugin"])
    with pytest.raises(InputFileError):
        parted(["--plugin", str(tmp_path)])
    ended = called("prices", "--plugin", "nowhere.py")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: nowhere.py is no file\nhint: ")
