"""A folder of prepared data: ``data.json``, which describes its arrays, their files, and ``card.json``, what became of the
data. ``worker/training`` reads them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from zenplan import documents
from zenplan.adapters.files.regular_file import decoded, read_text
from zenplan.domain.training.data_card import DataCard
from zenplan.errors import DataError, InputFileError

SCHEMA: Final = "zenplan.prepared/1"
CARD_SCHEMA: Final = "zenplan.data_card/1"
_DATA, _CARD = "data.json", "card.json"
_HINT: Final = "'zenplan data prepare' writes such a folder"
_MOST_BYTES: Final = 100 * 10**6
_PIECE: Final = 1 << 22


def is_prepared(folder: Path) -> bool:
    """Whether prepared data lie there."""
    try:
        read_data(folder)
    except (InputFileError, DataError):
        return False
    return True


def read_data(folder: Path) -> dict[str, Any]:
    """The description in ``data.json``.

    Raises:
        InputFileError: it is not there, or no JSON.
        DataError: it describes something else.
    """
    found = _read(folder / _DATA)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise DataError(f"'{folder / _DATA}' is not of {SCHEMA}", _HINT)
    return found


def read_card(folder: Path) -> DataCard:
    """The data card. Raises as ``read_data``."""
    found = _read(folder / _CARD)
    if not isinstance(found, dict) or found.pop("schema", None) != CARD_SCHEMA:
        raise DataError(f"'{folder / _CARD}' is not of {CARD_SCHEMA}", _HINT)
    return documents.convert(found, DataCard, f"'{folder / _CARD}'")


def write_prepared(folder: Path, data: Mapping[str, Any]) -> str:
    """Write ``data.json`` beside the files that it describes.

    Returns:
        The fingerprint of the folder, which is in it.
    """
    found = fingerprint(folder, data)
    text = documents.encode({"schema": SCHEMA, "fingerprint": found, **data}, indent=2)
    (folder / _DATA).write_text(f"{text}\n", encoding="utf-8")
    return found


def write_card(folder: Path, card: DataCard) -> None:
    """Write ``card.json``."""
    text = documents.encode({"schema": CARD_SCHEMA, **documents.plain(card)}, indent=2)
    (folder / _CARD).write_text(f"{text}\n", encoding="utf-8")


def fingerprint(folder: Path, data: Mapping[str, Any]) -> str:
    """A SHA-256 over the description and each file of the folder, by its name; the card, which has times, is not in it."""
    described = {name: value for name, value in data.items() if name not in ("schema", "fingerprint")}
    whole = hashlib.sha256(documents.encode(dict(sorted(described.items()))).encode("utf-8"))
    for file in sorted(folder.iterdir()):
        if file.name in (_DATA, _CARD):
            continue
        own = hashlib.sha256()
        with file.open("rb") as opened:
            while part := opened.read(_PIECE):
                own.update(part)
        whole.update(f"\n{file.name} {own.hexdigest()}".encode())
    return whole.hexdigest()


def _read(path: Path) -> Any:
    import json

    what = f"the prepared data '{os.fspath(path)}'"
    return decoded(read_text(path, what, _MOST_BYTES, _HINT), json.loads, what, "JSON", _HINT)
