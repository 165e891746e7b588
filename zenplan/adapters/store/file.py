"""A file of calibrations, as teams share it: JSON, written whole or not at all, and read as what nobody vouches for.

Nothing in it is run. The schema is ``data/schemas/calibrations-1.json``.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.document_fields import listed, read_fields, text
from zenplan.adapters.files.regular_file import read_text
from zenplan.adapters.store.document import SCHEMA, calibration_document, read_stored
from zenplan.adapters.store.limits import check_calibrations
from zenplan.domain.measured.stored import Stored
from zenplan.errors import DataError, InputFileError

MOST_BYTES: Final = int(64 * units.MB)
_HINT: Final = "give a file that 'zenplan calibrations export' wrote"


def calibrations_document(calibrations: Iterable[Stored], left_out: Iterable[str] = ()) -> dict[str, Any]:
    """The calibrations as one object, without its schema; and what could not be read of the store, a line each."""
    return {"calibrations": [calibration_document(s) for s in calibrations], "left_out": list(left_out)}


def calibrations_text(calibrations: Iterable[Stored], left_out: Iterable[str] = ()) -> str:
    """The same as text, with its schema."""
    document = {"schema": SCHEMA, **calibrations_document(calibrations, left_out)}
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_calibrations(path: Path, content: str) -> None:
    """The content in that file: all of it, or the file as it was.

    Raises:
        InputFileError: no file can be written there.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise InputFileError(f"{path} is not a regular file", "name a file, or - for the terminal")
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    try:
        try:
            with draft.open("x", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputFileError(
            f"{path} cannot be written: {error.strerror}",
            "name a file in a folder that you may write, with room on its disk",
        ) from error


def read_calibration_file(path: Path, now: datetime) -> tuple[Stored, ...]:
    """The calibrations in that file, as they were exported.

    Args:
        path: of a regular file of at most 64 MB.
        now: none was taken after it, give or take a day.

    Raises:
        InputFileError: it is no such file, or any of its values is impossible; the message says which.
    """
    what = f"the file of calibrations {os.fspath(path)!r}"
    decoded = _decoded(read_text(path, what, MOST_BYTES, _HINT), what)
    try:
        found = _read(decoded)
        check_calibrations([stored.calibration for stored in found], now)
    except DataError as error:
        raise InputFileError(f"{what}: {error.message}", _HINT) from error
    return found


def _read(decoded: Any) -> tuple[Stored, ...]:
    schema = decoded.get("schema") if isinstance(decoded, dict) else None
    name, _, version = SCHEMA.partition("/")
    if isinstance(schema, str) and schema.startswith(f"{name}/") and schema != SCHEMA:
        raise DataError(f"it is of version {schema.partition('/')[2][:20]}, and this zenplan reads {version}")
    if schema != SCHEMA:
        raise DataError(f"it has no schema {SCHEMA}")
    readers = {"schema": text, "calibrations": listed(read_stored), "left_out": listed(text)}
    found: tuple[Stored, ...] = read_fields(decoded, "it", readers)["calibrations"]
    return found


def _decoded(content: str, what: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_not_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputFileError(f"{what} is not JSON: {error.msg} ({where})", _HINT) from error
    except RecursionError as error:
        raise InputFileError(f"{what} is nested too deeply", _HINT) from error
    except DataError as error:
        raise InputFileError(f"{what}: {error.message}", _HINT) from error
    except ValueError as error:
        # Python refuses whole numbers of more than 4,300 digits, with a ValueError that has no place.
        raise InputFileError(f"{what} holds a number that is too long", _HINT) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{twice[:40]} is there twice in one object")
    return found


def _not_finite(name: str) -> float:
    raise DataError(f"{name} is no number")
