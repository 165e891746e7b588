"""The table ``[search]`` of a request file: which settings are tried, how many of them, and what they may cost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.toml_file import TomlFile, read_toml_file
from zenplan.commands.shared.options import FLAGS
from zenplan.commands.shared.request_file import flag_value
from zenplan.commands.train.flags import BY_NAME, LIMITS, OPTIONS, REQUEST
from zenplan.errors import DataError, UsageError, shown
from zenplan.planning.watch.trials import Between, Field, Value, drawn, grid

TABLE, FIELDS = "search", "fields"
_FILE_HINT: Final = "'zenplan train init decoder run.toml' writes one to begin with"
_KEYS: Final = ("trials", "seed", "early_stopping", "max_usd", FIELDS)
_ENDS: Final = ("low", "high", "log", "whole")
_HINT: Final = "as in: [search.fields] and learning_rate = [1e-3, 3e-3], or { low = 1e-4, high = 1e-2, log = true }"
# What is the same for all trials: their data, where they run and what they may take.
_SAME: Final = ("data", "text_column", "tokenizer", "device", *LIMITS)
_MOST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search that was asked for.

    Attributes:
        fields: what is tried of each; ``options.width`` is one of the model's own.
        trials: how many at random; None for every combination.
        seed: of chance.
        early_stopping: whether a trial that is behind the others is given up.
        max_usd: that all trials may cost together; None for no limit.
    """

    fields: Mapping[str, Field]
    trials: int | None = None
    seed: int = 0
    early_stopping: bool = True
    max_usd: float | None = None

    def combinations(self) -> list[dict[str, Value]]:
        """The settings of each trial, in their order."""
        if self.trials is not None:
            return drawn(self.fields, self.trials, self.seed)
        return grid({name: field for name, field in self.fields.items() if not isinstance(field, Between)})


def has_search(path: Path) -> bool:
    """Whether the file asks for one. Raises InputFileError: it cannot be read."""
    return TABLE in read_toml_file(path, os.fspath(path), _FILE_HINT).values


def read_search(path: Path) -> Search:
    """The search of a file.

    Raises:
        UsageError: a key is unknown, or its value cannot be used; the message names the line.
        InputFileError: the file cannot be read.
    """
    file = read_toml_file(path, os.fspath(path), _HINT)
    table = file.values[TABLE]
    if not isinstance(table, dict):
        raise UsageError(f"{file.at(TABLE)}: {TABLE} must be a table", _HINT)
    for key in table:
        if key not in _KEYS:
            raise file.unknown((TABLE, key), _KEYS)
    early = table.get("early_stopping", True)
    if not isinstance(early, bool):
        raise UsageError(
            f"{file.at(TABLE, 'early_stopping')}: early_stopping must be true or false, not {shown(early)}"
        )
    found = Search(
        fields=_fields(file, table.get(FIELDS)),
        trials=_whole(file, table, "trials", 1),
        seed=_whole(file, table, "seed", 0) or 0,
        early_stopping=early,
        max_usd=_usd(file, table.get("max_usd")),
    )
    between = next((name for name, field in found.fields.items() if isinstance(field, Between)), None)
    if found.trials is None and between:
        raise UsageError(f"{file.at(TABLE)}: {between} has no end of values, and nothing says how many", "trials = 20")
    if found.trials is None and len(found.combinations()) > _MOST:
        raise UsageError(
            f"{file.at(TABLE)}: {len(found.combinations()):,} trials are more than {_MOST:,}", "trials = 20"
        )
    return found


def _whole(file: TomlFile, table: Mapping[str, Any], key: str, least: int) -> int | None:
    value = table.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST**3):
        return value
    raise UsageError(f"{file.at(TABLE, key)}: {key} must be a whole number from {least} on, not {shown(value)}")


def _usd(file: TomlFile, value: Any) -> float | None:
    if value is None:
        return None
    try:
        return units.parse_usd(str(value), "max_usd")
    except UsageError as error:
        raise UsageError(f"{file.at(TABLE, 'max_usd')}: {error.message}", error.hint) from error


def _fields(file: TomlFile, table: Any) -> dict[str, Field]:
    if not isinstance(table, dict) or not table:
        raise UsageError(f"{file.at(TABLE)}: nothing says what is to be tried", _HINT)
    known = {flag.name: flag for flag in (*BY_NAME.values(), *REQUEST) if flag.name not in _SAME}
    found: dict[str, Field] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name == OPTIONS:
            if not isinstance(value, dict) or not value:
                raise UsageError(
                    f"{file.at(TABLE, FIELDS, key)}: options must be a table of fields", "width = [64, 128]"
                )
            found |= {
                f"{OPTIONS}.{inner}": _field(file, (TABLE, FIELDS, key, inner), each) for inner, each in value.items()
            }
            continue
        if name not in known:
            raise file.unknown((TABLE, FIELDS, key), (*known, OPTIONS))
        field = _field(file, (TABLE, FIELDS, key), value)
        flag = BY_NAME.get(name) or FLAGS[name]
        for each in (field.low, field.high) if isinstance(field, Between) else field:
            try:
                flag_value(flag, each, file.folder, key)
            except UsageError as error:
                raise UsageError(f"{file.at(TABLE, FIELDS, key)}: {error.message}", error.hint) from error
        found[name] = field
    return found


def _field(file: TomlFile, keys: tuple[str, ...], value: Any) -> Field:
    """A list of values, or ends."""
    at = file.at(*keys)
    if isinstance(value, list) and value and all(isinstance(each, str | bool | int | float) for each in value):
        if len({repr(each) for each in value}) < len(value):
            raise UsageError(f"{at}: {keys[-1]} has a value twice", "leave one of them out")
        return tuple(value)
    if isinstance(value, dict) and {"low", "high"} <= value.keys() <= set(_ENDS):
        low, high = value["low"], value["high"]
        if all(isinstance(each, int | float) and not isinstance(each, bool) for each in (low, high)):
            whole = isinstance(low, int) and isinstance(high, int)
            try:
                return Between(low=low, high=high, log=bool(value.get("log")), whole=bool(value.get("whole", whole)))
            except DataError as error:
                raise UsageError(f"{at}: {error.message}", _HINT) from error
    raise UsageError(f"{at}: {keys[-1]} must be a list of values, or low and high", _HINT)
