"""The bundled table of named configurations: one row of ``data/named_configurations.csv`` is one model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.adapters.tables.recipes import read_recipes
from zenplan.domain.model.workload import PreTraining
from zenplan.errors import DataError
from zenplan.families.configurations.by_name import NamedConfiguration
from zenplan.families.transformer.presets import plain

COLUMNS = ("name", "aliases", "parameters", "library", "unit", "written", "source", "date", "config")


@cache
def read_named_configurations(text: str | None = None) -> Mapping[str, NamedConfiguration]:
    """The models by name, in the table's order, each with its recipe; ``text`` is a table to read instead of the bundled
    one.

    Raises:
        DataError: a column is missing, a cell is not what its column holds, or a name comes twice.
    """
    found: dict[str, NamedConfiguration] = {}
    owners: dict[str, str] = {}
    recipes = read_recipes()
    for row in data_rows("named_configurations.csv", COLUMNS, text):
        model = _model(row, recipes.get(row.cells["name"]))
        for name in (model.name, *model.aliases):
            owner = owners.setdefault(plain(name), model.name)
            if owner != model.name or model.name in found:
                raise row.wrong("name", f"{name} belongs to {owner}")
        found[model.name] = model
    return MappingProxyType(found)


@cache
def configurations_by_alias() -> Mapping[str, str]:
    """Other names of the bundled models, as ``plain`` writes them, to their names."""
    models = read_named_configurations().values()
    return MappingProxyType({plain(alias): model.name for model in models for alias in model.aliases})


def _model(row: DataRow, pretraining: PreTraining | None) -> NamedConfiguration:
    cells = row.cells
    try:
        config = json.loads(cells["config"])
    except ValueError as error:
        raise row.wrong("config", f"it is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise row.wrong("config", "it is not an object")
    try:
        return NamedConfiguration(
            name=cells["name"],
            aliases=tuple(cells["aliases"].split()),
            parameters=row.number("parameters"),
            library=cells["library"],
            unit=cells["unit"],
            written=row.whole_or_zero("written") if cells["written"] else 0,
            source=cells["source"],
            date=cells["date"],
            config=config,
            pretraining=pretraining,
        )
    except DataError as error:
        raise row.invalid(error) from error
