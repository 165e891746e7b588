"""The losses that a run may ask for, by name, whatever framework computes them."""

from __future__ import annotations

from zenplan.errors import UnknownName, UsageError
from zenplan.worker.training.prepared import TOKENS, Card

NEXT_TOKEN, CLASSES, NUMBERS = _NAMES = ("next token", "classes", "numbers")


def loss_name(wanted: str, card: Card) -> str:
    """The loss that is asked for, or that the data has.

    Args:
        wanted: empty where none is asked for.

    Raises:
        UsageError: there is no such loss, or it does not go with the data.
    """
    usual = NEXT_TOKEN if card.kind == TOKENS else CLASSES if card.classes else NUMBERS
    name = wanted or usual
    if name not in _NAMES:
        raise UnknownName("loss", name, _NAMES)
    if name != usual:
        raise UsageError(f"a loss of {name} does not go with this data", f"its loss is '{usual}'")
    return name
