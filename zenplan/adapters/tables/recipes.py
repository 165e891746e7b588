"""The bundled table of published recipes: a row of ``data/recipes.csv`` is how a named language model was pre-trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.domain.model.workload import PreTraining
from zenplan.errors import DataError

_STATUSES = ("read", "recalled")
COLUMNS = ("name", "tokens", "global_batch_tokens", "seq_len", "epochs", "source", "status", "date")


@cache
def read_recipes(text: str | None = None) -> Mapping[str, PreTraining]:
    """The recipes by the model's name; ``text`` is a table to read instead of the bundled one.

    An empty cell is not published.

    Raises:
        DataError: a column is missing, a cell is not what its column holds, or a name comes twice.
    """
    recipes: dict[str, PreTraining] = {}
    for row in data_rows("recipes.csv", COLUMNS, text):
        name = row.cells["name"]
        if not name or name in recipes:
            raise row.wrong("name", f"'{name}' comes twice" if name else "it is empty")
        recipes[name] = _recipe(row)
    return MappingProxyType(recipes)


def _recipe(row: DataRow) -> PreTraining:
    cells = row.cells
    if cells["status"] not in _STATUSES:
        raise row.wrong("status", f"'{cells['status']}' is not one of {', '.join(_STATUSES)}")
    for column in ("source", "date"):
        if not cells[column]:
            raise row.wrong(column, "it is empty")
    try:
        return PreTraining(
            tokens=row.number("tokens") if cells["tokens"] else None,
            global_batch_tokens=row.whole("global_batch_tokens") if cells["global_batch_tokens"] else None,
            seq_len=row.whole("seq_len") if cells["seq_len"] else None,
            epochs=row.number("epochs") if cells["epochs"] else None,
            source=f"{cells['source']} ({cells['status']} {cells['date']})",
        )
    except DataError as error:
        raise row.invalid(error) from error
