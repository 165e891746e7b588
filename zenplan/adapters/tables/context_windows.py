"""How many tokens a model takes at once: a row of ``data/context_windows.csv``, or what its configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from zenplan.adapters.files.csv_file import data_rows
from zenplan.families.transformer.presets import plain

COLUMNS: Final = ("names", "tokens", "source", "status", "date")
_STATUSES: Final = ("read", "recalled")
# Of a configuration, under the names that types have for it.
_KEYS: Final = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length")
# Kinds of scaled rotary positions whose configuration states the scaled window.
_STATED: Final = ("llama3", "longrope", "su", "mrope", "default")


class Window(NamedTuple):
    """Tokens of a prompt and its answer together, and who says so."""

    tokens: int
    source: str


@cache
def read_context_windows(text: str | None = None) -> Mapping[str, Window]:
    """The windows by every name, as ``plain`` writes it; ``text`` is a table to read instead of the bundled one.

    Raises:
        DataError: a column is missing, a cell is not what its column holds, or a name comes twice.
    """
    found: dict[str, Window] = {}
    for row in data_rows("context_windows.csv", COLUMNS, text):
        cells = row.cells
        if cells["status"] not in _STATUSES:
            raise row.wrong("status", f"'{cells['status']}' is not one of {', '.join(_STATUSES)}")
        for name in cells["names"].split():
            if plain(name) in found:
                raise row.wrong("names", f"{name} comes twice")
            found[plain(name)] = Window(row.whole("tokens"), f"{cells['source']} ({cells['status']} {cells['date']})")
    return MappingProxyType(found)


def window_of(options: Mapping[str, Any]) -> Window | None:
    """Of a model by its name or its configuration; None where nobody says.

    Args:
        options: of a family: ``model``, ``config`` or ``params``.
    """
    if isinstance(options.get("model"), str):
        return read_context_windows().get(plain(options["model"]))
    config = options.get("config")
    if not isinstance(config, Mapping):
        return None
    inner = config.get("text_config")
    return _of_config(inner if isinstance(inner, Mapping) else config)


def _of_config(config: Mapping[str, Any]) -> Window | None:
    key, tokens = next(((key, n) for key in _KEYS if (n := _count(config.get(key)))), ("", 0.0))
    scaling = config.get("rope_scaling")
    if isinstance(scaling, Mapping) and scaling.get("rope_type", scaling.get("type")) not in _STATED:
        before, factor = _count(scaling.get("original_max_position_embeddings")), _count(scaling.get("factor"))
        tokens = (before or tokens) * (factor or 1.0)
    return Window(int(tokens), f"{key} of its configuration") if tokens and key else None


def _count(value: Any) -> float | None:
    """A number of tokens, or of times; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 1 <= value < 1e12 else None
