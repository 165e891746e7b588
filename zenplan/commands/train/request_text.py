"""The file that a run was asked for with, whole: what stood in a file and what was given beside it, as TOML."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zenplan.commands.shared.options import GROUPS
from zenplan.commands.train.flags import BY_NAME, OPTIONS, TABLE


def request_text(given: Mapping[str, Any], options: Mapping[str, Any], compiled: bool | None) -> str:
    """The file.

    Args:
        given: flags of a request and of a run by name, as texts; paths become whole ones.
        options: of the kind of model.
        compiled: as it was asked for; None where nothing was.
    """
    tables = {
        name: {f.name: given[f.name] for f in flags if given.get(f.name) is not None} for name, flags in GROUPS.items()
    }
    train = {name: value for name, value in given.items() if name in BY_NAME and value is not None}
    tables[TABLE] = {**train, **({} if compiled is None else {"compiled": compiled})}
    tables[f"{TABLE}.{OPTIONS}"] = dict(options)
    lines = ["# What this run was asked for with; 'zenplan train run.toml' asks for another like it."]
    for name, values in tables.items():
        if values:
            lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Path):
        return json.dumps(os.fspath(value.absolute()), ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False)
