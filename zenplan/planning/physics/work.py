"""Work: seconds of operators on one device, and the roofline that they come from.

    t = t0 + max(F / (P·e), Q / (W·e_m))

F the FLOP, P the dense peak, Q the bytes, W the memory bandwidth (Williams et al. 2009, the roofline model).

What is added up operator by operator is one array each: numpy's calls cost more than what they compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from zenplan.planning.physics.columns import Array, Hardware, Layouts

# The least side of a tile in which products are computed (NVIDIA, Matrix Multiplication Background User's Guide).
TILE = 64.0


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Seconds of some operators: limited by arithmetic, by memory, and fixed; and how many there are.

    Attributes:
        rows: those four, shape (4, n).
    """

    rows: Array

    @property
    def compute_s(self) -> Array:
        """Limited by arithmetic; shape (n,), as of the others."""
        part: Array = self.rows[0]
        return part

    @property
    def memory_s(self) -> Array:
        """What memory adds to that."""
        part: Array = self.rows[1]
        return part

    @property
    def overhead_s(self) -> Array:
        """The fixed time."""
        part: Array = self.rows[2]
        return part

    @property
    def launches(self) -> Array:
        """Kernels that the host launches, a count."""
        part: Array = self.rows[3]
        return part

    @property
    def total_s(self) -> Array:
        """All that the device does."""
        total: Array = self.rows[0] + self.rows[1] + self.rows[2]
        return total

    @classmethod
    def none(cls, layouts: Layouts) -> Work:
        """No work."""
        return cls(np.zeros((4, len(layouts.tp))))

    def __add__(self, other: Work) -> Work:
        return Work(self.rows + other.rows)

    def __mul__(self, factor: float | Array) -> Work:
        return Work(self.rows * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """The work of a forward pass, of a backward pass, and of what is computed again in between.

    Attributes:
        rows: shape (18, n): the four of ``forward``, ``backward``, ``again`` and ``routed``, then ``divided_s`` and
            ``gradients_s``.
    """

    ROWS: ClassVar[int] = 18
    # Those that only a block with a backward pass has.
    BEHIND: ClassVar[tuple[int, ...]] = (*range(4, 16), 17)
    rows: Array

    @property
    def forward(self) -> Work:
        """The forward pass."""
        return Work(self.rows[0:4])

    @property
    def backward(self) -> Work:
        """The backward pass."""
        return Work(self.rows[4:8])

    @property
    def both(self) -> Work:
        """The forward pass and the backward pass."""
        return self.forward + self.backward

    @property
    def again(self) -> Work:
        """What is computed again in between."""
        return Work(self.rows[8:12])

    @property
    def routed(self) -> Work:
        """Of both passes, the products of experts. The host does not know their sizes before the router has run."""
        return Work(self.rows[12:16])

    @property
    def divided_s(self) -> Array:
        """Of the forward pass, the products that tensor parallelism divides."""
        part: Array = self.rows[16]
        return part

    @property
    def gradients_s(self) -> Array:
        """Of the backward pass, those for the weights of products that it divides by columns."""
        part: Array = self.rows[17]
        return part

    @classmethod
    def none(cls, layouts: Layouts) -> Passes:
        """No work; its rows may be added to."""
        return cls(np.zeros((cls.ROWS, len(layouts.tp))))

    @property
    def total_s(self) -> Array:
        """All that the device does."""
        return self.forward.total_s + self.backward.total_s + self.again.total_s

    def take(self, index: npt.NDArray[np.intp]) -> Passes:
        """Those entries, in that order."""
        return Passes(self.rows.take(index, axis=1))

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.rows + other.rows)

    def __mul__(self, factor: float | Array) -> Passes:
        return Passes(self.rows * factor)


def roofline(
    hw: Hardware,
    flop: Array,
    rate: Array | float,
    moved_bytes: Array,
    kernels: Array | float,
    launches: Array | float | None = None,
) -> Work:
    """t0 + max(F / rate, Q / bandwidth), split into what limits it (Williams et al. 2009).

    Args:
        hw: the devices; n entries, or one, as of every array here.
        flop: F, floating-point operations.
        rate: FLOP a second that this work reaches where nothing else limits it.
        moved_bytes: Q, read from and written to the device's memory.
        kernels: that run one after another, a count; each has the fixed time t0.
        launches: of the host, a count, where it is another.
    """
    rows: Array = np.empty((4, len(flop)))
    compute, memory = rows[0], rows[1]
    np.divide(flop, rate, out=compute)
    np.divide(moved_bytes, hw.memory_bytes_per_s, out=memory)
    np.subtract(memory, compute, out=memory)
    np.maximum(memory, 0.0, out=memory)
    np.multiply(hw.operator_s, kernels, out=rows[2])
    rows[3] = kernels if launches is None else launches
    return Work(rows)
