"""Saved plans: the published document of an estimate in a file, written by ``--save`` and read by whoever needs it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

from zenplan import documents, units
from zenplan.adapters.files.regular_file import decoded, open_regular, read_text
from zenplan.adapters.files.whole_file import write_whole
from zenplan.commands.estimate.document import EstimateDocument
from zenplan.commands.shared.document import RangeDocument
from zenplan.domain.range import Range
from zenplan.errors import DataError, InputFileError, UsageError, ZenplanError, shown

SCHEMA: Final = str(EstimateDocument.__struct_config__.tag)
MOST_BYTES: Final = int(64 * units.MB)
_HINT: Final = "give a plan that 'zenplan estimate --save plan.json' wrote"
# What a plan begins with, of any version: its schema is written first.
_BEGINNING: Final = re.compile(r'\s*\{\s*"schema"\s*:\s*"zenplan\.estimate/')
_BEGINNING_BYTES: Final = 1000


def read_plan(path: str | os.PathLike[str]) -> EstimateDocument:
    """The plan in that file, checked as a whole; what a terminal would not show is taken out of its texts.

    Raises:
        ZenplanError: there is no such file, or it holds something else: not JSON, another document, another version,
            a value that is out of its bounds.
    """
    what = f"plan {os.fspath(path)}"
    try:
        text = read_text(path, what, MOST_BYTES, _HINT)
        _check_schema(decoded(text, json.loads, what, "JSON", _HINT), what)
    except InputFileError as error:
        raise ZenplanError(error.message, error.hint) from error
    try:
        found = documents.decode(text, EstimateDocument, what, foreign=True)
        _check(found, what)
    except DataError as error:
        raise ZenplanError(error.message, _HINT) from error
    return found


def _check_schema(found: Any, what: str) -> None:
    """Raise ZenplanError if a document is no estimate of the version that is read here."""
    schema = found.get("schema") if isinstance(found, dict) else None
    name, _, version = SCHEMA.partition("/")
    given, _, of_version = schema.partition("/") if isinstance(schema, str) else ("", "", "")
    if given != name:
        kind = f"it is {schema}" if isinstance(schema, str) and given.startswith("zenplan.") else "it has no schema"
        raise ZenplanError(f"{what} is no saved plan: {kind[:80]}", _HINT)
    if schema == SCHEMA:
        return
    of_plan, own = units.digits_of(of_version, 10**6), int(version)
    if of_plan is None:
        raise ZenplanError(f"{what} is of version {shown(of_version)}, which there is not", _HINT)
    newer = of_plan > own
    raise ZenplanError(
        f"{what} is of {'the newer' if newer else 'the older'} version {of_plan}, and this zenplan reads {own}",
        "read it with a newer zenplan" if newer else "make it again with 'zenplan estimate --save'",
    )


def _check(document: EstimateDocument, what: str) -> None:
    """Raise DataError for what the bounds of single fields do not hold: days that exist, ranges in order."""
    for where, each in _below(document, ""):
        if isinstance(each, RangeDocument):
            try:
                Range(low=each.low, mid=each.mid, high=each.high)
            except DataError as error:
                raise DataError(f"{what}: {error.message} - at `${where}`") from error
    for day in (document.today, document.finish, *(point.price_as_of for point in document.frontier)):
        if day is not None:
            _day(day, what)
    for quote in document.quotes:
        for price in (quote.prices.on_demand, quote.prices.spot):
            if price is not None and price.as_of is not None:
                _day(price.as_of, what)


def _below(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Every object in the document, with its place."""
    if isinstance(value, documents.Document):
        yield where, value
        for name in value.__struct_fields__:
            yield from _below(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _below(each, f"{where}[{index}]")


def _day(text: str, what: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{what}: there is no day {text}") from error


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
