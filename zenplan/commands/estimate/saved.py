"""A plan that was saved: the JSON of ``zenplan estimate``, read again as what nobody vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from zenplan import units
from zenplan.adapters.files.regular_file import read_text
from zenplan.commands.estimate.document import EstimateDocument
from zenplan.documents import decode, published
from zenplan.errors import DataError, InputFileError, shown

MOST_BYTES: Final = int(64 * units.MB)
_HINT: Final = "give a file that 'zenplan estimate --format json' wrote"
# More than there is of anything; products of a few are still finite.
_MOST: Final = 1e60
_DAYS: Final = ("today", "finish", "as_of", "price_as_of")


class _Head(msgspec.Struct):
    schema: str = ""


def read_plan(path: Path) -> dict[str, Any]:
    """The document of the plan in that file, in JSON types.

    Raises:
        DataError: it cannot be read, is no plan, of another version, or holds what cannot be; the message says what.
    """
    what = f"the plan {str(path)!r}"
    try:
        text = read_text(path, what, MOST_BYTES, _HINT)
        _check_version(decode(text, _Head, what).schema, what)
        document = published(decode(text, EstimateDocument, what, foreign=True))
    except InputFileError as error:
        raise DataError(error.message, error.hint) from error
    except DataError as error:
        raise DataError(error.message, error.hint or _HINT) from error
    for wrong in _impossible(document, ""):
        raise DataError(f"{what}: {wrong}", _HINT)
    return document


def _check_version(schema: str, what: str) -> None:
    ours = str(EstimateDocument.__struct_config__.tag)
    name, _, version = ours.partition("/")
    given, _, of = schema.partition("/")
    if given != name:
        raise DataError(f"{what} is no plan: its schema is {shown(schema)}, not {ours}")
    if of != version:
        newer = of.isascii() and of.isdigit() and len(of) < 10 and int(of) > int(version)
        hint = "a newer zenplan reads it" if newer else "estimate it again with this zenplan"
        raise DataError(f"{what} is of version {shown(of)}, and this zenplan reads {version}", hint)


def _impossible(value: Any, place: str) -> Iterator[str]:
    """What the bounds of single fields do not tell: ranges that are none, days that no calendar has, sheer size."""
    if isinstance(value, dict):
        if value.keys() == {"low", "mid", "high"} and not value["low"] <= value["mid"] <= value["high"]:
            yield f"{place}: the range {value['low']:g}, {value['mid']:g}, {value['high']:g} is not in order"
        for name, each in value.items():
            yield from _no_day(each, f"{place}.{name}") if name in _DAYS else ()
            yield from _impossible(each, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _impossible(each, f"{place}[{number}]")
    elif isinstance(value, int | float) and abs(value) > _MOST:
        yield f"{place}: there is not so much of anything"


def _no_day(value: Any, place: str) -> Iterator[str]:
    try:
        date.fromisoformat(value or "2000-01-01")
    except ValueError:
        yield f"{place.lstrip('.')}: {shown(value)} is no day"
