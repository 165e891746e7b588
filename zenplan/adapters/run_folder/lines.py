"""Files of a run that grow by lines of JSON: its metrics, and what was said of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.files.whole_file import write_whole
from zenplan.adapters.run_folder.folder import cannot_write
from zenplan.errors import InputFileError

# Which file, and how many bytes of it were read.
_CURSOR: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,18})")


class Lines:
    """A file of JSON lines that is open to be added to. A line that a killed process left unfinished is cut off."""

    def __init__(self, path: Path) -> None:
        """Open it; it is made where it is not there. Raises ZenplanError: it cannot be written."""
        self.path = path
        try:
            # Without a buffer: what could not be written is not tried again when it is closed.
            self._file = path.open("ab", buffering=0)
            _cut_unfinished(path)
        except OSError as error:
            raise cannot_write(path, error) from error

    def add(self, *values: Mapping[str, Any]) -> None:
        """A line for each; seen by other processes when this returns. Raises ZenplanError: the disk is full."""
        text = "".join(json.dumps(value, ensure_ascii=False, allow_nan=True) + "\n" for value in values)
        try:
            left = memoryview(text.encode())
            while left:
                left = left[self._file.write(left) or 0 :]
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def sync(self) -> None:
        """What was added is on the disk. Raises ZenplanError: it is not."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        """No more is added."""
        try:
            self._file.close()
        except OSError as error:
            raise cannot_write(self.path, error) from error


def _cut_unfinished(path: Path) -> None:
    size = path.stat().st_size
    if not size:
        return
    with path.open("rb+") as file:
        file.seek(max(0, size - 1))
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that are whole objects of JSON; none where there is no file."""
    try:
        with path.open("rb") as file:
            yield from _objects(file)
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(path, error) from error


def _objects(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def lines_after(path: Path, since: str = "", most_bytes: int = 1_000_000) -> tuple[list[dict[str, Any]], str]:
    """Lines that have come since the last call, and where the next begins; none where there is no file.

    Of a file that is seen for the first time, or was made anew since, it is the end that is read.

    Args:
        path: of the file; another process writes it, and may not be done with its last line.
        since: what the last call returned; empty for the first, as is what no call has returned.
        most_bytes: that are read at once.

    Raises:
        InputFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            there = os.fstat(file.fileno())
            begin, known = max(0, there.st_size - most_bytes), _CURSOR.fullmatch(since)
            if known and int(known[1]) == there.st_ino and int(known[2]) <= there.st_size:
                begin = int(known[2])
            file.seek(begin)
            read = file.read(most_bytes)
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}", "may you read the run's folder?") from error
    whole = read.rfind(b"\n") + 1
    # A line that is longer than all that is read at once is none of a run's.
    end = begin + (len(read) if not whole and len(read) == most_bytes else whole)
    return list(_objects(read[:whole].splitlines())), f"{there.st_ino}-{end}"


def cut_after(path: Path, step: int) -> int:
    """Leave out of the metrics what is of later steps, in one go. Returns the last step that is there, 0 without any.

    Steps that are there twice, as a run that was killed while it was resumed may leave them, are kept once.

    Raises:
        ZenplanError: it cannot be written.
    """
    if not path.exists():
        return 0
    kept: list[Mapping[str, Any]] = []
    last = 0
    for line in read_lines(path):
        number = line.get("step")
        if not isinstance(number, int) or number > step:
            continue
        if "part" not in line:
            if number <= last:
                continue
            last = number
        kept.append(line)
    write_whole(path, "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in kept))
    return last


@dataclass(slots=True)
class Metrics:
    """What the metrics of a run hold, read once.

    Attributes:
        training: losses by step, in order.
        parts: evaluations by part, in order: the step, and figures by name.
        times: seconds of each step, and of them those that it waited for its batch.
    """

    training: list[tuple[int, float]] = field(default_factory=list)
    parts: dict[str, list[tuple[int, dict[str, float]]]] = field(default_factory=dict)
    times: list[tuple[float, float]] = field(default_factory=list)

    def curve(self, part: str) -> list[tuple[int, float]]:
        """Losses of a part by step; none where it has none."""
        return [(step, values["loss"]) for step, values in self.parts.get(part, ()) if "loss" in values]


def read_metrics(path: Path) -> Metrics:
    """The metrics of a run; empty where there is no file. Raises ZenplanError: it cannot be read."""
    found = Metrics()
    for line in read_lines(path):
        step, part = line.get("step"), line.get("part")
        if "part" not in line:
            found.times.append((line.get("wall_s", 0.0), line.get("wait_s", 0.0)))
        if not isinstance(step, int):
            continue
        if isinstance(part, str) and isinstance(line.get("values"), dict):
            found.parts.setdefault(part, []).append((step, {k: float(v) for k, v in line["values"].items()}))
        elif isinstance(line.get("loss"), int | float):
            found.training.append((step, float(line["loss"])))
    return found
