"""Presets: models that are known by name, with the parameter count their makers published."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks
from zenplan.domain.model.workload import PreTraining
from zenplan.errors import UnknownName
from zenplan.families.transformer.shape import TransformerShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A published model.

    Attributes:
        name: as people type it, in small letters (``llama3-8b``).
        parameters: as published, or as transformers 5.23 counts the model it builds; a multi-token prediction
            module and a vision tower are left out.
        source: a document, or a repository and path.
        status: of the shape: ``read`` (someone looked at that source for this table) or ``recalled``.
        date: when it was read or recalled, ISO 8601.
        aliases: other names that people type.
        tolerance: how far the count of the shape may lie from the published one, as a ratio; above 0.01
            only where the source rounds to two digits.
        pretraining: how its makers trained it; None where nobody has looked.
    """

    name: str
    shape: TransformerShape
    parameters: float
    source: str
    status: str
    date: str
    aliases: tuple[str, ...] = ()
    tolerance: float = 0.01
    pretraining: PreTraining | None = None

    def __post_init__(self) -> None:
        checks.named("preset", name=self.name, source=self.source, date=self.date)
        checks.positive(f"preset {self.name}", parameters=self.parameters, tolerance=self.tolerance)
        checks.one_of(f"preset {self.name}", "status", self.status, ("read", "recalled"))


# Of a model that has no name here.
INSTEAD: Final = "for any other give --params, --config or --keras"


def plain(name: str) -> str:
    """A name without case, punctuation and the organisation before a slash: ``meta-llama/Llama-3-8B``.

    Between two digits any punctuation is a dot, so that 13b and 1.3b (or 1_3b) stay two names.
    """
    last = name.rpartition("/")[2].lower()
    dotted = re.sub(r"(?<=\d)[\W_]+(?=\d)", ".", last)
    return "".join(letter for letter in dotted if letter.isalnum() or letter == ".").strip(".")


def alike(name: str, known: Iterable[str]) -> list[str]:
    """The known models that a name can be a slip of: people mistype the inside of a name, hardly its first letter, so
    that ``yolo`` is no ``olmo``."""
    first = plain(name)[:1]
    return [each for each in known if plain(each)[:1] == first]


def called(name: str, known: Collection[str], instead: str = "") -> str:
    """The known model of that name, whatever its case and punctuation.

    Args:
        instead: what else can be given, for the hint.

    Raises:
        UnknownName: there is none; the hint names the nearest.
    """
    wanted = plain(name)
    for each in known:
        if plain(each) == wanted:
            return each
    raise UnknownName("model", name, alike(name, known), "zenplan workloads", instead)


def find(presets: Mapping[str, Preset], name: str) -> Preset:
    """The preset of that name or alias, whatever its case and punctuation.

    Raises:
        UnknownName: there is none; the hint names the nearest.
    """
    wanted = plain(name)
    for preset in presets.values():
        if wanted in (plain(preset.name), *map(plain, preset.aliases)):
            return preset
    raise UnknownName("model", name, alike(name, presets), "zenplan workloads", INSTEAD)
