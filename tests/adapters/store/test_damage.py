"""250 damaged stores: what is read is right or named, what is said is true, and measuring goes on."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from zenplan.adapters.store.store import CalibrationStore
from zenplan.domain.measured.calibration import DONE, Calibration, Measured, Point, Sample, Stored
from zenplan.errors import ZenplanError

from .test_store import calibration

STORES = 250


def points(count: int, samples: int, chance: random.Random) -> Iterator[Measured]:
    for depth in range(1, count + 1):
        steps = (
            Sample(round=n, wall_s=chance.uniform(0.1, 0.2), cpu_s=chance.uniform(0.1, 0.2)) for n in range(samples)
        )
        point = Point(key=f"depth={depth}", depth=depth, batch=8, features={"products": 1e9 * depth})
        yield Measured(point=point, samples=tuple(steps), setup_s=4.2, peak_bytes=2e9)


def good(path: Path) -> tuple[Calibration, ...]:
    """A store of six calibrations with some thirty samples each."""
    chance = random.Random(3)  # noqa: S311
    ids = ("aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "eeeeeeee", "ffffffff")
    found = tuple(calibration(id, measured=tuple(points(5, 6, chance)), notes=("busy: é",)) for id in ids)
    with CalibrationStore.open(path) as store:
        store.insert([Stored(calibration=c, state=DONE) for c in found])
    return found


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Truncated at random, or with one to eight bytes changed at random."""
    if chance.random() < 0.3:
        return content[: chance.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= chance.randint(1, 255)
    return bytes(changed)


def read(path: Path, whole: tuple[Calibration, ...]) -> str:
    """What a reader finds, in a word; nothing may be other than it was without being named."""
    try:
        with CalibrationStore.open(path, only_read=True) as store:
            found = {c.id: c for c in store.all()}
            if store.warning:
                return "said to be damaged"
            if not found and path.stat().st_size == 0:
                return "empty"
            named = " ".join(store.left_out)
            strange = sum(not any(c.id in line for c in whole) for line in store.left_out)
    except (ZenplanError, ValueError):
        return "an error"
    # A row whose id is damaged is named by what its id is now.
    unnoticed = [c.id for c in whole if found.get(c.id) != c and c.id not in named]
    if len(unnoticed) > strange or found.keys() - {c.id for c in whole}:
        return "changed unnoticed"
    return "some left out and named" if named else "all of it"


def written(path: Path) -> str:
    """What becomes of somebody who measures now, in a word."""
    try:
        with CalibrationStore.open(path) as store:
            id = store.new_id()
            store.begin(calibration(id))
            store.add_point(id, Point(key="depth=2", depth=2, batch=8))
            store.add_sample(id, "depth=2", Sample(round=0, wall_s=0.3, cpu_s=0.3))
            store.finish(id)
            assert len(store.get(id).measured[0].samples) == 1
            return "kept aside" if store.warning else "gone on with"
    except (ZenplanError, ValueError):
        return "a dead end"


def outcomes(folder: Path, count: int, seed: int) -> Counter[tuple[str, str]]:
    """How often what was read, and what became of who wrote then."""
    path = folder / "good" / "calibrations.sqlite"
    whole = good(path)
    # Closed, so that all of it is in the file itself.
    assert sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    content, chance = path.read_bytes(), random.Random(seed)  # noqa: S311
    found: Counter[tuple[str, str]] = Counter()
    for n in range(count):
        bad = folder / str(n) / "calibrations.sqlite"
        bad.parent.mkdir()
        bad.write_bytes(damaged(content, chance))
        seen = read(bad, whole)
        found[seen, written(bad)] += 1
        shutil.rmtree(bad.parent)
    return found


def test_of_250_damaged_stores_none_is_a_dead_end_and_nothing_changes_unnoticed(quick: Path) -> None:
    found = outcomes(quick, STORES, seed=11)
    assert sum(found.values()) == STORES
    assert found.keys() <= {
        ("all of it", "gone on with"),
        ("some left out and named", "gone on with"),
        ("empty", "gone on with"),
        # What a reader is told that 'calibrate' does is what it does.
        ("said to be damaged", "kept aside"),
    }, found
    assert min(found["some left out and named", "gone on with"], found["said to be damaged", "kept aside"]) > 20


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        for (seen, then), count in outcomes(Path(name), STORES, int(sys.argv[1])).most_common():
            sys.stdout.write(f"{count:4} {seen}; then {then}\n")
