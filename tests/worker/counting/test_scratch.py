"""Folders of one's own: gone at the end, and swept by the next one after a kill; nobody else's is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zenplan.adapters.files.scratch import scratch

_HOLDER = """
import time
from zenplan.adapters.files.scratch import scratch
with scratch() as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def held() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", _HOLDER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_gone_at_the_end(tmp: Path) -> None:
    with scratch() as one, scratch() as other:
        (one / "inner").mkdir()
        (one / "inner" / "file").write_text("x", encoding="utf-8")
        assert sorted(tmp.iterdir()) == sorted([one, other])
    assert list(tmp.iterdir()) == []


def test_what_a_killed_process_left_is_swept_by_the_next(tmp: Path) -> None:
    process, left = held()
    try:
        # As long as it lives nobody takes it.
        with scratch():
            assert (left / "file").exists()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert left.exists()
    with scratch() as folder:
        assert list(tmp.iterdir()) == [folder]


def test_what_is_not_ours_is_left_alone(tmp: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").write_text("x", encoding="utf-8")
    link, older, file = tmp / "zenplan-scratch-link", tmp / "zenplan-a1b2c3d4", tmp / "zenplan-scratch-file"
    link.symlink_to(elsewhere)
    older.mkdir()
    file.write_text("x", encoding="utf-8")
    with scratch():
        pass
    assert sorted(tmp.iterdir()) == sorted([link, older, file])
    assert (elsewhere / "file").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_another_users_folder_is_left_alone(tmp: Path) -> None:
    other = tmp / "zenplan-scratch-other"
    other.mkdir()
    os.chown(other, 65534, 65534)
    with scratch():
        pass
    assert list(tmp.iterdir()) == [other]
