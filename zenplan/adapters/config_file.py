"""A model configuration in a file: Hugging Face's ``config.json``."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from zenplan import units
from zenplan.errors import InputFileError

MOST_BYTES = 16 * 10**6
_HINT = "give the config.json of a Hugging Face model"


def read_model_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The decoded object of a configuration file.

    Raises:
        InputFileError: it is not there, cannot be read, is no regular file or larger than 16 MB, or does
            not hold one JSON object in UTF-8.
    """
    shown = repr(os.fspath(path))
    content = _content(path, shown)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputFileError(f"{shown} is not text in UTF-8 (byte {error.start})", _HINT) from error
    try:
        decoded = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputFileError(f"{shown} is not JSON: {error.msg} ({where})", _HINT) from error
    except RecursionError as error:
        raise InputFileError(f"{shown} is nested too deeply", _HINT) from error
    except ValueError as error:
        # Python refuses whole numbers of more than 4,300 digits, with a ValueError that has no place.
        raise InputFileError(f"{shown} holds a number that is too long", _HINT) from error
    if not isinstance(decoded, dict):
        raise InputFileError(f"{shown} holds {_kind(decoded)}, not a JSON object", _HINT)
    return decoded


def _content(path: str | os.PathLike[str], shown: str) -> bytes:
    try:
        # Not blocking: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(Path(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as error:
        raise InputFileError(f"there is no file {shown}", _HINT) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(f"{shown} cannot be read: {reason}", _HINT) from error
    try:
        # The open file is asked, not its path: the two need not be the same any more.
        _refuse(os.fstat(descriptor), shown)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputFileError(f"{shown} cannot be read: {error.strerror}", _HINT) from error
    finally:
        os.close(descriptor)
    if len(content) > MOST_BYTES:
        raise InputFileError(f"{shown} is too much for a model configuration", _HINT)
    return content


def _refuse(found: os.stat_result, shown: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise InputFileError(f"{shown} is a directory", f"{_HINT}, not its folder")
    if not stat.S_ISREG(found.st_mode):
        raise InputFileError(f"{shown} is not a regular file", _HINT)
    if found.st_size > MOST_BYTES:
        size = units.size(found.st_size)
        raise InputFileError(f"{shown} has {size}, too much for a model configuration", _HINT)


def _kind(decoded: Any) -> str:
    if isinstance(decoded, list):
        return "a list"
    if isinstance(decoded, str):
        return "a text"
    if decoded is None or isinstance(decoded, bool):
        return {None: "null", True: "true", False: "false"}[decoded]
    return "a number"
