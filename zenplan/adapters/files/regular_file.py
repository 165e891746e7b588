"""The text of a file that a user named: a regular one, of bounded size, in UTF-8; or one clear error."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from zenplan import units
from zenplan.errors import InputFileError

T = TypeVar("T")


def read_text(path: str | os.PathLike[str], what: str, most_bytes: int, hint: str) -> str:
    """The text of the file; a byte order mark, as spreadsheets write it, is left out.

    Args:
        path: the file.
        what: how it is called in an error: ``price table prices.csv``.
        most_bytes: a larger one is refused without being read.
        hint: what the file should be.

    Raises:
        InputFileError: there is none, it cannot be read, is no regular file, too large, or not UTF-8.
    """
    content = read_bytes(path, what, most_bytes, hint)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputFileError(f"{what} is not text in UTF-8 (byte {error.start})", hint) from error


def read_bytes(path: str | os.PathLike[str], what: str, most_bytes: int, hint: str) -> bytes:
    """The content of the file; arguments and errors as of ``read_text``, but for any content."""
    descriptor = open_regular(path, what, most_bytes, hint)
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise InputFileError(f"{what} cannot be read: {error.strerror}", hint) from error
    finally:
        os.close(descriptor)
    return content


def decoded(text: str, decode: Callable[[str], T], what: str, kind: str, hint: str) -> T:
    """What a text of somebody else's stands for.

    Args:
        text: the text.
        decode: ``json.loads``, ``tomllib.loads``.
        what: how the file is called in an error.
        kind: what it should be: ``JSON``, ``TOML``.
        hint: what the file should be.

    Raises:
        InputFileError: it is not of that kind, is nested too deeply, or holds a number that is too long.
    """
    try:
        return decode(text)
    except RecursionError as error:
        raise InputFileError(f"{what} is nested too deeply", hint) from error
    except ValueError as error:
        # Python refuses whole numbers of more than 4,300 digits, with a plain ValueError that has no place.
        if type(error) is ValueError:
            raise InputFileError(f"{what} holds a number that is too long", hint) from error
        from json import JSONDecodeError

        reason = str(error)
        if isinstance(error, JSONDecodeError):
            reason = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise InputFileError(f"{what} is not {kind}: {reason}", hint) from error


def open_regular(path: str | os.PathLike[str], what: str, most_bytes: float, hint: str) -> int:
    """The descriptor of the file, open to be read; the caller closes it.

    Raises:
        InputFileError: as for ``read_text``, but for what is in the file.
    """
    try:
        # Not blocking: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(Path(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as error:
        raise InputFileError(f"{what} does not exist", hint) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(f"{what} cannot be read: {reason}", hint) from error
    try:
        # The open file is asked, not its path: the two need not be the same any more.
        _refuse(os.fstat(descriptor), what, most_bytes, hint)
    except InputFileError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(found: os.stat_result, what: str, most_bytes: float, hint: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise InputFileError(f"{what} is a directory, not a file", hint)
    if not stat.S_ISREG(found.st_mode):
        raise InputFileError(f"{what} is not a regular file", hint)
    if found.st_size > most_bytes:
        most = units.size(most_bytes)
        raise InputFileError(f"{what} has {units.size(found.st_size)}, and may have no more than {most}", hint)
