"""The file that a run was asked for with, whole: what stood in a file and what was given beside it, as TOML."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zenplan.commands.shared.options import GROUPS, Flag
from zenplan.commands.train.flags import BY_NAME, OPTIONS, TABLE


def request_text(given: Mapping[str, Any], options: Mapping[str, Any], compiled: bool | None) -> str:
    """The file.

    Args:
        given: flags of a request and of a run by name, as texts; paths become whole ones.
        options: of the kind of model.
        compiled: as it was asked for; None where nothing was.
    """
    # What both know, as the model, is the run's.
    tables = {
        name: {f.name: _as_number(f, given[f.name]) for f in flags if _is_own(f, given)}
        for name, flags in GROUPS.items()
    }
    train = {
        name: _as_number(BY_NAME[name], value) for name, value in given.items() if name in BY_NAME and value is not None
    }
    tables[TABLE] = {**train, **({} if compiled is None else {"compiled": compiled})}
    tables[f"{TABLE}.{OPTIONS}"] = dict(options)
    lines = ["# What this run was asked for with; 'zenplan train run.toml' asks for another like it."]
    for name, values in tables.items():
        if values:
            lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _is_own(flag: Flag, given: Mapping[str, Any]) -> bool:
    return flag.name not in BY_NAME and given.get(flag.name) is not None


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _as_number(flag: Flag, value: Any) -> Any:
    """The text of a flag that is read as a number, as that number; any other value as it is."""
    import tomllib

    if flag.parse is None or not isinstance(value, str):
        return value
    try:
        found = tomllib.loads(f"value = {value.strip()}\n")["value"]
    except tomllib.TOMLDecodeError:
        return value
    return _Number(value.strip()) if isinstance(found, int | float) and not isinstance(found, bool) else value


def _value(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Path):
        return json.dumps(os.fspath(value.absolute()), ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False)
