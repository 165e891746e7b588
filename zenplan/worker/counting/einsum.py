"""Einstein sums: which product of matrices an equation asks for."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """A product of two operands: ``groups`` times ``rows`` × ``inner`` by ``inner`` × ``columns``.

    Attributes:
        left, right: positions of the operands in the list, which the result of an earlier product ends.
        result: its letters and its shape.
    """

    left: int
    right: int
    groups: int
    rows: int
    inner: int
    columns: int
    result: tuple[str, Shape]


def contractions(equation: str, shapes: Sequence[Shape]) -> Iterator[Contraction]:
    """The products of an equation, two operands at a time from the left, as it is written.

    A backend may find a cheaper order for three operands and more; for two there is only one.

    Args:
        equation: as of ``ops.einsum``; without ``->``, the letters that come once, sorted, are its result.
        shapes: of the operands.
    """
    terms, output = _letters(equation, shapes)
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, size in zip(term, shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))  # a 1 is stretched
    done, at = terms[0], 0
    for index in range(1, len(terms)):
        later = set(output).union(*terms[index + 1 :])
        yield (step := _contraction(done, terms[index], later, sizes, at, index))
        done, at = step.result[0], len(terms) + index - 1


def _contraction(a: str, b: str, later: set[str], sizes: dict[str, int], left: int, right: int) -> Contraction:
    def size(letters: set[str]) -> int:
        return math.prod(sizes[letter] for letter in letters)

    first, second = set(a), set(b)
    kept = "".join(letter for letter in dict.fromkeys(a + b) if letter in later)
    return Contraction(
        left=left,
        right=right,
        groups=size(first & second & later),
        rows=size((first - second) & later),
        inner=size((first & second) - later),
        columns=size((second - first) & later),
        result=(kept, tuple(sizes[letter] for letter in kept)),
    )


def _letters(equation: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The terms and the result, with a letter for each dimension that ``...`` stands for."""
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [c for c in string.ascii_letters if c not in equation]
    longest = max(len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True))
    dots = "".join(free[:longest])
    named = []
    for term, shape in zip(terms, shapes, strict=True):
        count = len(shape) - len(term.replace("...", ""))
        named.append(term.replace("...", dots[len(dots) - count :]))
    if not arrow:
        every = "".join(named)
        return named, dots + "".join(c for c in sorted(set(every) - set(dots)) if every.count(c) == 1)
    return named, output.replace("...", dots)
