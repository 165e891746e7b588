"""Interrupted, twice at once, with a full disk: nothing is lost, and what comes out is the same."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.corpus.conftest import Prepare, contents, sentence
from zenplan.adapters.corpus import packing, prepare, work
from zenplan.adapters.corpus.work import Work
from zenplan.errors import UsageError, ZenplanError

# Writes the same as ``make``, and kills itself at the n-th file that is finished.
KILLED = """
import os, signal, sys
from pathlib import Path
from zenplan.adapters.corpus import work
from zenplan.adapters.corpus.asked import Asked
from zenplan.adapters.corpus.prepare import prepare

left, before = int(sys.argv[3]), sys.argv[4] == "before"
replace, rename = Path.replace, Path.rename

def counted(do):
    def done(self, target):
        global left
        left -= 1
        if not left and before:
            os.kill(os.getpid(), signal.SIGKILL)
        found = do(self, target)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return done

Path.replace, Path.rename = counted(replace), counted(rename)
prepare(Asked(source=Path(sys.argv[1]), out=Path(sys.argv[2]), vocabulary=300, shard_bytes=8_000), lambda *told: None)
"""


def killed_at(source: Path, out: Path, number: int, when: str) -> int:
    done = subprocess.run([sys.executable, "-c", KILLED, source, out, str(number), when], timeout=60, check=False)
    return done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "behind"])
def test_killed_at_any_file_it_goes_on_to_the_same_bytes(
    when: str, notes: Path, out: Path, make: Prepare, tmp_path: Path
) -> None:
    make(notes, shard_bytes=8_000)
    whole, ends = contents(out), []
    for number in (*range(1, 60, 6), 10_000):
        other = tmp_path / f"other{number}"
        ends.append(killed_at(notes, other, number, when))
        if ends[-1]:
            make(notes, out=other, shard_bytes=8_000)
        assert contents(other) == whole, number
        assert [each.name for each in tmp_path.glob(".*")] == []
    assert ends.count(-signal.SIGKILL) > 5
    assert ends[-1] == 0


def test_what_is_finished_is_not_done_again(
    notes: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = list[int]()
    encode = packing._batches

    def failing(texts: object) -> object:
        encoded.append(1)
        if len(encoded) == 3:
            raise KeyboardInterrupt
        return encode(texts)  # type: ignore[arg-type]  # what is handed on

    monkeypatch.setattr(packing, "_batches", failing)
    with pytest.raises(KeyboardInterrupt):
        make(notes)
    folder = out.parent / f".{out.name}.preparing"
    shards = len(list(folder.glob("*.text")))
    assert shards > 4
    make(notes)
    assert len(encoded) == 3 + shards - 2
    assert not folder.exists()


def test_another_preparation_is_not_gone_on_with(
    notes: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(packing, "pack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(notes)
    with pytest.raises(UsageError, match="begun with other data, settings or versions") as error:
        make(notes, seed=1)
    assert "--overwrite" in error.value.hint
    (notes / "more.txt").write_text(sentence("more"))
    with pytest.raises(UsageError, match="begun with other data"):
        make(notes)
    assert make(notes, overwrite=True).records == 41


def test_two_at_once(notes: Path, out: Path, make: Prepare) -> None:
    with work.working(out, "key", overwrite=False):
        with pytest.raises(ZenplanError, match="another process prepares"):
            make(notes)
        make(notes, out=out.parent / "elsewhere")
    assert not out.exists()


def test_what_is_there_is_not_replaced(notes: Path, out: Path, make: Prepare, tmp_path: Path) -> None:
    make(notes)
    before = contents(out)
    with pytest.raises(UsageError, match="holds prepared data already"):
        make(notes)
    with pytest.raises(UsageError, match="holds something else"):
        make(notes, out=notes)
    for overwrite in (True, False):
        with pytest.raises(UsageError, match="is a file"):
            make(notes, out=next(notes.rglob("*.txt")), overwrite=overwrite)
    with pytest.raises(UsageError, match="holds something else"):
        make(notes, out=notes, overwrite=True)
    assert contents(out) == before
    make(notes, seed=1, overwrite=True)
    assert contents(out) != before
    make(notes, overwrite=True)
    assert contents(out) == before
    (tmp_path / "empty").mkdir()
    make(notes, out=tmp_path / "empty")
    assert contents(tmp_path / "empty") == before
    make(notes, out=tmp_path / "not" / "there" / "yet")
    assert contents(tmp_path / "not" / "there" / "yet") == before


def test_a_folder_in_the_data_is_none_of_them(notes: Path, make: Prepare) -> None:
    first = make(notes, out=notes / "prepared")
    again = make(notes, out=notes / "prepared", overwrite=True)
    assert (again.fingerprint, again.records) == (first.fingerprint, 40)
    with pytest.raises(UsageError, match="is prepared already"):
        make(notes / "prepared", out=notes / "twice")


def test_a_link_stays_a_link(notes: Path, make: Prepare, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make(notes, out=tmp_path / "link")
    make(notes, out=tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "data.json").exists()
    assert not list(tmp_path.glob(".*"))


def test_an_error_leaves_what_was_there(notes: Path, out: Path, make: Prepare, tmp_path: Path) -> None:
    make(notes)
    before = contents(out)
    (tmp_path / "one.txt").write_text("one line\n")
    with pytest.raises(ZenplanError):
        make(tmp_path / "one.txt", overwrite=True)
    assert contents(out) == before


@pytest.mark.parametrize("number", [3, 20, 60])
def test_a_full_disk(number: int, notes: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    make(notes, out=out.parent / "other")
    whole, left, write = contents(out.parent / "other"), [number], Work.write

    def full(self: Work, name: str, put: Callable[..., object]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, name, put)

    with monkeypatch.context() as patched:
        patched.setattr(Work, "write", full)
        with pytest.raises(ZenplanError, match="the disk is full") as error:
            make(notes)
    assert "goes on from it" in error.value.hint
    assert error.value.exit_code == 1
    assert not out.exists()
    make(notes)
    assert contents(out) == whole


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_disk_that_is_full_while_the_output_is_written(
    notes: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(self: Path, mode: str = "r", *more: object, **most: object) -> object:
        return opened(Path("/dev/full") if self.name == "train-tokens.npy" else self, mode, *more, **most)  # type: ignore[arg-type]  # handed on

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(ZenplanError, match="the disk is full"):
            make(notes)
    assert not out.exists()
    make(notes)
    assert (out / "data.json").exists()


def test_a_folder_that_may_not_be_written(notes: Path, make: Prepare) -> None:
    with pytest.raises(ZenplanError, match="cannot be prepared"):
        make(notes, out=Path("/proc/nothing/there"))


def test_a_link_in_place_of_the_work_folder(notes: Path, out: Path, make: Prepare, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.txt").write_text("mine")
    (out.parent / f".{out.name}.preparing").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ZenplanError, match="cannot be prepared"):
        make(notes)
    assert (tmp_path / "elsewhere" / "mine.txt").read_text() == "mine"


def test_progress_goes_up(notes: Path, out: Path) -> None:
    from zenplan.adapters.corpus.asked import Asked

    seen = list[float]()
    asked = Asked(source=notes, out=out, vocabulary=300, shard_bytes=2_000)
    prepare.prepare(asked, lambda share, stage: seen.append(share))
    assert seen == sorted(seen)
    assert 0.9 < seen[-1] <= 1.0


def test_the_time_of_interrupted_runs_counts(
    notes: Path, out: Path, make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(packing, "pack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(notes)
    card = make(notes)
    assert 0.0 < card.fixed_cpu_s < card.cpu_s
