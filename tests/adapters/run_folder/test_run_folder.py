"""The folder of a run: one writer, whole files, lines that survive a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zenplan.adapters.run_folder.folder import is_held, put, take, writing
from zenplan.adapters.run_folder.lines import Lines, cut_after, read_lines, read_metrics
from zenplan.adapters.run_folder.place import ID, find_run, known_runs, link, new_id, runs_folder
from zenplan.domain.range import Range
from zenplan.errors import DataError, InputFileError, UnknownName, UsageError, ZenplanError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def test_a_second_writer_is_refused_and_a_dead_ones_lock_is_taken_over(tmp_path: Path) -> None:
    with writing(tmp_path / "run", True):
        assert is_held(tmp_path / "run")
        with (
            pytest.raises(UsageError, match=f"another run is at .*, process {os.getpid()}"),
            writing(tmp_path / "run", False),
        ):
            pass
    assert not is_held(tmp_path / "run")
    code = "import sys, os, pathlib; from zenplan.adapters.run_folder.folder import writing\n"
    code += "with writing(pathlib.Path(sys.argv[1]), False): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False).returncode == -9
    with writing(tmp_path / "run", False):
        pass


def test_a_worker_that_is_about_to_leave_is_waited_for(tmp_path: Path) -> None:
    """Its parent is gone, and it holds the descriptor that it inherited."""
    code = "import sys, subprocess, pathlib; from zenplan.adapters.run_folder.folder import writing\n"
    code += "with writing(pathlib.Path(sys.argv[1]), True) as lock:\n"
    code += "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1)'], pass_fds=(lock,))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=True)
    waited: list[bool] = []
    with pytest.raises(UsageError), writing(tmp_path / "run", False, wait_s=0.0):
        pass
    with writing(tmp_path / "run", False, tell=lambda: waited.append(True)):
        assert waited == [True]


def test_what_is_left_of_a_killed_writer_is_removed(tmp_path: Path) -> None:
    with writing(tmp_path / "run", True):
        put(tmp_path / "run", "a.json", "{}")
    (tmp_path / "run" / ".zenplan-0123").write_text("half", encoding="utf-8")
    with writing(tmp_path / "run", False):
        assert sorted(each.name for each in (tmp_path / "run").iterdir()) == [".lock", "a.json"]


def test_a_folder_with_something_in_it_is_no_new_run(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is not empty"), writing(tmp_path, True):
        pass
    with pytest.raises(UsageError, match="there is no run in"), writing(tmp_path / "none", False):
        pass


def test_a_file_is_read_as_what_it_is_or_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.json", '{"low": 1.0, "mid": 2.0, "high": 3.0}')
    assert take(tmp_path, "a.json", Range) == Range(low=1.0, mid=2.0, high=3.0)
    put(tmp_path, "a.json", '{"low": 9.0, "mid": 2.0, "high": 3.0}')
    with pytest.raises(DataError):
        take(tmp_path, "a.json", Range)
    with pytest.raises(InputFileError):
        take(tmp_path, "b.json", Range)


# --- lines


def written(path: Path, steps: range) -> None:
    lines = Lines(path)
    lines.add(*({"step": step, "loss": 1.0 / step} for step in steps))
    lines.close()


def test_a_line_that_was_cut_off_is_gone_when_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, range(1, 4))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "lo')
    written(path, range(4, 6))
    assert [line["step"] for line in read_lines(path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("step", [0, 1, 7, 10, 99])
def test_what_is_after_the_checkpoint_is_dropped_and_nothing_before(step: int, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, range(1, 11))
    whole = path.read_text(encoding="utf-8").splitlines()
    assert cut_after(path, step) == min(step, 10)
    assert path.read_text(encoding="utf-8").splitlines() == whole[:step]


def test_steps_that_are_there_twice_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for steps in (range(1, 6), range(3, 8)):
        written(path, steps)
    assert cut_after(path, 7) == 7
    assert [step for step, _ in read_metrics(path).training] == [1, 2, 3, 4, 5, 6, 7]


def test_lines_of_somebody_else_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\nnonsense\n[1]\n{"step": "x"}\n' + "[" * 9999 + "\n", encoding="utf-8")
    assert (read_metrics(path).training, read_metrics(path).parts) == ([(1, 2.0)], {})
    assert list(read_lines(tmp_path / "none")) == []


def test_a_full_disk_is_said() -> None:
    lines = Lines(Path("/dev/full"))
    with pytest.raises(ZenplanError, match="the disk is full") as caught:
        lines.add({"step": 1})
    assert "make room" in caught.value.hint
    lines.close()


# --- where runs are


def test_a_run_is_found_by_its_id_its_first_letters_or_its_path(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "status.json").write_text(json.dumps({}), encoding="utf-8")
    link("abcd2345", elsewhere)
    (runs_folder() / "abcz2345").mkdir()
    assert find_run("abcd").resolve() == elsewhere
    assert find_run(str(elsewhere)) == elsewhere
    assert set(known_runs()) == {"abcd2345", "abcz2345"}
    with pytest.raises(UnknownName, match="zzzz") as caught:
        find_run("zzzz")
    assert "4 letters" in caught.value.hint
    with pytest.raises(UsageError, match="'abc' is too few letters") as few:
        find_run("abc")
    assert {"abcd2345", "abcz2345"} <= set(few.value.hint.replace(",", " ").split())
    assert ID.fullmatch(new_id())


def test_a_file_where_a_folder_is_to_be_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    for place in (file, file / "below"):
        with pytest.raises(UsageError, match="file is a file"), writing(place, True):
            pass
