"""The bundled table of published models: one row of ``data/models.csv`` is one preset."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.adapters.tables.recipes import read_recipes
from zenplan.domain.model.workload import PreTraining
from zenplan.errors import DataError
from zenplan.families.transformer.presets import Preset, plain
from zenplan.families.transformer.shape import Experts, LatentAttention, TransformerShape
from zenplan.units import digits_of

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
# Of its parameters, where the row does not say how far its source rounds.
_TOLERANCE = 0.01
_MOST_WINDOW = 100_000_000
# Before windows that do not slide.
_CHUNKED = "chunked"
COLUMNS = (*_TEXT, *_WHOLE, *_WHOLE_OR_NONE, *_WHOLE_OR_ZERO, *_SWITCHES, *_EXPERTS, *_LATENT)


@cache
def read_models(text: str | None = None) -> Mapping[str, Preset]:
    """The presets by name, in the table's order, each with its recipe; ``text`` is a table to read instead of the
    bundled one.

    Raises:
        DataError: a column is missing, a cell is not what its column holds, or a name comes twice.
    """
    presets: dict[str, Preset] = {}
    owners: dict[str, str] = {}
    recipes = read_recipes()
    for row in data_rows("models.csv", COLUMNS, text):
        preset = _preset(row, recipes.get(row.cells["name"]))
        for name in (preset.name, *preset.aliases):
            owner = owners.setdefault(plain(name), preset.name)
            if owner != preset.name:
                raise row.wrong("name", f"{name} belongs to {owner}")
        presets[preset.name] = preset
    return MappingProxyType(presets)


@cache
def models_by_name() -> Mapping[str, Preset]:
    """The bundled presets by every name and alias, as ``plain`` writes it."""
    return MappingProxyType({plain(n): p for p in read_models().values() for n in (p.name, *p.aliases)})


def _preset(row: DataRow, pretraining: PreTraining | None) -> Preset:
    cells = row.cells
    fields: dict[str, Any] = {column: row.whole(column) for column in _WHOLE}
    fields |= {c: row.whole_or_zero(c) for c in (*_WHOLE_OR_NONE, *_WHOLE_OR_ZERO) if cells[c]}
    fields |= {column: row.switch(column) for column in _SWITCHES}
    if cells["experts"]:
        fields["experts"] = Experts(**{f: row.whole_or_zero(c) for c, f in _EXPERTS.items() if cells[c]})
    if cells["kv_rank"]:
        fields["latent"] = LatentAttention(**{column: row.whole_or_zero(column) for column in _LATENT})
    windows = cells["windows"].split()
    fields["chunked"] = windows[:1] == [_CHUNKED]
    fields["windows"] = tuple(_window(row, each) for each in windows[fields["chunked"] :])
    try:
        return Preset(
            name=cells["name"],
            shape=TransformerShape(family=cells["family"], **fields),
            parameters=row.number("parameters"),
            tolerance=row.number_or_none("tolerance") or _TOLERANCE,
            source=cells["source"],
            status=cells["status"],
            date=cells["date"],
            aliases=tuple(cells["aliases"].split()),
            pretraining=pretraining,
        )
    except DataError as error:
        raise row.invalid(error) from error


def _window(row: DataRow, text: str) -> int | None:
    """A window of 0 stands for full attention in that layer."""
    value = digits_of(text, _MOST_WINDOW)
    if value is None and text != "0":
        raise row.wrong("windows", f"'{text}' is not a whole number")
    return value
