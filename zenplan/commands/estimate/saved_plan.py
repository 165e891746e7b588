"""Saved plans: the published document of an estimate in a file, written by ``--save`` and read by whoever needs it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from zenplan import documents, units
from zenplan.adapters.files.regular_file import open_regular, read_text
from zenplan.adapters.files.whole_file import write_whole
from zenplan.commands.estimate.document import EstimateDocument
from zenplan.errors import DataError, InputFileError, UsageError, shown

SCHEMA: Final = str(EstimateDocument.__struct_config__.tag)
MOST_BYTES: Final = int(64 * units.MB)
_HINT: Final = "give a plan that 'zenplan estimate --save plan.json' wrote"
# More than there is of anything; products of a few are still finite.
_MOST: Final = 1e60
_RANGE: Final = {"low", "mid", "high"}
_DAYS: Final = ("today", "finish", "as_of", "price_as_of")
# What a plan begins with, of any version: its schema is written first.
_BEGINNING: Final = re.compile(r'\s*\{\s*"schema"\s*:\s*"zenplan\.estimate/')
_BEGINNING_BYTES: Final = 1000


class _Head(msgspec.Struct):
    schema: str = ""


def read_plan(path: str | os.PathLike[str]) -> EstimateDocument:
    """The plan in that file, checked as a whole; what a terminal would not show is taken out of its texts.

    Raises:
        DataError: it cannot be read, is no plan, of another version, or holds what cannot be; the message says what.
    """
    what = f"the plan {os.fspath(path)!r}"
    try:
        text = read_text(path, what, MOST_BYTES, _HINT)
        _check_version(documents.decode(text, _Head, what).schema, what)
        found = documents.decode(text, EstimateDocument, what, foreign=True)
    except InputFileError as error:
        raise DataError(error.message, error.hint) from error
    except DataError as error:
        raise DataError(error.message, error.hint or _HINT) from error
    for wrong in _impossible(documents.plain(found), ""):
        raise DataError(f"{what}: {wrong}", _HINT)
    return found


def _check_version(schema: str, what: str) -> None:
    name, _, version = SCHEMA.partition("/")
    given, _, of = schema.partition("/")
    if given != name:
        raise DataError(f"{what} is no plan: its schema is {shown(schema)}, not {SCHEMA}", _HINT)
    if of != version:
        newer = (units.digits_of(of, 10**9) or 0) > int(version)
        hint = "a newer zenplan reads it" if newer else "estimate it again with this zenplan"
        raise DataError(f"{what} is of version {shown(of)}, and this zenplan reads {version}", hint)


def _impossible(value: Any, place: str) -> Iterator[str]:
    """What the bounds of single fields do not say: ranges that are none, days that no calendar has, sheer size."""
    if isinstance(value, dict):
        if value.keys() == _RANGE and not value["low"] <= value["mid"] <= value["high"]:
            yield f"{place}: the range {value['low']:g}, {value['mid']:g}, {value['high']:g} is not in order"
        for name, each in value.items():
            inner = f"{place}.{name}".lstrip(".")
            yield from _no_day(each, inner) if name in _DAYS else ()
            yield from _impossible(each, inner)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _impossible(each, f"{place}[{number}]")
    elif isinstance(value, int | float) and abs(value) > _MOST:
        yield f"{place}: there is not so much of anything"


def _no_day(value: Any, place: str) -> Iterator[str]:
    try:
        date.fromisoformat(value or "2000-01-01")
    except (TypeError, ValueError):
        yield f"{place}: {shown(value)} is no day"


def check_place(path: Path) -> None:
    """Raise if a plan may not be written there: what is there and is no plan stays as it is.

    Raises:
        UsageError: there is a file with something else in it.
        InputFileError: what is there cannot be read, or is no file.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(
            f"{path} cannot be written: {reason}", "name a file in a folder that you may write"
        ) from error
    if path.is_symlink() and not path.exists():
        return
    descriptor = open_regular(path, str(path), float("inf"), "name a file for the plan, as in: --save plan.json")
    with os.fdopen(descriptor, "rb") as file:
        beginning = file.read(_BEGINNING_BYTES)
    if beginning and not _BEGINNING.match(beginning.decode("utf-8", "replace")):
        raise UsageError(f"{path} is there, and is no plan of zenplan", "name another file, or remove that one first")


def write_plan(path: Path, document: EstimateDocument) -> None:
    """The plan in that file: all of it, or the file as it was. Raises ZenplanError, and as ``check_place``."""
    check_place(path)
    write_whole(path, json.dumps(documents.published(document), ensure_ascii=False, indent=2, allow_nan=False) + "\n")
