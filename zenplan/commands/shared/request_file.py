"""Request files: the flags of a run in TOML, as ``--request`` reads them.

A key is the name of a flag, ``seq_len`` or ``seq-len``. It stands at the top or in a table, ``[model]``, ``[data]`` and
so on: those of ``options.GROUPS``. ``[train]`` and ``[search]`` belong to training and are left to it, as in ``[data]``
is what says how data are prepared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time
from itertools import chain
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from zenplan import units
from zenplan.adapters.files.toml_file import TomlFile, read_toml_file
from zenplan.adapters.settings.settings import SETTINGS
from zenplan.commands.shared.options import FLAGS, GROUPS, TABLES, Flag
from zenplan.commands.shared.preparing import PREPARE
from zenplan.errors import UsageError, nearest, shown

_HINT: Final = 'a request is TOML, a flag a line, as in: params = "7B"'
# Tables that others read.
_OTHERS: Final = ("train", "search")
_DATA: Final = "data"
_OF_PREPARE: Final = {flag.name: flag for flag in PREPARE}
_EVERY: Final = FLAGS | _OF_PREPARE
# What others call a key.
_MEANT: Final = {
    **dict.fromkeys(("path", "file", "folder", "dir", "directory", "source", "input", "dataset"), _DATA),
    **dict.fromkeys(("batch_size", "bs"), "batch"),
    **dict.fromkeys(("sequence_length", "context", "context_length", "block_size", "max_length"), "seq_len"),
}
_MODEL_FILES: Final = (".keras", ".h5")


def is_given(value: object) -> bool:
    """Whether a flag was given: an empty list is a flag that may come several times and did not."""
    return value is not None and value != [] and value != ()


def with_request(
    path: str | os.PathLike[str] | None, given: Mapping[str, Any], preparing: bool = False
) -> dict[str, Any]:
    """The flags that were given over those of the request file, if there is one; ``preparing`` as of ``read_request``.

    Raises:
        UsageError: a key of the file is unknown, or its value cannot be used; the message names the line.
        InputFileError: the file cannot be read.
    """
    if path is None:
        return dict(given)
    found = read_request(path, preparing)
    return {**given, **{name: value for name, value in found.items() if not is_given(given.get(name))}}


@contextmanager
def lines_named(path: str | os.PathLike[str] | None, given: Mapping[str, Any]) -> Iterator[None]:
    """Whatever is wrong with a value of the file is said with its line, also where it is found out later: a name that
    nobody has, two that contradict, a file that is not there.

    Args:
        path: of the request file; None without one.
        given: the flags beside it, which come before the file's.
    """
    try:
        yield
    except UsageError as error:
        where = _where(path, given, error.message) if path is not None else None
        if where is None:
            raise
        raise UsageError(f"{where}: {error.message}", error.hint) from error


def _where(path: str | os.PathLike[str], given: Mapping[str, Any], message: str) -> str | None:
    """The line of the first key whose flag or value the message names; None of none."""
    if message.startswith(os.fspath(path)):
        return None
    file = read_toml_file(path, os.fspath(path), _HINT)
    own = [(keys, value) for keys, value in _entries(file) if not is_given(given.get(_name(keys[-1])))]
    by_flag = (keys for keys, _ in own if _has(message, _EVERY[_name(keys[-1])].flag))
    by_value = (keys for keys, value in own if any(_has(message, text) for text in _texts(value)))
    found = next(chain(by_flag, by_value), None)
    return None if found is None else file.at(*found)


def _texts(value: Any) -> Iterator[str]:
    """How messages show a value: each of a list; a number in quotes, for figures are in many."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str) and each.strip():
            yield each
        elif isinstance(each, int | float) and not isinstance(each, bool):
            yield f"'{_number(each)}'"


def _has(message: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", message) is not None


def read_request(path: str | os.PathLike[str], preparing: bool = False) -> dict[str, Any]:
    """The flags in a request file, each as the command line would hand it over. Raises as ``with_request``.

    Args:
        path: of the file.
        preparing: whether the flags are wanted with which data are prepared, and ``data``; else those of a request.
    """
    wanted = {*_OF_PREPARE, _DATA} if preparing else FLAGS.keys()
    file = read_toml_file(path, os.fspath(path), _HINT)
    found: dict[str, Any] = {}
    lines: dict[str, tuple[str, ...]] = {}
    for keys, given in _entries(file):
        flag = _flag(file, keys)
        if flag.name in found:
            first = file.line(*lines[flag.name])
            raise UsageError(f"{file.at(*keys)}: {flag.name} is there already, in line {first}", "keep one of the two")
        found[flag.name], lines[flag.name] = _value(file, keys, flag, given), keys
    if not found and not file.values.keys() & set(_OTHERS):
        raise UsageError(f"{file.name} has nothing in it", _HINT)
    return {name: value for name, value in found.items() if name in wanted}


def _entries(file: TomlFile) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each key with its value, from the top and from the tables."""
    for key, value in file.values.items():
        if not isinstance(value, dict):
            yield (key,), value
        elif key in TABLES:
            yield (key,), units.pairs(value)
        elif key in GROUPS:
            yield from (((key, inner), each) for inner, each in value.items())
        elif key not in _OTHERS:
            if _name(key) in FLAGS:
                raise UsageError(f"{file.at(key)}: {key} cannot be a table", f"write it as in: {_name(key)} = …")
            raise file.unknown((key,), (*GROUPS, *_OTHERS), "table")


def _flag(file: TomlFile, keys: tuple[str, ...]) -> Flag:
    """The flag that a key names. No two have one name, so it may stand in any table."""
    name = _name(keys[-1])
    if name in FLAGS:
        return FLAGS[name]
    if keys[0] == _DATA and name in _OF_PREPARE:
        return _OF_PREPARE[name]
    own = [flag.name for flag in GROUPS[keys[0]]] if len(keys) > 1 else list(FLAGS)
    if keys[0] == _DATA:
        own += _OF_PREPARE
    if name in _MEANT and _MEANT[name] in own:
        raise file.unknown(keys, own, near=(_MEANT[name],))
    # What is near in its own table is meant, and not what is called alike elsewhere.
    raise file.unknown(keys, own if nearest(name, own) or not nearest(name, FLAGS) else FLAGS)


def _name(key: str) -> str:
    # Who writes --seq-len writes seq-len as well.
    return key.replace("-", "_")


def _value(file: TomlFile, keys: tuple[str, ...], flag: Flag, given: Any) -> Any:
    try:
        return flag_value(flag, given, file.folder, keys[-1])
    except UsageError as error:
        raise UsageError(f"{file.at(*keys)}: {error.message}", error.hint or f"{flag.name}: {flag.help}") from error


def flag_value(flag: Flag, given: Any, folder: Path, key: str) -> Any:
    """What a file holds for a flag, as the command line would hand it over, once it is known to be possible.

    Args:
        flag: whose value it is.
        given: as decoded from TOML or JSON.
        folder: that paths are from.
        key: how an error calls it.

    Raises:
        UsageError: the flag cannot be that.
    """
    several = get_origin(flag.kind) is list
    kind = get_args(flag.kind)[0] if several else flag.kind
    value: Any
    if several:
        value = [
            _one(flag, key, kind, folder, each) for each in (given if isinstance(given, list | tuple) else [given])
        ]
    else:
        value = _one(flag, key, kind, folder, given)
    if flag.parse:
        flag.parse(value, key)
    elif flag.name in SETTINGS:
        _set(SETTINGS[flag.name].parse, key, value)
    return value


def _set(parse: Any, key: str, value: Any) -> None:
    try:
        parse(value)
    except UsageError as error:
        raise UsageError(f"{key} {error.message}, not {shown(value)}", error.hint) from error


def _one(flag: Flag, key: str, kind: Any, folder: Path, given: Any) -> Any:
    """One value in the type that Typer would give it."""
    if kind is bool:
        if isinstance(given, bool):
            return given
        raise UsageError(f"{key} must be true or false, not {shown(given)}")
    if isinstance(given, date | time):
        given = given.isoformat()
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise UsageError(f"{key} must be a text or a number, not {shown(given)}")
    text = given if isinstance(given, str) else _number(given)
    if not text.strip():
        raise UsageError(f"{key} is empty")
    is_file = kind is Path or (flag.name == "keras" and text.endswith(_MODEL_FILES))
    if not is_file:
        return text
    if not isinstance(given, str):
        raise UsageError(f"{key} must be a path in quotes, not {shown(given)}")
    try:
        path = folder / Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{key} {text}: {error}", "write the whole path") from error
    return path if kind is Path else os.fspath(path)


def _number(value: float) -> str:
    """As people write it: 7e+09, not 7000000000.0."""
    short = f"{value:g}"
    return short if isinstance(value, float) and float(short) == value else repr(value)
