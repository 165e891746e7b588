"""Records of what was measured here, as rows of one kind: each with a checksum, and on the disk as it comes.

A record is a row of its own kind, one of its state, and one for each part of it. Several processes may write at once.
Whatever was committed is still there after any of them was killed.
"""

from __future__ import annotations

import base64
import os
import platform
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from zenplan.adapters.machine.processes import is_alive
from zenplan.adapters.store.migrations import STATE, add_row, checksum, shown
from zenplan.adapters.store.opening import open_to_read, open_to_write, our_errors, waited
from zenplan.adapters.store.path import store_path
from zenplan.domain.checks import one_line
from zenplan.domain.measured.calibration import DONE, RUNNING, UNFINISHED
from zenplan.errors import UnknownName, UsageError, ZenplanError

# Letters of an id that are enough, where no other begins with them.
_LEAST_LETTERS: Final = 4
# So long after its last change nobody is measuring any more, whatever process has the writer's number now.
_SILENCE_S: Final = 3600.0
_STARTED: Final = time.time()
_MOST_NAMED: Final = 3
_ALL: Final = "SELECT record, number, kind, key, body, checksum FROM measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What became of a record.

    Attributes:
        writer: machine:process that measures it, or measured it last; empty where it was imported.
        written_at: of its last change, in seconds since 1970.
        origin: empty where it was measured by whom the store belongs to.
    """

    finished: bool = False
    writer: str = ""
    written_at: float = 0.0
    origin: str = ""

    @property
    def word(self) -> str:
        """One of ``domain.measured.calibration.STATES``."""
        return state_of(self.finished, self.writer, self.written_at)


# Of a record whose state cannot be read: nobody goes on with it.
_UNKNOWN: Final = State(origin="of unknown origin")


class Row(NamedTuple):
    """A sound row: its number in its record, and what ``documents.decode`` takes."""

    number: int
    kind: str
    key: str
    body: bytes


class Records:
    """An open store.

    Attributes:
        unreadable: why there is nothing to read, where the store could not be opened to be read.
        warning: what happened when it was opened, on one line for the user; empty where nothing did.
        left_out: what the last reading left out, and why; a line each.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, warning: str, unreadable: ZenplanError | None) -> None:
        self.path, self._db, self.warning, self.unreadable = path, db, warning, unreadable
        self.left_out: tuple[str, ...] = ()
        # A text that is no UTF-8 is a damaged row, not an error.
        db.text_factory = bytes

    @classmethod
    def open(cls, path: Path | None = None, *, only_read: bool = False) -> Self:
        """The store at that path, or in the user's data folder.

        Args:
            path: of the file.
            only_read: nothing is made or renamed. Without a store there are no calibrations; with one that cannot be
                used neither, and ``unreadable`` says why.

        Raises:
            ZenplanError: not ``only_read``, and it cannot be written.
        """
        path = path or store_path()
        if not only_read:
            return cls(path, *open_to_write(path), None)
        db, why = open_to_read(path)
        return cls(path, db, f"{why.message}: going on without its calibrations" if why else "", why)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was added is there already."""
        self._db.close()

    def new_id(self) -> str:
        """Eight letters and digits that no record here has: 40 random bits, in base 32."""
        while True:
            id = base64.b32encode(os.urandom(5)).decode().lower()
            if id not in self._ids():
                return id

    def finish(self, id: str) -> None:
        """Say that all of it was measured. Raises UnknownName."""
        with self._writing():
            self._touch(id, finished=True)

    def remove(self, id: str) -> None:
        """Take a record out, with all that was measured; one that cannot be read too. Raises UnknownName."""
        with self._writing():
            raw = self._raw_ids().get(id)
            if raw is None:
                raise self._unknown(id)
            self._db.execute("DELETE FROM measured WHERE CAST(record AS BLOB) = CAST(? AS BLOB)", (raw,))

    def state(self, id: str) -> str:
        """One of ``domain.measured.calibration.STATES``. Raises UnknownName."""
        rows = self._rows(id).get(id)
        if not rows:
            raise self._unknown(id)
        return self._state(rows).word

    def find(self, given: str) -> str:
        """The id that is meant: written out, or as its first letters, four at least.

        Raises:
            UnknownName: none begins with them.
            UsageError: several do.
        """
        ids = self._ids()
        found = [id for id in ids if id.startswith(given)] if len(given) >= _LEAST_LETTERS else []
        if len(found) > 1 and given not in found:
            raise UsageError(f"'{given}' begins {len(found)} calibrations", f"write more of it: {', '.join(found[:4])}")
        if not found:
            raise self._unknown(given)
        return given if given in found else found[0]

    def _ids(self) -> list[str]:
        return sorted(self._raw_ids())

    def _raw_ids(self) -> dict[str, Any]:
        """Of all records by how they are shown, as the file has them."""
        return {_named(id): id for (id,) in self._asked("SELECT DISTINCT record FROM measured")}

    def _unknown(self, id: str) -> UnknownName:
        return UnknownName("calibration", id, self._ids(), "zenplan calibrations list")

    # --- rows

    def _rows(self, one: str | None = None) -> dict[str, list[Row]]:
        """The sound rows of every record, or of one, by its id and in their order; ``left_out`` names the others."""
        given = (_ALL,) if one is None else (f"{_ALL} WHERE record = ?", one)
        sound: defaultdict[str, list[Row]] = defaultdict(list)
        bad: defaultdict[str, list[str]] = defaultdict(list)
        for record, number, kind, key, body, sum in self._asked(*given):
            if _is_sound(record, number, kind, key, body, sum):
                row = Row(number=number, kind=kind.decode(), key=key.decode(), body=body)
                sound[record.decode()].append(row)
            else:
                bad[_named(record)].append(_named(kind) + f" {_named(key)}" * bool(key))
        self.left_out = tuple(
            filter(None, (_lost(id, sound.get(id, ()), bad.get(id, ())) for id in sorted({*sound, *bad})))
        )
        return {id: sorted(rows, key=lambda row: row.number) for id, rows in sound.items()}

    def _state(self, rows: list[Row]) -> State:
        from zenplan import documents

        found = [row for row in rows if row.kind == STATE]
        return documents.decode(found[0].body, State, "its state") if found else _UNKNOWN

    def _add(self, id: str, kind: str, body: Any, key: str = "") -> None:
        """Add a row to a record, or the first one of a new record."""
        from zenplan import documents

        number = self._asked("SELECT coalesce(max(number) + 1, 0) FROM measured WHERE record = ?", id)[0][0]
        add_row(self._db, id, number, kind, key, documents.encode(body))

    def _change(self, id: str, row: Row, body: Any) -> None:
        """Give a row another body."""
        from zenplan import documents

        text = documents.encode(body)
        sum = checksum(id.encode(), row.number, row.kind.encode(), row.key.encode(), text.encode())
        self._db.execute(
            "UPDATE measured SET body = ?, checksum = ? WHERE record = ? AND number = ?", (text, sum, id, row.number)
        )

    def _row(self, id: str, kind: str, key: str = "") -> Row | None:
        """The sound row of that kind and key, the first where there are several."""
        found = self._asked(f"{_ALL} WHERE record = ? AND kind = ? AND key = ? ORDER BY number LIMIT 1", id, kind, key)
        rows = [
            Row(number=n, kind=kind, key=key, body=body)
            for r, n, k, y, body, sum in found
            if _is_sound(r, n, k, y, body, sum)
        ]
        return rows[0] if rows else None

    def _touch(self, id: str, **changes: Any) -> None:
        """This process is at the record from now on. Raises UnknownName."""
        from zenplan import documents

        row = self._row(id, STATE)
        if row is None:
            raise self._unknown(id)
        state = documents.decode(row.body, State, f"the state of {id}")
        self._change(id, row, replace(state, writer=this_process(), written_at=time.time(), **changes))

    # --- underneath

    def _asked(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with our_errors(self.path):
            return waited(self._db, self.path, lambda: self._db.execute(query, values).fetchall())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; nothing of it is there if anything is raised in it."""
        with our_errors(self.path):
            waited(self._db, self.path, lambda: self._db.execute("BEGIN IMMEDIATE"))
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                # SQLite has rolled back itself after some errors.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _changing(self, id: str) -> Iterator[None]:
        """The same for a change of one record, which this process is at from now on. Raises UnknownName."""
        with self._writing():
            self._touch(id)
            yield


def _is_sound(record: Any, number: Any, kind: Any, key: Any, body: Any, sum: Any) -> bool:
    try:
        return bool(checksum(record, number, kind, key, body) == sum)
    except TypeError:
        # A column that is no text any more.
        return False


def _named(column: Any) -> str:
    return one_line(shown(column))[:40]


def _lost(id: str, sound: Any, bad: Any) -> str:
    """What is to be said of a record's rows that are damaged or not there; empty where all are."""
    numbers = [row.number for row in sound]
    gone = max(len(bad), max(numbers, default=-1) + 1 - len(numbers))
    if not gone:
        return ""
    names = ", ".join(bad[:_MOST_NAMED]) + (", …" if len(bad) > _MOST_NAMED else "")
    return f"calibration {id}: {gone} of its rows {'is' if gone == 1 else 'are'} damaged{f' ({names})' * bool(names)}"


# --- who is at it


def this_process() -> str:
    """The machine and the number of this process there."""
    return f"{platform.node()}:{os.getpid()}"


def state_of(finished: bool, writer: str, written_at: float) -> str:
    """The word for a state. A record is running while its writer lives; of another machine's only silence tells.

    Args:
        finished, writer, written_at: as in ``State``.
    """
    if finished:
        return DONE
    node, _, process = writer.rpartition(":")
    if not process or time.time() - written_at > _SILENCE_S:
        return UNFINISHED
    if writer == this_process():
        # In a container every run may have the same number.
        return RUNNING if written_at >= _STARTED else UNFINISHED
    return RUNNING if node != platform.node() or is_alive(int(process)) else UNFINISHED
