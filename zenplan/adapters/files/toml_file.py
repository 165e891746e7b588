"""TOML that a user named, with the lines that its keys stand on: an error says where."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.regular_file import decoded, read_text
from zenplan.errors import UsageError, nearest

MOST_BYTES: Final = int(0.25 * units.MB)
# Names in a hint.
_MOST_SHOWN: Final = 20
# What a statement of several lines can end with.
_CLOSING: Final = frozenset("\"']}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """A decoded file.

    Attributes:
        name: how errors call it.
        folder: where it lies; paths in it are from there.
        values: as ``tomllib`` decodes them.
        text: as it was read.
    """

    name: str
    folder: Path
    values: Mapping[str, Any]
    text: str

    def line(self, *keys: str) -> int | None:
        """The line, from 1, of the statement that first gives that key its table or value; None where none does.

        Args:
            keys: from the outermost table to the key itself.
        """
        table: tuple[str, ...] = ()
        for number, statement, is_header in _statements(self.text):
            if is_header:
                table = tuple(_path(statement))
                if table[: len(keys)] == keys:
                    return number
            elif keys[: len(table)] == table and _holds(statement, keys[len(table) :]):
                return number
        return None

    def at(self, *keys: str) -> str:
        """The file and the line of that key, as an error begins."""
        return f"{self.name}, line {self.line(*keys)}"

    def unknown(
        self, keys: Sequence[str], known: Iterable[str], what: str = "key", near: Sequence[str] = ()
    ) -> UsageError:
        """The error of a key that nobody reads, with the nearest ones that somebody does, or with those that are meant."""
        names = tuple(known)
        near = near or nearest(keys[-1], names)
        more = ", …" if len(names) > _MOST_SHOWN else ""
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names[:_MOST_SHOWN])}{more}"
        return UsageError(f"{self.at(*keys)}: unknown {what} '{keys[-1][:60]}'", hint)


def read_toml_file(path: str | os.PathLike[str], what: str, hint: str) -> TomlFile:
    """The file, decoded.

    Args:
        path: of a regular file of at most 250 kB in UTF-8.
        what: how it is called in an error: ``request request.toml``.
        hint: what the file should be.

    Raises:
        InputFileError: it cannot be read, or is no TOML.
    """
    import tomllib

    text = read_text(path, what, MOST_BYTES, hint)
    values = decoded(text, tomllib.loads, what, "TOML", hint)
    return TomlFile(name=what, folder=Path(path).parent, values=values, text=text)


def _statements(text: str) -> Iterator[tuple[int, Mapping[str, Any], bool]]:
    """The statements of a valid text one by one: the first line of each, itself decoded, and whether it is a table's head.

    One that goes on over several lines (a text in three quotes, a list) is no TOML before its last: the decoder itself
    finds the end, so every way to write a key is read as it reads it.
    """
    import tomllib

    begun: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        begun.append(line)
        if len(begun) > 1 and not _CLOSING & set(line):
            continue
        try:
            found = tomllib.loads("\n".join(begun) + "\n")
        except tomllib.TOMLDecodeError:
            continue
        if found:
            yield number - len(begun) + 1, found, begun[0].lstrip().startswith("[")
        begun = []


def _path(head: Mapping[str, Any]) -> Iterator[str]:
    """The keys of ``[a.b]`` or ``[[a.b]]``, decoded."""
    inner: Any = head
    while inner:
        ((key, inner),) = inner.items()
        yield key
        inner = inner[0] if isinstance(inner, list) else inner


def _holds(statement: Any, keys: Sequence[str]) -> bool:
    """Whether a decoded ``a.b = …`` has that path of keys, or begins it."""
    for key in keys:
        if not isinstance(statement, dict) or key not in statement:
            return False
        statement = statement[key]
    return bool(keys)
