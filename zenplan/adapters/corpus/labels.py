"""Labels: read one by one, then looked at together: classes with their names, or numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus.asked import Asked
from zenplan.adapters.corpus.shards import Shards
from zenplan.adapters.corpus.values import is_number, name_in, number_in
from zenplan.domain.training.data_card import PARTS
from zenplan.errors import DataError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

# Labels that are numbers are values to predict where there are more of them, classes where there are fewer. Where most
# samples have one of their own, as the prices of a small table, the few are enough.
_MOST_NUMBERED: Final = 200
_FEW_NUMBERED: Final = 20
_MOST_CLASSES: Final = 100_000
_FEW: Final = 10


def reader_of(asked: Asked) -> Callable[[Any], tuple[str, str]]:
    """What makes a text of a label, or says what is wrong with it."""
    if asked.label_kind == "number":

        def number(value: Any) -> tuple[str, str]:
            found, problem = number_in(value, "the label")
            return repr(found), problem

        return number
    if asked.classes is None:
        return lambda value: name_in(value, "the label")
    most = asked.classes - 1

    def known(value: Any) -> tuple[str, str]:
        name, problem = name_in(value, "the label")
        if not problem and not (name.isascii() and name.isdigit() and int(name) <= most):
            problem = f"a label out of range, which is 0 to {most}"
        return name.lstrip("0") or "0", problem

    return known


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of all samples.

    Attributes:
        names: of the classes; None where labels are numbers.
        values: of each sample: int32, the number of its class, or float32.
    """

    names: tuple[str, ...] | None
    values: Array

    def counts(self, parts: Array) -> tuple[tuple[int, ...], ...]:
        """Samples of each class in each part."""
        if self.names is None:
            return ((),) * len(PARTS)
        return tuple(
            tuple(np.bincount(self.values[parts == part], minlength=len(self.names)).tolist())
            for part in range(1, len(PARTS) + 1)
        )


def labels_of(shards: Shards, state: Array, asked: Asked) -> Labels:
    """The labels of all shards.

    Args:
        shards: that are finished.
        state: of each sample; those that are not 0 are dropped.
        asked: what is known of labels.

    Raises:
        DataError: there is one class only, or too many.
    """
    names = _distinct(shards)
    if _numbers(names, int((state == 0).sum()), asked):
        numbers = [_numbers_of(shards, number) for number in range(len(shards))]
        return Labels(None, np.concatenate(numbers) if numbers else np.zeros(0, np.float32))
    ordered = _ordered(names, asked)
    if len(ordered) > _MOST_CLASSES:
        raise DataError(
            f"the label has {len(ordered):,} classes, more than {_MOST_CLASSES:,}",
            "--label-kind number predicts its value; or name another column",
        )
    number = {name: place for place, name in enumerate(ordered)}
    values = [
        np.array([number[name] for name in shards.labels(n)] or [0], np.int32)[shards.array(n, "label")]
        for n in range(len(shards))
    ]
    found = np.concatenate(values) if values else np.zeros(0, np.int32)
    there = np.unique(found[state == 0])
    if len(there) == 1:
        raise DataError(
            f"every label is '{ordered[there[0]]}': there is nothing to tell apart",
            "--label names another column, or give more data",
        )
    return Labels(ordered, found)


def _distinct(shards: Shards) -> set[str]:
    """The labels that there are, as far as they can be classes: of values to predict, about as many as shards have them."""
    names = set[str]()
    for number in range(len(shards)):
        own = shards.labels(number)
        # One more than can be classes says as much as all, but that each of them has to be looked at for what it is.
        names |= set(own) if len(names) <= _MOST_CLASSES else {name for name in own if not is_number(name)}
    return names


def _numbers_of(shards: Shards, number: int) -> Array:
    table = np.array([float(name) for name in shards.labels(number)] or [0.0], np.float32)
    found: Array = table[shards.array(number, "label")]
    return found


def notes_of(labels: Labels, counts: Sequence[Sequence[int]]) -> list[str]:
    """What should be known of classes, a sentence each."""
    if labels.names is None:
        return []
    notes, names = [], labels.names
    folded = Counter(name.casefold() for name in names)
    alike = [name for name in names if folded[name.casefold()] > 1]
    if alike:
        notes.append(f"Classes that differ in upper and lower case alone: {', '.join(alike[:6])}.")
    train = counts[0]
    few = [name for name, count in zip(names, train, strict=True) if count < _FEW]
    if few:
        notes.append(f"{_these(few)} in train fewer than {_FEW} times.")
    for part, own in zip(PARTS[1:], counts[1:], strict=True):
        missing = [name for name, count in zip(names, own, strict=True) if not count]
        if missing and any(own):
            notes.append(f"{_these(missing)} not in {part}.")
    return notes


def _these(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    return f"{len(names)} {'class is' if len(names) == 1 else 'classes are'} ({shown})"


def _numbers(names: set[str], samples: int, asked: Asked) -> bool:
    """Whether labels are values to predict, and no classes."""
    if asked.label_kind is not None:
        return asked.label_kind == "number"
    if asked.classes is not None or not names or not all(map(is_number, names)):
        return False
    most = _MOST_NUMBERED if samples >= 2 * len(names) else _FEW_NUMBERED
    return len(names) > most or not all(map(_whole, names))


def _whole(name: str) -> bool:
    return name.removeprefix("-").isdigit()


def _ordered(names: set[str], asked: Asked) -> tuple[str, ...]:
    if asked.classes is not None:
        return tuple(map(str, range(asked.classes)))
    if all(_whole(name) and name.isascii() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
