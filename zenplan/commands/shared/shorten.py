"""Long names in little room, shortened so that they stay different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile


def shortened(names: Sequence[str], most: int) -> list[str]:
    """The names in at most that many letters each; different ones stay so, if there is a way.

    What all the long ones begin or end with goes first, then what is in the middle; those that are still alike are
    shown from the word in which they differ.
    """
    long = sorted({name for name in names if len(name) > most})
    short = {name for name in names if len(name) <= most}
    shown: dict[str, str] = {}
    for tried in _ways(long, most):
        if len(set(tried)) > len(set(shown.values())):
            shown = dict(zip(long, tried, strict=True))
        if len(set(tried)) == len(long) and short.isdisjoint(tried):
            break
    for alike in _still_alike(shown):
        begin = _shared(alike)
        while begin and alike[0][begin - 1].isalnum():
            begin -= 1
        shown |= {name: f"…{name[begin : begin + most - 2]}…" for name in alike}
    return [shown.get(name, name) for name in names]


def _still_alike(shown: Mapping[str, str]) -> list[list[str]]:
    """The names that are shown as the same."""
    groups: dict[str, list[str]] = {}
    for name, text in shown.items():
        groups.setdefault(text, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _ways(long: Sequence[str], most: int) -> Iterator[list[str]]:
    """The ends; what the names have not in common; then more and more of each name's beginning beside its end."""
    yield [_cut(name, 0, most) for name in long]
    begin = _shared(long)
    end = _shared([name[begin:][::-1] for name in long])
    own = [f"{'…' * (begin > 0)}{name[begin : len(name) - end]}{'…' * (end > 0)}" for name in long]
    for head in range(most):
        yield [_cut(name, head, most) for name in own]


def _shared(names: Sequence[str]) -> int:
    """How many letters all of them begin with."""
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))


def _cut(name: str, head: int, most: int) -> str:
    """So many letters of its beginning, and its end; a short name as it is."""
    tail = most - 1 - head
    return name if len(name) <= most else f"{name[:head]}…{name[len(name) - tail :]}"
