"""``--plugin FILE``: taken out of a command line before its command reads it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from zenplan.errors import InputFileError, UsageError
from zenplan.plugins.sources import FILES as FILES

_FLAG = "--plugin"


def parted(argv: Sequence[str], before: str = "") -> tuple[str, list[str]]:
    """The files, as in ``ZENPLAN_PLUGIN_FILES``, and the rest of the command line.

    Args:
        before: files that the variable had.

    Raises:
        UsageError: the flag has no file; InputFileError: there is no such file.
    """
    files = [before] if before else []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return os.pathsep.join(files), [*rest, word, *words]
        name, equals, value = word.partition("=")
        if name != _FLAG:
            rest.append(word)
            continue
        file = value if equals else next(words, "")
        if not file:
            raise UsageError(f"{_FLAG} needs a file", f"as in: zenplan {_FLAG} mycloud.py prices")
        path = Path(file).expanduser().absolute()
        if not path.is_file() or os.pathsep in str(path):
            raise InputFileError(f"{file} is no file", "a plugin of one file is a Python module with a hook in it")
        files.append(str(path))
    return os.pathsep.join(files), rest
