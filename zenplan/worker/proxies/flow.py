"""Flow: the tensors of a proxy model as it is built, and which of them an operator of given sizes takes.

A tensor is ``(batch, rows, width)`` or a map ``(batch, *places, channels)``, whose places are its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

# Up to so many copies of a tensor are taken for one: what experts give back, what neighbours send.
_MOST_COPIES = 16


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """A tensor, whether something before it learns, and whether something took it."""

    tensor: Any
    learned: bool
    read: bool = False

    @property
    def rows(self) -> int:
        """Its places, of one sample."""
        return math.prod(self.tensor.shape[1:-1])

    @property
    def width(self) -> int:
        """Its last dimension."""
        return int(self.tensor.shape[-1])

    @property
    def elements(self) -> int:
        """Of one sample."""
        return self.rows * self.width


class Flow:
    """The current tensor, and all before it, in order.

    Attributes:
        inputs: of the model.
        residual: what the next residual norm adds to the current tensor.
    """

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.residual: Any = None
        self._held: list[Held] = []
        self._entry = 0
        self._learned = False

    # --- in and out

    @property
    def current(self) -> Held:
        """What was made last."""
        return self._held[-1]

    def put(self, tensor: Any, *, learns: bool = False) -> None:
        """What was just made of the tensors taken since the last ``put``; ``learns``: by a weight that is trained."""
        self._held.append(Held(tensor=tensor, learned=learns or self._learned))
        self._learned = False

    def begin(self, shape: Sequence[int]) -> None:
        """A new input of floats of that shape, of one sample."""
        self.inputs.append(keras.Input(tuple(shape)))
        self._held.append(Held(tensor=self.inputs[-1], learned=False))

    def enter_block(self) -> None:
        """What follows is a block, which the current tensor enters."""
        self._entry = max(0, len(self._held) - 1)

    def leave_block(self) -> None:
        """What the block leaves open, of the width of what leaves it, is added to that."""
        if not self._held:
            return
        last = self.current
        for held in self._held[self._entry + 1 : -1]:
            if held.learned and not held.read and held.width == last.width and _copies(held, last.rows):
                other = ops.reshape(self._summed(held, last.rows), (-1, *last.tensor.shape[1:]))
                self.put(self.use(self.current) + other)

    def use(self, held: Held) -> Any:
        """Its tensor, which is thereby read."""
        held.read = True
        self._learned = self._learned or held.learned
        return held.tensor

    def output(self) -> Any:
        """What was made last, and of all that nothing read a mean is added to it, so that every weight gets a gradient:
        ``(batch, width)`` if it has one row."""
        open_ends = [h for h in self._held[:-1] if h.learned and not h.read]
        last = self.use(self.current)
        for held in open_ends:
            mean = ops.mean(self.use(held), axis=tuple(range(1, len(held.tensor.shape))))
            last = last + ops.reshape(mean, (-1,) + (1,) * (len(last.shape) - 1))
        return ops.reshape(last, (-1, last.shape[-1])) if self.current.rows == 1 else last

    # --- what an operator takes

    def take(self, rows: int, width: int, *, aside: bool = False, learned: bool = True) -> Any:
        """A tensor of that size, as rows.

        Args:
            aside: not the current one, which somebody else waits for.
            learned: False for one before which nothing learns.
        """
        return _flat(self._picked(rows, width, aside) if learned else self._given(rows, width))

    def take_map(self, places: Sequence[int], channels: int, *, learned: bool = True) -> Any:
        """The same, as a map of those places."""
        rows = math.prod(places)
        tensor = self._picked(rows, channels) if learned else self._given(rows, channels, places)
        shape = (*places, channels)
        return tensor if tuple(tensor.shape[1:]) == shape else ops.reshape(tensor, (-1, *shape))

    def _picked(self, rows: int, width: int, aside: bool = False) -> Any:
        """The current tensor if it fits, else an earlier one, else the current one made to fit."""
        last = self.current
        if not aside and (last.rows, last.width) == (rows, width):
            return self.use(last)
        if not aside and last.elements == rows * width:
            return self._turned(last, rows, width)
        found = self._alike(self._in_block(), rows, width)
        if found is None and not aside:
            joined = self._joined(last, rows, width)
            if joined is not None:
                return joined
        found = found or self._alike(self._before(), rows, width)
        return self.use(found) if found else self._cut(rows, width)

    def _given(self, rows: int, width: int, places: Sequence[int] = ()) -> Any:
        """What nothing learns before: the current tensor, an earlier one, else a new input."""
        last = self.current
        if not last.learned and last.elements >= rows * width:
            return self._picked(rows, width)
        known = (h for h in self._before() if not h.learned)
        found = self._alike(known, rows, width)
        if found is None:
            self.begin((*(places or (rows,)), width))
            found = self.current
        return self.use(found)

    def take_elements(self, elements: int) -> Any:
        """A tensor of so many elements, in its own shape where there is one."""
        for held in (self.current, *self._before()):
            if held.elements == elements:
                return self.use(held)
        for held in self._in_block():
            copies = elements // held.elements
            if held.elements * copies == elements and copies <= _MOST_COPIES:
                return stretched(self.use(held), held.rows * copies, held.width)
        width = self.current.width
        rows, left = divmod(elements, width)
        return self._picked(rows, width) if not left else stretched(self.use(self.current), 1, elements)

    def partner(self, elements: int) -> Any:
        """What is added to the current tensor: the last of that size that nothing read, else what entered the block,
        else any other of that size, else the current one itself."""
        alike = [h for h in self._before() if h is not self.current and h.elements == elements]
        entry = self._held[self._entry]
        best = next((h for h in alike if not h.read), None) or next((h for h in alike if h is entry), None)
        return self.use(best or (alike[0] if alike else self.current))

    def parts(self, rows: int, width: int) -> list[Any] | None:
        """Tensors of the block of so many rows whose widths add up to that: those that nothing read, else the
        current one and one before it; None where there are none."""
        alike = [h for h in self._in_block() if h.rows == rows]
        chosen: list[Held] = []
        for held in (h for h in alike if not h.read or h is self.current):
            if sum(c.width for c in chosen) + held.width <= width:
                chosen.append(held)
        if len(chosen) > 1 and sum(c.width for c in chosen) == width:
            return [self.use(c) for c in reversed(chosen)]
        last = self.current
        other = next((h for h in self._before() if h.rows == rows and h.width == width - last.width), None)
        return [self.use(other), self.use(last)] if other and last.rows == rows else None

    # --- looking

    def _before(self) -> Iterator[Held]:
        return reversed(self._held)

    def _in_block(self) -> Iterator[Held]:
        return reversed(self._held[self._entry :])

    @staticmethod
    def _alike(held: Iterator[Held], rows: int, width: int) -> Held | None:
        return next((h for h in held if (h.rows, h.width) == (rows, width)), None)

    def _joined(self, last: Held, rows: int, width: int) -> Any:
        """The current tensor beside another one, or under it; None where none completes it."""
        if last.rows == rows and last.width < width:
            other, axis = self._alike(self._before(), rows, width - last.width), -1
        elif last.width == width and last.rows < rows:
            other, axis = self._alike(self._before(), rows - last.rows, width), 1
        else:
            return None
        if other is None:
            return None
        return ops.concatenate([_flat(self.use(other)), _flat(self.use(last))], axis=axis)

    def _cut(self, rows: int, width: int) -> Any:
        """A part of a tensor that is larger; else the current one, repeated."""
        candidates = [self.current, *self._in_block(), *self._before()]
        for held in candidates:
            if held.width == width and _copies(held, rows):
                return self._summed(held, rows)
        for held in candidates:
            if held.elements == rows * width:
                return stretched(self.use(held), rows, width)
        for held in candidates:
            if held.width == width and held.rows > rows:
                return _flat(self.use(held))[:, :rows, :]
            if held.rows == rows and held.width > width:
                return _flat(self.use(held))[:, :, :width]
        return stretched(self.use(self.current), rows, width)

    def _summed(self, held: Held, rows: int) -> Any:
        if held.rows == rows:
            return _flat(self.use(held))
        return ops.sum(ops.reshape(self.use(held), (-1, held.rows // rows, rows, held.width)), axis=1)

    def _turned(self, held: Held, rows: int, width: int) -> Any:
        """Rows for columns where that is what is asked for, else the same elements in rows of another width."""
        tensor = self.use(held)
        if (held.width, held.rows) == (rows, width):
            return ops.swapaxes(_flat(tensor), 1, 2)
        return ops.reshape(tensor, (-1, rows, width))


def stretched(tensor: Any, rows: int, width: int) -> Any:
    """The elements of a sample as ``(batch, rows, width)``: repeated where they are too few, cut where too many."""
    have, need = math.prod(tensor.shape[1:]), rows * width
    if have != need:
        tensor = ops.reshape(tensor, (-1, have))
        if have < need:
            tensor = ops.tile(tensor, (1, -(-need // have)))
        tensor = tensor[:, :need]
    return ops.reshape(tensor, (-1, rows, width))


def _flat(tensor: Any) -> Any:
    """A map as rows."""
    return (
        tensor if len(tensor.shape) == 3 else ops.reshape(tensor, (-1, math.prod(tensor.shape[1:-1]), tensor.shape[-1]))
    )


def _copies(held: Held, rows: int) -> bool:
    return held.rows % rows == 0 and held.rows // rows <= _MOST_COPIES
