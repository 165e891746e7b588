"""Tables that were fetched, in the user's cache: a folder for each provider, a file for each table, the last the newest.

A file has a line of JSON that says what it is, and below it the table as CSV: reading it costs no more than reading one
that ships with zenplan. It is written whole or not at all. One of a newer format is left alone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from zenplan import units
from zenplan.adapters.files.csv_file import NotCsv
from zenplan.adapters.files.regular_file import read_text
from zenplan.adapters.prices.place import VARIABLE
from zenplan.adapters.prices.table import known_terms, table_from
from zenplan.adapters.prices.written import price_csv
from zenplan.domain.market.offer import PriceTable, Terms
from zenplan.domain.market.provider import ProviderClass
from zenplan.errors import DataError, InputFileError, ZenplanError

FORMAT: Final = 1
_NAME: Final = "zenplan.price-table"
# Of each provider: a month, where somebody refreshes daily.
MOST_KEPT: Final = 30
_MOST_BYTES: Final = int(64 * units.MB)
_SUFFIX, _STAMP = ".csv", "%Y%m%dT%H%M%S.%fZ"
# Credits are the user's own; what binds stands in the row of its offer.
_TERMS: Final = frozenset(field.name for field in fields(Terms)) - {"credits", "committed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A table that was fetched, ``table.fetched_at``, and the rows of it that cannot be right, with the reason."""

    table: PriceTable
    set_aside: tuple[str, ...] = ()


class KeptTables:
    """The tables in a folder.

    Args:
        folder: which need not be there; None has none.
        warn: told of a file that is not read, and why.
    """

    def __init__(self, folder: Path | None, warn: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder
        self._warn = warn

    def providers(self) -> tuple[str, ...]:
        """Names of those of whom there is a table."""
        names = map(unquote, _listed(self.folder))
        return tuple(sorted(name for name in names if self._names(name)))

    def newest(self, provider: str) -> Kept | None:
        """The last of that provider that can be read."""
        return next(self.all_of(provider), None)

    def all_of(self, provider: str) -> Iterator[Kept]:
        """Those of that provider that can be read, the newest first."""
        for name in reversed(self._names(provider)):
            path = self._place(provider) / name
            try:
                yield _read(path, provider)
            except DataError as error:
                self._warn(f"fetched prices {path}: {error.message}; {error.hint}")

    def keep(self, fetched: PriceTable, set_aside: tuple[str, ...] = ()) -> PriceTable:
        """Put it down as the newest of its provider, fetched now; the oldest goes. Raises ZenplanError: there is no room."""
        from zenplan.adapters.files.whole_file import DRAFT, write_whole

        now = datetime.now(UTC)
        provider, table = fetched.provider, replace(fetched, fetched_at=now)
        place = self._place(provider)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ZenplanError(f"{place} cannot be made: {error.strerror}", _ELSEWHERE) from error
        # What a refresh that was killed has left.
        for left in place.glob(f"{DRAFT}*"):
            left.unlink(missing_ok=True)
        write_whole(place / f"{now.strftime(_STAMP)}{_SUFFIX}", _text(table, set_aside))
        for name in self._names(provider)[:-MOST_KEPT]:
            if _format_of(place / name) == FORMAT:
                (place / name).unlink(missing_ok=True)
        return table

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else refreshes them. Raises ZenplanError: somebody does, or the folder cannot be made."""
        if self.folder is None:
            raise ZenplanError(f"there is no folder for fetched prices: {VARIABLE} is empty", "unset it")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ZenplanError(f"{self.folder} cannot be written: {error.strerror}", _ELSEWHERE) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise ZenplanError("prices are being refreshed already", "wait until that is done") from error
        finally:
            # However the process ends, the system lets go of it.
            os.close(lock)

    def _place(self, provider: str) -> Path:
        # A name may be any text: one with a slash, or of dots alone, would lead out of the folder.
        return (self.folder or Path()) / quote(provider, safe="").replace(".", "%2E")

    def _names(self, provider: str) -> list[str]:
        """Files of that provider's tables, the oldest first."""
        found = _listed(self._place(provider) if self.folder else None)
        return sorted(name for name in found if name.endswith(_SUFFIX) and name[0] != ".")


_ELSEWHERE: Final = f"{VARIABLE} names another folder"


def _listed(folder: Path | None) -> list[str]:
    """Names in a folder; none where there is no such folder."""
    try:
        return [entry.name for entry in os.scandir(folder)] if folder else []
    except OSError:
        return []


def _text(table: PriceTable, set_aside: tuple[str, ...]) -> str:
    head = {
        "schema": f"{_NAME}/{FORMAT}",
        "provider": table.provider,
        "fetched_at": table.fetched_at and table.fetched_at.isoformat(),
        "kind": table.kind.value,
        "terms": None if table.terms == known_terms(table.provider) else _plain(table.terms),
        "set_aside": set_aside,
    }
    return f"{json.dumps(head)}\n{price_csv(table.offers)}"


def _read(path: Path, provider: str) -> Kept:
    """The table of that file. Raises DataError: it is none, or of a newer format."""
    try:
        first, _, rest = read_text(path, "it", _MOST_BYTES, _REFRESH).partition("\n")
        head = _head(first)
        given = head["terms"]
        terms = known_terms(provider) if given is None else _terms(given) if given else None
        table = table_from(rest, provider, f"fetched from {provider}", terms)
        at, kind = datetime.fromisoformat(head["fetched_at"]), ProviderClass(head["kind"])
        return Kept(table=replace(table, kind=kind, fetched_at=at), set_aside=tuple(map(str, head["set_aside"])))
    except InputFileError as error:
        raise DataError(error.message, _REFRESH) from error
    except NotCsv as error:
        raise DataError(f"it is spoilt: {error.message}", _REFRESH) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("it is spoilt", _REFRESH) from error


def _plain(terms: Terms | None) -> dict[str, Any]:
    """Terms as JSON; nothing, where a provider has none though zenplan knows some."""
    return {} if terms is None else asdict(terms)


def _terms(head: Mapping[str, Any]) -> Terms:
    """The same as they were; without what a newer zenplan knows of them."""
    known = {name: head[name] for name in head.keys() & _TERMS}
    own = tuple((begins_with, _terms(of)) for begins_with, of in known.pop("exceptions", ()))
    return Terms(**known, exceptions=own)


_REFRESH: Final = "'zenplan prices refresh' fetches them again"


def _head(line: str) -> Mapping[str, Any]:
    """What the first line says. Raises DataError: a newer zenplan wrote it; ValueError, TypeError: nobody did."""
    head = json.loads(line)
    name, _, version = head["schema"].partition("/")
    if name != _NAME:
        raise ValueError(name)
    if int(version) > FORMAT:
        raise DataError(
            f"a newer zenplan wrote it (format {int(version)})", "it is left alone; install that release to use it"
        )
    return dict(head)


def _format_of(path: Path) -> int | None:
    """The format of that file; None where it is none of ours."""
    with (
        suppress(OSError, ValueError, TypeError, KeyError, AttributeError, DataError),
        path.open(encoding="utf-8") as file,
    ):
        return int(_head(file.readline(_MOST_BYTES))["schema"].partition("/")[2])
    return None
