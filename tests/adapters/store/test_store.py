"""The store: what is added comes back, two may write at once, nothing committed is lost, nothing is ever deleted."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.store import migrations, opening, records
from zenplan.adapters.store.migrations import APPLICATION_ID, STEPS, migrate
from zenplan.adapters.store.store import CalibrationStore
from zenplan.domain.measured.calibration import (
    DONE,
    MODEL,
    RUNNING,
    SWEEP,
    UNFINISHED,
    Calibration,
    Fingerprint,
    Measured,
    Point,
    Sample,
    Stored,
)
from zenplan.errors import DataError, UnknownName, UsageError, ZenplanError

FINGERPRINT = Fingerprint(
    device="AMD EPYC",
    kind="cpu",
    threads=1,
    backend="torch",
    versions={"keras": "3.15.1", "torch": "2.13.0"},
    precision="fp32",
    compiled=False,
)
TARGET = Point(key="depth=12 batch=8", depth=12, batch=8, features={"products": 2.5e12}, predicted_bytes=3e9)
POINT = Point(key="depth=2 batch=8", depth=2, batch=8)
WHEN = datetime(2026, 11, 1, 8, 30, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
VERSION_1 = (Path(__file__).parent / "version_1.sql").read_text(encoding="utf-8")


def calibration(id: str = "aaaaaaaa", **changes: Any) -> Calibration:
    given = {
        "id": id,
        "kind": MODEL,
        "subject": "gpt2-124m",
        "family": "decoder",
        "fingerprint": FINGERPRINT,
        "target": TARGET,
        "parameters": 124e6,
        "flop_per_sample": 7.5e11,
        "taken_at": WHEN,
        **changes,
    }
    return Calibration(**given)


def sample(round: int = 0, wall_s: float = 0.3) -> Sample:
    return Sample(round=round, wall_s=wall_s, cpu_s=0.29, clock_hz=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "calibrations.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[CalibrationStore]:
    with CalibrationStore.open(path) as opened:
        yield opened


def begun(store: CalibrationStore, **changes: Any) -> str:
    id = store.new_id()
    store.begin(calibration(id, **changes))
    store.add_point(id, POINT)
    return id


# --- what is added comes back


def test_all_of_a_calibration_comes_back(store: CalibrationStore, path: Path) -> None:
    id = begun(store)
    store.add_sample(id, POINT.key, sample())
    store.add_sample(id, POINT.key, replace(sample(1), clock_hz=1.41e9))
    store.set_point(id, POINT.key, setup_s=4.2, program_bytes=1e9, features={"products": 4e11})
    store.set_point(id, POINT.key, peak_bytes=2e9)
    store.add_point(id, replace(POINT, key="depth=4 batch=8", depth=4))
    store.set_point(id, "depth=4 batch=8", failure="out of\nmemory")
    store.add_note(id, "busy: 3 others")
    store.add_note(id, "busy: 3 others")
    whole = calibration(
        id,
        measured=(
            Measured(
                point=replace(POINT, features={"products": 4e11}),
                setup_s=4.2,
                peak_bytes=2e9,
                program_bytes=1e9,
                samples=(sample(), replace(sample(1), clock_hz=1.41e9)),
            ),
            Measured(point=replace(POINT, key="depth=4 batch=8", depth=4), failure="out of memory"),
        ),
        notes=("busy: 3 others",),
    )
    assert store.get(id) == whole
    with CalibrationStore.open(path) as other:
        assert other.all() == (whole,)
        assert other.state(id) == RUNNING
        store.finish(id)
        assert other.state(id) == DONE


def test_a_failure_can_be_taken_away(store: CalibrationStore) -> None:
    id = begun(store)
    store.set_point(id, POINT.key, failure="killed", setup_s=3.0)
    store.set_point(id, POINT.key, failure="")
    assert store.get(id).measured == (Measured(point=POINT, setup_s=3.0),)


def test_the_newest_is_first(store: CalibrationStore) -> None:
    old = begun(store, taken_at=WHEN - timedelta(days=3))
    new = begun(store, taken_at=WHEN)
    assert [c.id for c in store.all()] == [new, old]


def test_a_calibration_that_is_removed_leaves_nothing(store: CalibrationStore, path: Path) -> None:
    kept, gone = begun(store), begun(store)
    for id in (kept, gone):
        store.add_sample(id, POINT.key, sample())
        store.add_note(id, "busy")
    store.remove(gone)
    assert [c.id for c in store.all()] == [kept]
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT record, kind FROM measured ORDER BY number").fetchall()
    db.close()
    assert rows == [(kept, kind) for kind in ("calibration", "state", "point", "sample", "note")]
    with pytest.raises(UnknownName):
        store.add_sample(gone, POINT.key, sample())


def test_ids_are_of_eight_letters_and_differ(store: CalibrationStore) -> None:
    ids = {store.new_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(len(id) == 8 and set(id) <= set("abcdefghijklmnopqrstuvwxyz234567") for id in ids)


def test_an_id_may_be_cut_short(store: CalibrationStore) -> None:
    for id in ("abcdefgh", "abcdxxxx", "zzzzzzzz"):
        store.begin(calibration(id))
    assert store.find("abcde") == "abcdefgh"
    assert store.find("abcdxxxx") == "abcdxxxx"
    with pytest.raises(UsageError, match="begins 2 calibrations") as several:
        store.find("abcd")
    assert "abcdefgh, abcdxxxx" in several.value.hint
    for wrong in ("zzz", "zzzzx", "", "zzzz%"):
        with pytest.raises(UnknownName):
            store.find(wrong)


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda s, id: s.add_point(id, POINT), "has a point depth=2 batch=8 already"),
        (lambda s, id: s.add_sample(id, "depth=3", sample()), "has no point depth=3"),
        (lambda s, id: s.set_point(id, "depth=3", setup_s=1.0), "has no point depth=3"),
        (lambda s, id: s.begin(calibration(id)), "already"),
        (lambda s, _: s.begin(calibration("UPPER")), "8 letters"),
        (lambda s, _: s.begin(calibration("bbbbbbbb", subject="x\x1b[31m")), "control characters"),
        (lambda s, id: s.add_point(id, replace(POINT, key="k" * 2000)), "no more than 1,000 letters"),
    ],
)
def test_what_could_not_be_read_is_not_written(store: CalibrationStore, do: Any, said: str) -> None:
    id = begun(store)
    before = store.all()
    with pytest.raises(DataError, match=said):
        do(store, id)
    assert store.all() == before


def test_a_row_that_cannot_be_read_is_named_and_the_others_are_read(store: CalibrationStore, path: Path) -> None:
    bad, good = begun(store), begun(store)
    change(path, bad, "calibration", lambda body: {**body, "fingerprint": {"device": 3}})
    assert [c.id for c in store.all()] == [good]
    (line,) = store.left_out
    assert line.startswith(f"calibration {bad} cannot be read: its first row: ")
    assert "$.fingerprint.device" in line
    with pytest.raises(DataError, match="cannot be read"):
        store.get(bad)
    store.remove(bad)
    assert (len(store.all()), store.left_out) == (1, ())


def change(path: Path, id: str, kind: str, changed: Callable[[Any], Any], checked: bool = True) -> None:
    """Rewrite the first row of that kind; with its checksum, as another program would, or without, as a disk does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        asked = "SELECT number, key, body, checksum FROM measured WHERE record = ? AND kind = ?"
        number, key, body, sum = db.execute(asked, (id, kind)).fetchone()
        body = json.dumps(changed(json.loads(body)))
        if checked:
            sum = migrations.checksum(id.encode(), number, kind.encode(), key.encode(), body.encode())
        row = (body, sum, id, number)
        db.execute("UPDATE measured SET body = ?, checksum = ? WHERE record = ? AND number = ?", row)


def test_a_value_that_changed_on_the_disk_is_left_out_and_named(store: CalibrationStore, path: Path) -> None:
    id, good = begun(store), begun(store)
    for round in range(3):
        store.add_sample(id, POINT.key, sample(round))
    change(path, id, "sample", lambda body: {**body, "wall_s": 0.4}, checked=False)
    assert [s.round for s in store.get(id).measured[0].samples] == [1, 2]
    assert store.left_out == (f"calibration {id}: 1 of its rows is damaged (sample {POINT.key})",)
    assert {c.id for c in store.all()} == {id, good}
    # The one that is damaged can be taken out, and nothing is wrong any more.
    store.remove(id)
    assert (len(store.all()), store.left_out) == (1, ())


def test_rows_that_are_gone_are_named(store: CalibrationStore, path: Path) -> None:
    id = begun(store)
    store.add_sample(id, POINT.key, sample())
    store.add_note(id, "busy")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM measured WHERE kind = 'sample'")
    assert store.get(id).measured == (Measured(point=POINT),)
    assert store.left_out == (f"calibration {id}: 1 of its rows is damaged",)


@pytest.mark.parametrize(
    ("column", "kind", "left"),
    [
        ("body", "calibration", 1),
        ("record", "calibration", 1),
        ("body", "note", 2),
        ("kind", "point", 2),
        ("key", "sample", 2),
        ("body", "state", 2),
    ],
)
def test_a_text_that_is_no_utf_8_is_a_damaged_row(
    column: str, kind: str, left: int, store: CalibrationStore, path: Path
) -> None:
    id, good = begun(store), begun(store)
    store.add_sample(id, POINT.key, sample())
    store.add_note(id, "busy")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        spoiled = f"UPDATE measured SET {column} = CAST(x'ff61fe' AS TEXT) WHERE record = ? AND kind = ?"  # noqa: S608
        db.execute(spoiled, (id, kind))
    with CalibrationStore.open(path, only_read=True) as read:
        found = read.entries()
        assert len(found) == left
        assert good in {s.calibration.id for s in found}
        assert read.left_out
        assert all(line.isprintable() for line in read.left_out)
        named = {line.split()[1].rstrip(":") for line in read.left_out}
    if kind == "state":
        assert {s.origin for s in found} == {"", "of unknown origin"}
    with CalibrationStore.open(path) as again:
        assert again.warning == ""
        for name in named:
            again.remove(name)
        again.all()
        assert again.left_out == ()


# --- resuming


def elsewhere(monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    monkeypatch.setattr("zenplan.adapters.store.store.this_process", lambda: writer)
    monkeypatch.setattr("zenplan.adapters.store.records.this_process", lambda: writer)


def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_dead_process_began_is_unfinished_and_gone_on_with_once(
    store: CalibrationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = records.this_process().rpartition(":")[0]
    with monkeypatch.context() as patch:
        elsewhere(patch, f"{node}:{dead()}")
        id = begun(store)
        store.add_sample(id, POINT.key, sample())
    assert store.state(id) == UNFINISHED

    def asked(day: int = 1, **changes: Any) -> Calibration | None:
        return store.unfinished(calibration("newnewne", taken_at=WHEN + timedelta(days=day), **changes), DAY)

    assert asked(fingerprint=replace(FINGERPRINT, precision="bf16")) is None
    assert asked(subject="gpt2-355m") is None
    assert asked(kind=SWEEP, target=None) is None
    assert asked(target=replace(TARGET, batch=4)) is None
    assert asked(day=2) is None
    assert store.state(id) == UNFINISHED
    found = asked()
    assert found is not None
    assert found == store.get(id)
    assert len(found.measured[0].samples) == 1
    # It is this process's now.
    assert store.state(id) == RUNNING
    assert asked() is None


def test_a_newer_one_of_another_batch_does_not_hide_it(
    store: CalibrationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        elsewhere(patch, "")
        id = begun(store)
        other = begun(store, target=replace(TARGET, batch=4), taken_at=WHEN + timedelta(hours=1))
    found = store.unfinished(calibration("newnewne"), DAY)
    assert found is not None
    assert found.id == id
    # The other is still there to be gone on with.
    assert store.state(other) == UNFINISHED


@pytest.mark.parametrize(
    ("node", "process", "age_s", "state"),
    [
        ("here", "parent", 0.0, RUNNING),
        ("here", "parent", 4000.0, UNFINISHED),
        ("elsewhere", 1, 0.0, RUNNING),
        ("elsewhere", 1, 4000.0, UNFINISHED),
        ("here", "own", 0.0, RUNNING),
        # Before this process was started: one that had its number.
        ("here", "own", 3599.0, UNFINISHED),
        ("here", 2**70, 0.0, UNFINISHED),
    ],
)
def test_who_is_at_it(node: str, process: int | str, age_s: float, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    process = {"parent": os.getppid(), "own": os.getpid()}.get(str(process), process)
    monkeypatch.setattr(records.platform, "node", lambda: "here")
    monkeypatch.setattr(records, "_STARTED", time.time() - 3000)
    assert records.state_of(0, f"{node}:{process}", time.time() - age_s) == state
    assert records.state_of(1, f"{node}:{process}", time.time() - age_s) == DONE


def test_what_was_imported_is_not_gone_on_with(store: CalibrationStore) -> None:
    store.insert([Stored(calibration=calibration(), state=UNFINISHED, origin="imported from a.json on 2026-11-02")])
    assert store.state("aaaaaaaa") == UNFINISHED
    assert store.unfinished(calibration("newnewne"), DAY) is None


def test_all_or_none_are_inserted(store: CalibrationStore) -> None:
    with pytest.raises(DataError):
        store.insert([Stored(calibration=calibration(), state=DONE)] * 2)
    assert store.all() == ()


# --- two at once


def measure(path: Path, most: int, say: Callable[[object], object]) -> None:
    """Begin a calibration and add samples, each said when it is there."""
    with CalibrationStore.open(path) as store:
        assert store.warning == "", store.warning
        id = store.new_id()
        store.begin(calibration(id, kind=SWEEP, target=None))
        say(id)
        store.add_point(id, Point(key="p", batch=1))
        for round in range(most):
            store.add_sample(id, "p", sample(round, 0.1 + round))
            say(round)
        store.finish(id)


def writer(path: Path, most: int) -> tuple[int, int]:
    """A process that measures: its number, and what it says. It is a fork, which needs no time to import."""
    ours, theirs = os.pipe()
    process = os.fork()
    if not process:
        code = 1
        try:
            measure(path, most, lambda said: os.write(theirs, f"{said}\n".encode()))
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    return process, ours


def test_several_processes_begin_one_store_and_write_it_at_once(path: Path) -> None:
    writers = [writer(path, 20) for _ in range(4)]
    for process, pipe in writers:
        with os.fdopen(pipe, encoding="ascii") as file:
            assert len(file.read().splitlines()) == 21
        assert os.waitpid(process, 0)[1] == 0
    with CalibrationStore.open(path) as store:
        found = store.entries()
        assert sorted(len(s.calibration.measured[0].samples) for s in found) == [20] * 4
        assert {s.state for s in found} == {DONE}
        assert store.left_out == ()


# --- kill -9


def killed(path: Path, lines: int, delay_s: float) -> list[str]:
    """What a writer said that was killed so long after it had said that many lines."""
    process, pipe = writer(path, 10**6)
    with os.fdopen(pipe, encoding="ascii") as file:
        said = [file.readline() for _ in range(lines)]
        time.sleep(delay_s)
        os.kill(process, signal.SIGKILL)
        # It was killed, and did not end by a fault before.
        assert os.waitpid(process, 0)[1] == signal.SIGKILL
        # A line that was cut off was not said.
        return [line.strip() for line in (*said, *file) if line.endswith("\n")]


def nothing_is_lost(path: Path, reported: list[str]) -> None:
    with CalibrationStore.open(path) as store:
        assert store.warning == ""
        if reported:
            found = store.get(reported[0])
            rounds = [s.round for m in found.measured for s in m.samples]
            assert rounds[: len(reported) - 1] == [int(line) for line in reported[1:]]
            # At most the one that was committed and not reported any more.
            assert len(rounds) - (len(reported) - 1) in (0, 1)
            assert store.state(found.id) == UNFINISHED
            assert store.left_out == ()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


@pytest.mark.slow
def test_no_committed_sample_is_lost_by_a_hundred_kills(quick: Path) -> None:
    """A quarter of them while the store is made; the others on stores that saw the kills before."""
    chance = random.Random(5)  # noqa: S311
    counts = []
    for n in range(100):
        new = n % 4 == 0
        path = quick / (f"new-{n}" if new else f"old-{n % 4}") / "calibrations.sqlite"
        reported = killed(path, 0 if new else chance.randrange(12), chance.uniform(0.0, 0.02))
        nothing_is_lost(path, reported)
        counts.append(max(0, len(reported) - 1))
    assert len(counts) == 100
    # The kills came at all stages: before any sample, and after many.
    assert min(counts) == 0
    assert sum(c > 0 for c in counts) > 20
    assert not list(quick.rglob("*.kept-*"))


# --- stores that are none


def kept(path: Path) -> list[Path]:
    return sorted(file for file in path.parent.iterdir() if ".kept-" in file.name)


def garbage(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database" * 500)


def short(path: Path) -> None:
    """SQLite takes it for an empty database, and would write over it."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"S")


def unwritable(path: Path) -> None:
    """Its header says that only an SQLite of the future may write it: this one reads it, and no more."""
    with CalibrationStore.open(path) as store:
        begun(store)
    content = bytearray(path.read_bytes())
    content[18] = 7
    path.write_bytes(content)


def torn(path: Path) -> None:
    with CalibrationStore.open(path) as store:
        id = begun(store)
        for round in range(300):
            store.add_sample(id, POINT.key, sample(round))
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)


def newer(path: Path) -> None:
    with CalibrationStore.open(path) as store:
        begun(store)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    db.close()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(garbage, "damaged"), (short, "damaged"), (unwritable, "damaged"), (torn, "damaged"), (newer, "newer zenplan")],
)
def test_a_store_that_cannot_be_used_is_kept_aside_and_a_new_one_begun(spoil: Any, reason: str, path: Path) -> None:
    spoil(path)
    content = path.read_bytes()
    with CalibrationStore.open(path) as store:
        (aside,) = kept(path)
        assert reason in store.warning
        assert aside.name in store.warning
        assert "\n" not in store.warning
        begun(store)
    assert aside.read_bytes() == content
    with CalibrationStore.open(path) as store:
        assert (store.warning, len(store.all())) == ("", 1)


def test_of_several_that_find_it_damaged_one_keeps_it_aside(path: Path) -> None:
    garbage(path)

    def told(_: int) -> str:
        with CalibrationStore.open(path) as store:
            begun(store)
            return store.warning

    with ThreadPoolExecutor(4) as pool:
        lines = list(pool.map(told, range(8)))
    assert len([line for line in lines if line]) == 1
    assert len(kept(path)) == 1
    with CalibrationStore.open(path) as store:
        assert len(store.all()) == 8


def test_what_is_kept_aside_has_its_journal_with_it(path: Path) -> None:
    """A newer zenplan opens it, and finds what was not yet in the file itself."""
    newer(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA wal_autocheckpoint = 0")
    holder.execute("INSERT INTO measured SELECT record, 9, 'note', '', 'in the journal', 0 FROM measured LIMIT 1")
    with CalibrationStore.open(path) as store:
        assert "newer" in store.warning
    endings = [file.name.partition(".kept-")[2][16:] for file in kept(path)]
    assert "-wal" in endings
    aside = sqlite3.connect(kept(path)[0])
    assert aside.execute("SELECT body FROM measured WHERE kind = 'note'").fetchall() == [("in the journal",)]
    aside.close()
    holder.close()


def test_two_in_one_second_are_both_kept(path: Path) -> None:
    for _ in range(2):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no database at all" * 300)
        CalibrationStore.open(path).close()
    assert len(kept(path)) == 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(garbage, "damaged"), (short, "damaged"), (torn, "damaged"), (newer, "newer zenplan")],
)
def test_reading_goes_on_without_it_and_touches_nothing(spoil: Any, reason: str, path: Path) -> None:
    spoil(path)
    content = path.read_bytes()
    with CalibrationStore.open(path, only_read=True) as store:
        assert reason in store.warning
        assert store.all() == ()
    assert path.read_bytes() == content
    assert kept(path) == []


def foreign(path: Path) -> None:
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()


def test_another_programs_database_is_left_alone(path: Path) -> None:
    foreign(path)
    content = path.read_bytes()
    with pytest.raises(UsageError, match="another program's database"):
        CalibrationStore.open(path)
    with CalibrationStore.open(path, only_read=True) as store:
        assert "another program's database" in store.warning
    assert path.read_bytes() == content
    assert kept(path) == []


def test_reading_makes_nothing(path: Path) -> None:
    with CalibrationStore.open(path, only_read=True) as store:
        assert (store.warning, store.all()) == ("", ())
    assert not path.parent.exists()


def test_what_is_open_to_be_read_is_not_written(path: Path) -> None:
    with CalibrationStore.open(path) as store:
        id = begun(store)
    with CalibrationStore.open(path, only_read=True) as store, pytest.raises(ZenplanError, match="readonly"):
        store.finish(id)


# --- versions


def test_an_older_store_takes_the_steps_it_lacks(path: Path) -> None:
    with CalibrationStore.open(path) as store:
        id = begun(store)

    def more(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE measured ADD COLUMN watts REAL")
        db.execute("UPDATE measured SET watts = 300")

    db = sqlite3.connect(path, isolation_level=None)
    migrate(db, (*STEPS, more))
    assert db.execute("SELECT DISTINCT record, watts FROM measured").fetchall() == [(id, 300.0)]
    assert db.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 1,)
    # It has them now: the column would be there twice.
    migrate(db, (*STEPS, more))
    db.close()
    with CalibrationStore.open(path, only_read=True) as store:
        assert "newer" in store.warning


def test_a_step_that_fails_leaves_the_version_before(path: Path) -> None:
    CalibrationStore.open(path).close()
    db = sqlite3.connect(path, isolation_level=None)

    def fails(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE more (a)")
        db.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(sqlite3.OperationalError):
        migrate(db, (*STEPS, fails))
    db.close()
    with CalibrationStore.open(path) as store:
        assert store.warning == ""
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    db.close()


def version_1(path: Path) -> None:
    """A store as the first version wrote it: three calibrations, one of them imported."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(VERSION_1)
        db.execute("PRAGMA journal_mode = WAL")


OLD = (
    Stored(
        calibration=calibration(
            "aaaaaaaa",
            measured=(
                Measured(
                    point=replace(POINT, features={"products": 4e11}),
                    setup_s=4.2,
                    peak_bytes=2e9,
                    program_bytes=1e9,
                    samples=(sample(), replace(sample(1), clock_hz=1.41e9)),
                ),
                Measured(
                    point=replace(POINT, key="depth=4 batch=8", depth=4), failure="building a:b raised ValueError: x"
                ),
            ),
            notes=("busy: 3 others", "é"),
        ),
        state=DONE,
    ),
    Stored(
        calibration=calibration(
            "bbbbbbbb", kind=SWEEP, target=None, subject="all", parameters=None, flop_per_sample=None
        ),
        state=UNFINISHED,
        origin="imported from a.json on 2026-11-02",
    ),
    Stored(calibration=calibration("cccccccc", measured=(Measured(point=POINT, samples=(sample(),)),)), state=DONE),
)


def test_a_store_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    version_1(path)
    with CalibrationStore.open(path) as store:
        assert store.warning == ""
        assert sorted(store.entries(), key=lambda s: s.calibration.id) == list(OLD)
        assert store.left_out == ()
        store.add_sample("cccccccc", POINT.key, sample(1))
        assert len(store.get("cccccccc").measured[0].samples) == 2
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("measured",)]
    assert kept(path) == []


def test_a_store_of_the_first_version_is_read_as_it_is(path: Path) -> None:
    version_1(path)
    content = path.read_bytes()
    with CalibrationStore.open(path, only_read=True) as store:
        assert store.warning == ""
        assert sorted(store.entries(), key=lambda s: s.calibration.id) == list(OLD)
    assert path.read_bytes() == content


@pytest.mark.parametrize("spoiled", ["x'ff'", "'no json'", "'[1]'", "CAST(x'ff' AS TEXT)", "3"])
def test_what_could_not_be_read_in_the_first_version_is_named_after_it(spoiled: str, path: Path) -> None:
    version_1(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"UPDATE calibrations SET subject = {spoiled} WHERE id = 'aaaaaaaa'")  # noqa: S608
    with CalibrationStore.open(path) as store:
        assert store.warning == ""
        assert {c.id for c in store.all()} == {"bbbbbbbb", "cccccccc"}
        (line,) = store.left_out
        assert line.startswith("calibration aaaaaaaa cannot be read: ")


# --- the system says no


def test_a_full_disk_is_said_and_what_was_committed_stays(store: CalibrationStore, path: Path) -> None:
    id = begun(store)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    added = 0

    def until_it_is_full() -> None:
        nonlocal added
        for round in range(10_000):
            store.add_sample(id, POINT.key, sample(round))
            added += 1

    with pytest.raises(ZenplanError, match="the disk is full") as full:
        until_it_is_full()
    assert full.value.hint
    assert added > 0
    assert len(store.get(id).measured[0].samples) == added
    # There is room again.
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.add_sample(id, POINT.key, sample())
    with CalibrationStore.open(path) as other:
        assert len(other.get(id).measured[0].samples) == added + 1


def test_a_store_that_another_holds_is_said(
    store: CalibrationStore, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    id = begun(store)
    hasty(monkeypatch, store)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(ZenplanError, match="held by another program") as held:
        store.finish(id)
    assert held.value.hint
    assert capsys.readouterr().err == f"waiting for {path}, which another process holds; 0 s at most\n"
    holder.execute("ROLLBACK")
    holder.close()
    store.finish(id)
    assert store.state(id) == DONE


def hasty(monkeypatch: pytest.MonkeyPatch, store: CalibrationStore | None = None) -> None:
    """A lock is waited for without a word for 50 ms, and for 300 ms in all."""
    monkeypatch.setattr(opening, "_SILENT_S", 0.05)
    monkeypatch.setattr(opening, "_PATIENCE_S", 0.3)
    if store:
        store._db.execute("PRAGMA busy_timeout = 50")


def test_a_lock_that_is_let_go_is_waited_for(
    store: CalibrationStore, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    id = begun(store)
    hasty(monkeypatch, store)
    monkeypatch.setattr(opening, "_PATIENCE_S", 20.0)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        letting_go = pool.submit(lambda: (time.sleep(0.4), holder.execute("ROLLBACK")))
        store.finish(id)
        letting_go.result()
    holder.close()
    assert store.state(id) == DONE
    assert capsys.readouterr().err.startswith("waiting for ")


@pytest.mark.parametrize("only_read", [False, True])
def test_a_store_that_is_held_while_it_is_opened_is_said(
    only_read: bool, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with CalibrationStore.open(path) as store:
        begun(store)
    hasty(monkeypatch)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN IMMEDIATE")
    if only_read:
        with CalibrationStore.open(path, only_read=True) as read:
            assert "held by another program: going on without" in read.warning
            assert read.unreadable is not None
    else:
        with pytest.raises(ZenplanError, match="held by another program"):
            CalibrationStore.open(path)
    assert capsys.readouterr().err.startswith("waiting for ")
    holder.close()
    assert kept(path) == []


def test_another_process_that_opens_it_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    hasty(monkeypatch)
    descriptor = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(ZenplanError, match="held by another program"):
        CalibrationStore.open(path)
    os.close(descriptor)
    assert capsys.readouterr().err.count("waiting for ") == 1
    CalibrationStore.open(path).close()


# A limit on files' sizes is what a full disk is: what is there may be read, and nothing grows.
_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from zenplan.adapters.store.store import CalibrationStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with CalibrationStore.open(Path(sys.argv[1]), only_read=True) as store:
    print([len(m.samples) for c in store.all() for m in c.measured], repr(store.warning), store.left_out)
"""


@pytest.mark.parametrize("journal", [False, True])
def test_what_is_stored_is_read_on_a_full_disk(journal: bool, path: Path, tmp_path: Path) -> None:
    with CalibrationStore.open(path) as store:
        id = begun(store)
        for round in range(20):
            store.add_sample(id, POINT.key, sample(round))
        if journal:
            # As it is left by a process that was killed: some of it is in the journal alone.
            killed = tmp_path / "killed"
            killed.mkdir()
            for ending in ("", "-wal"):
                (killed / f"{path.name}{ending}").write_bytes(Path(f"{path}{ending}").read_bytes())
            path = killed / path.name
    argv = [sys.executable, "-c", _ON_A_FULL_DISK, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[20] '' ()\n")


def test_a_pipe_where_a_file_should_be_is_said(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(ZenplanError, match="it is a pipe"):
        CalibrationStore.open(path)
    with CalibrationStore.open(path, only_read=True) as store:
        assert "it is a pipe" in store.warning


def test_a_folder_where_a_file_should_be_is_said(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ZenplanError, match="it is a folder"):
        CalibrationStore.open(path)
    with CalibrationStore.open(path, only_read=True) as store:
        assert "it is a folder" in store.warning


def test_a_file_where_the_folder_should_be_is_said(path: Path) -> None:
    path.parent.write_text("")
    with pytest.raises(ZenplanError, match="cannot be used") as refused:
        CalibrationStore.open(path)
    assert "XDG_DATA_HOME" in refused.value.hint


_AS_NOBODY = """
import os, sys
from pathlib import Path
from zenplan.adapters.store.store import CalibrationStore
from zenplan.errors import ZenplanError
import zenplan.documents, zenplan.domain.measured.calibration, fcntl, shutil
path = Path(sys.argv[1])
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    CalibrationStore.open(path)
except ZenplanError as error:
    print(error.message)
with CalibrationStore.open(path, only_read=True) as store:
    print(len(store.all()), repr(store.warning))
try:
    CalibrationStore.open(path.parent / "deeper" / "calibrations.sqlite")
except ZenplanError as error:
    print(error.message)
with CalibrationStore.open(path.parent / "shut" / "calibrations.sqlite", only_read=True) as store:
    print(store.warning)
"""


def test_a_folder_that_may_not_be_written_can_still_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "calibrations.sqlite"
        with CalibrationStore.open(path) as store:
            begun(store)
        path.chmod(0o444)
        (folder / "shut").mkdir(mode=0o000)
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(path)], capture_output=True, text=True, check=False, timeout=60
        )
        folder.chmod(0o755)
        (folder / "shut").chmod(0o755)
        assert (done.returncode, done.stderr) == (0, "")
        refused, read, made, unseen = done.stdout.splitlines()
    assert "cannot be used" in refused
    assert read == "1 ''"
    assert "Permission denied" in made
    assert "Permission denied: going on without its calibrations" in unseen
