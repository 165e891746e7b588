"""The bundled table of models of which only counts are published: parameters, FLOP, activations of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from zenplan.adapters.files.csv_file import data_rows
from zenplan.domain import checks
from zenplan.errors import DataError
from zenplan.families.transformer.presets import plain

COLUMNS = (
    "name",
    "family",
    "parameters",
    "flop_per_sample",
    "activations_per_sample",
    "image_size",
    "source",
    "status",
    "date",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedModel:
    """A network over square images, by its counts.

    Attributes:
        family: as in ``Workload.family``.
        flop_per_sample: of a forward pass over one image; a multiply-add is 2.
        activations_per_sample: elements that its convolutions and products write then; None is unknown.
        image_size: pixels along a side, at which it was counted.
    """

    name: str
    family: str
    parameters: float
    flop_per_sample: float
    activations_per_sample: float | None
    image_size: int

    def __post_init__(self) -> None:
        checks.named("counted model", name=self.name, family=self.family)
        checks.positive(f"model {self.name}", parameters=self.parameters, flop_per_sample=self.flop_per_sample)

    def at(self, image_size: int | None) -> tuple[float, float | None]:
        """FLOP and activations of an image of another size: as many more as it has pixels."""
        more = ((image_size or self.image_size) / self.image_size) ** 2
        activations = self.activations_per_sample
        return self.flop_per_sample * more, None if activations is None else activations * more


def read_counted_models(text: str | None = None) -> tuple[CountedModel, ...]:
    """The models in the table's order; ``text`` is a table to read instead of the bundled one.

    Raises:
        DataError: a column is missing, a cell is not what its column holds, or a name comes twice.
    """
    found: dict[str, CountedModel] = {}
    for row in data_rows("counted_models.csv", COLUMNS, text):
        model = CountedModel(
            name=row.cells["name"],
            family=row.cells["family"],
            parameters=row.number("parameters"),
            flop_per_sample=row.number("flop_per_sample"),
            activations_per_sample=row.number_or_none("activations_per_sample"),
            image_size=row.whole("image_size"),
        )
        if plain(model.name) in found:
            raise DataError(f"counted_models.csv: {model.name} comes twice")
        found[plain(model.name)] = model
    return tuple(found.values())


@cache
def counted_by_name() -> Mapping[str, CountedModel]:
    """The bundled models by name, as ``plain`` writes it."""
    return MappingProxyType({plain(m.name): m for m in read_counted_models()})
