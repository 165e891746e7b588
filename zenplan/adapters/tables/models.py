"""The bundled table of published models: one row of ``data/models.csv`` is one preset."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from zenplan.errors import DataError
from zenplan.families.transformer.lowering import Experts, LatentAttention, TransformerShape
from zenplan.families.transformer.presets import Preset, plain

# Columns that are read as they stand into the fields of the same name.
_WHOLE = ("layers", "width", "heads", "ff_width", "vocab", "seq_len")
_WHOLE_OR_NONE = ("kv_heads", "head_dim")
_WHOLE_OR_ZERO = ("positions", "segments", "encoder_layers", "encoder_seq_len")
_SWITCHES = ("gated", "tied", "biases", "norm_biases", "head_transform", "dropout")
_EXPERTS = {
    "experts": "count",
    "experts_active": "active",
    "expert_width": "width",
    "shared_width": "shared_width",
    "dense_layers": "dense_layers",
}
_LATENT = ("query_rank", "kv_rank", "rope_dim", "nope_dim", "value_dim")
_TEXT = ("name", "aliases", "family", "windows", "parameters", "tolerance", "status", "date", "source")
COLUMNS = (*_TEXT, *_WHOLE, *_WHOLE_OR_NONE, *_WHOLE_OR_ZERO, *_SWITCHES, *_EXPERTS, *_LATENT)


def read_models(text: str | None = None) -> Mapping[str, Preset]:
    """The presets by name, in the table's order; ``text`` is a table to read instead of the bundled one.

    Raises:
        DataError: a column is missing, a cell is not what its column holds, or a name comes twice.
    """
    if text is None:
        text = (resources.files("zenplan") / "data" / "models.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    if missing := set(COLUMNS) - set(rows.fieldnames or ()):
        raise DataError(f"models.csv: no column {sorted(missing)[0]}")
    presets: dict[str, Preset] = {}
    owners: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        preset = _preset(row, f"models.csv, line {line}")
        for name in (preset.name, *preset.aliases):
            owner = owners.setdefault(plain(name), preset.name)
            if owner != preset.name:
                raise DataError(f"models.csv, line {line}: the name {name} belongs to {owner}")
        presets[preset.name] = preset
    return MappingProxyType(presets)


@cache
def models_by_name() -> Mapping[str, Preset]:
    """The bundled presets by every name and alias, as ``plain`` writes it."""
    return MappingProxyType({plain(n): p for p in read_models().values() for n in (p.name, *p.aliases)})


def _preset(row: Mapping[str, str | None], where: str) -> Preset:
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    fields: dict[str, Any] = {column: _whole(cells, column, where) for column in _WHOLE}
    fields |= {c: _whole(cells, c, where) for c in (*_WHOLE_OR_NONE, *_WHOLE_OR_ZERO) if cells[c]}
    fields |= {column: _switch(cells, column, where) for column in _SWITCHES}
    if cells["experts"]:
        fields["experts"] = Experts(**{f: _whole(cells, c, where) for c, f in _EXPERTS.items() if cells[c]})
    if cells["kv_rank"]:
        fields["latent"] = LatentAttention(**{column: _whole(cells, column, where) for column in _LATENT})
    try:
        # A window of 0 stands for full attention in that layer.
        fields["windows"] = tuple(int(each) or None for each in cells["windows"].split())
        parameters, tolerance = float(cells["parameters"]), float(cells["tolerance"] or "0.01")
        shape = TransformerShape(family=cells["family"], **fields)
    except (ValueError, DataError) as error:
        raise DataError(f"{where}: {error}") from error
    return Preset(
        name=cells["name"],
        shape=shape,
        parameters=parameters,
        tolerance=tolerance,
        source=cells["source"],
        status=cells["status"],
        date=cells["date"],
        aliases=tuple(cells["aliases"].split()),
    )


def _whole(cells: Mapping[str, str], column: str, where: str) -> int:
    if not cells[column].isdecimal():
        raise DataError(f"{where}: {column} is not a whole number: {cells[column]!r}")
    return int(cells[column])


def _switch(cells: Mapping[str, str], column: str, where: str) -> bool:
    if cells[column] not in ("yes", "no"):
        raise DataError(f"{where}: {column} is neither yes nor no: {cells[column]!r}")
    return cells[column] == "yes"
