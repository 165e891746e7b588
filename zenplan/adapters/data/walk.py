"""The files of a data set: those below a folder that hold records, by their suffixes, and what is passed by."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Final

from zenplan.adapters.data.signature import HEAD_BYTES, IMAGES, really
from zenplan.domain import checks
from zenplan.domain.training.data_set import LeftOut
from zenplan.errors import DataError

HINT: Final = "give a text, JSONL, Parquet or CSV file, or a folder of them or of images"
_PROSE: Final = (".txt", ".text", ".md", ".rst", ".tex", ".html", ".htm", ".xml", ".srt", ".vtt")
_CODE: Final = (
    *(".py", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".rs", ".go", ".java", ".kt", ".scala", ".js", ".ts", ".jsx"),
    *(".tsx", ".rb", ".php", ".pl", ".sh", ".sql", ".r", ".jl", ".lua", ".swift", ".cs", ".hs", ".ml", ".css"),
)
# Suffix to format, which is the name of a reader.
FORMATS: Final = {
    **dict.fromkeys((*_PROSE, *_CODE), "text"),
    **dict.fromkeys((".jsonl", ".ndjson"), "JSONL"),
    ".json": "JSON",
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".csv", ".tsv"), "CSV"),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"), "image"),
}
# Of suffixes that are not read: how many are named, and how many are counted.
_NAMED: Final = 5
_COUNTED: Final = 1_000
# Where in a file something is wrong: it is another in each of them, and the reason the same.
_PLACE: Final = re.compile(r" \(((?:byte|element) \d+)\)$")
# Beside data of another format these are about it, not of it.
_ABOUT: Final = ("readme", "license", "licence", "notice", "changelog", "citation", "contributing")
_SETTINGS: Final = ("dataset_info.json", "dataset_infos.json", "state.json", "metadata.json", "config.json")


_UNREAD: Final = "a suffix that is not read"
_NO_SUFFIX: Final = "without a suffix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of a folder is read, and how.

    Attributes:
        without: names of folders that are not looked into.
        include: patterns of names, as of a shell: files that are read as text, whatever their suffix.
        encoding: of texts; empty to find it file by file.
    """

    without: Collection[str] = ()
    include: Sequence[str] = ()
    encoding: str = ""

    def includes(self, name: str) -> bool:
        """Whether a file is read as text for its name."""
        return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in self.include)


EVERYTHING: Final = Wanted()


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that may hold records: its path, bytes on disk, format, whether gzip compresses it, and the encoding that the
    user says it is in; empty to find it.
    """

    path: str
    size_bytes: int
    format: str
    gzip: bool
    encoding: str = ""


@dataclass(slots=True)
class PassedBy:
    """What is not counted, put together by its reason; ``folder`` is left out of the paths in it."""

    folder: str = ""
    _seen: dict[tuple[str, str], list[int | str]] = field(default_factory=dict)
    _suffixes: Counter[str] = field(default_factory=Counter)

    def add(self, example: str, why: str, what: str = "files") -> None:
        """One more. The first of a reason is its example, with the place that the reason ends with."""
        if place := _PLACE.search(why):
            why, example = why[: place.start()], f"{example}, {place[1]}"
        example = example.removeprefix(f"{self.folder}{os.sep}") if self.folder else example
        entry = self._seen.setdefault((what, why), [0, example])
        entry[0] = int(entry[0]) + 1

    def add_unread(self, example: str) -> None:
        """A file whose suffix is of no format, or that has none."""
        suffix = _suffix(example)
        self.add(example, _UNREAD if suffix else _NO_SUFFIX)
        if suffix and (suffix in self._suffixes or len(self._suffixes) < _COUNTED):
            self._suffixes[suffix] += 1

    def _told(self, why: str) -> str:
        """The reason as it is told: suffixes that are not read are named, the most frequent first."""
        if why != _UNREAD:
            return why
        most = ", ".join(f"{suffix} ({count:,})" for suffix, count in self._suffixes.most_common(_NAMED))
        return f"{why}: {most}{', …' if len(self._suffixes) > _NAMED else ''}"

    @property
    def lines(self) -> tuple[LeftOut, ...]:
        """By reason, in the order in which they came."""
        return tuple(
            LeftOut(
                what=what,
                why=checks.one_line(self._told(why)),
                count=int(count),
                example=checks.one_line(str(example)) or "?",
            )
            for (what, why), (count, example) in self._seen.items()
        )


def is_code(name: str) -> bool:
    """Whether a file is of source code, by its suffix."""
    return name.lower().endswith(_CODE)


def files_of(path: Path, passed_by: PassedBy, tell: Callable[[], None], wanted: Wanted = EVERYTHING) -> list[DataFile]:
    """The files at a path, sorted by theirs: all of one kind, images or records.

    Args:
        path: a file, or a folder, of which everything below is looked at; hidden files are not.
        passed_by: told what is not data.
        tell: called now and then.
        wanted: what is read of a folder.

    Raises:
        DataError: there is nothing there, it cannot be read, or nothing in it can be used.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {_reason(error)}"
        raise DataError(f"the data '{path}' {reason}", HINT) from error
    if stat.S_ISDIR(found.st_mode):
        return _of_folder(path, passed_by, tell, wanted)
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"the data '{path}' is not a regular file", HINT)
    if not found.st_size:
        raise DataError(f"the data '{path}' is empty", HINT)
    name, zipped = _format(path.name)
    return [DataFile(str(path), found.st_size, name or _guessed(path), zipped, wanted.encoding)]


def _guessed(path: Path) -> str:
    """The format of a file that the user named and whose suffix says nothing, by what is in it."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise DataError(f"the data '{path}' cannot be read: {_reason(error)}", HINT) from error
    what = really(head)
    if what == "Parquet":
        return what
    if what in IMAGES:
        return "image"
    if what and what != "HTML":
        raise DataError(f"the data '{path}' is {what}", HINT)
    return "JSONL" if head.lstrip().startswith(b'{"') else "text"


def _format(name: str) -> tuple[str, bool]:
    """By the suffix; empty where that says nothing."""
    parts = name.lower().split(".")
    zipped = parts[-1] == "gz"
    if zipped:
        del parts[-1]
    found = FORMATS.get(f".{parts[-1]}", "") if len(parts) > 1 else ""
    return ("" if zipped and found in ("Parquet", "image") else found), zipped


def _of_folder(folder: Path, passed_by: PassedBy, tell: Callable[[], None], wanted: Wanted) -> list[DataFile]:
    passed_by.folder = str(folder).rstrip(os.sep)
    every = sorted(_below(folder, passed_by, tell, wanted), key=lambda file: file.path)
    sizes = dict.fromkeys(("image", "text", "table"), 0)
    for file in every:
        sizes[file.format if file.format in sizes else "table"] += file.size_bytes
    images = sizes["image"] > sizes["text"] + sizes["table"]
    tables = sizes["table"] > sizes["text"]
    kept = []
    for file in every:
        name = file.path.rpartition(os.sep)[2].lower()
        if (file.format == "image") != images:
            passed_by.add(_within(folder, file.path), "beside images" if images else "an image beside other data")
        elif not wanted.includes(name) and (
            name in _SETTINGS or (tables and file.format == "text" and name.endswith(_CODE) | name.startswith(_ABOUT))
        ):
            passed_by.add(_within(folder, file.path), "about the data")
        else:
            kept.append(file)
    if not kept:
        first = next(iter(passed_by.lines), None)
        why = f": '{first.example}' is left out: {first.why}" if first else ""
        raise DataError(f"nothing in the folder '{folder}' can be read as data{why}", HINT)
    return kept


def _below(folder: Path, passed_by: PassedBy, tell: Callable[[], None], wanted: Wanted) -> Iterator[DataFile]:
    waiting, seen = [str(folder)], set[tuple[int, int]]()
    while waiting:
        tell()
        current = waiting.pop()
        try:
            status = Path(current).stat()
            if (status.st_dev, status.st_ino) in seen:
                passed_by.add(_within(folder, current), "a link to a folder that was read already")
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name in wanted.without:
                        continue
                    if _is_folder(entry):
                        waiting.append(entry.path)
                    else:
                        yield from _file(entry, folder, passed_by, wanted)
        except OSError as error:
            passed_by.add(_within(folder, current), f"cannot be read: {_reason(error)}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself: asked again as a file, it says so.
        return False


def _file(entry: os.DirEntry[str], folder: Path, passed_by: PassedBy, wanted: Wanted) -> Iterator[DataFile]:
    place = _within(folder, entry.path)
    try:
        status = entry.stat()
    except OSError as error:
        passed_by.add(place, f"cannot be read: {_reason(error)}")
        return
    name, zipped = _format(entry.name)
    if not name and wanted.includes(entry.name):
        name = "text"
    if not stat.S_ISREG(status.st_mode):
        passed_by.add(place, "not a regular file")
    elif not status.st_size:
        passed_by.add(place, "empty")
    elif not name:
        passed_by.add_unread(place)
    else:
        yield DataFile(entry.path, status.st_size, name, zipped, wanted.encoding)


def _suffix(path: str) -> str:
    """What a name ends with, in lower case; empty where that is no suffix."""
    name = path.rpartition(os.sep)[2].lower()
    inner = name.removesuffix(".gz")
    suffix = PurePath(inner).suffix
    return f"{suffix}{name[len(inner) :]}" if suffix.strip(".") else name[len(inner) :]


def _within(folder: Path, path: str) -> str:
    return os.path.relpath(path, folder)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
