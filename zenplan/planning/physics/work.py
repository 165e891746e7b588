"""Work: seconds of operators on one device, and the roofline that they come from.

    t = t0 + max(F / (P·e), Q / (W·e_m))

F the FLOP, P the dense peak, Q the bytes, W the memory bandwidth (Williams et al. 2009, the roofline model).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from zenplan.planning.physics.columns import Array, Hardware, Layouts


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Seconds of some operators: limited by arithmetic, by memory, and fixed; and how many there are.

    Shape (n,) each.
    """

    compute_s: Array
    memory_s: Array
    overhead_s: Array
    launches: Array

    @property
    def total_s(self) -> Array:
        """All that the device does."""
        return self.compute_s + self.memory_s + self.overhead_s

    @classmethod
    def none(cls, layouts: Layouts) -> Work:
        """No work."""
        zero = np.zeros_like(layouts.tp)
        return cls(zero, zero, zero, zero)

    def take(self, index: npt.NDArray[np.intp]) -> Work:
        """Those entries, in that order."""
        columns = self.compute_s, self.memory_s, self.overhead_s, self.launches
        return Work(*(column.take(index) for column in columns))

    def __add__(self, other: Work) -> Work:
        return Work(
            self.compute_s + other.compute_s,
            self.memory_s + other.memory_s,
            self.overhead_s + other.overhead_s,
            self.launches + other.launches,
        )

    def __mul__(self, factor: float | Array) -> Work:
        return Work(self.compute_s * factor, self.memory_s * factor, self.overhead_s * factor, self.launches * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """The work of a forward pass, of a backward pass, and of what is computed again in between.

    Attributes:
        divided_s: of the forward pass, the products that tensor parallelism divides.
        gradients_s: of the backward pass, those for the weights of products that it divides by columns.
        routed: of both passes, the products of experts. The host does not know their sizes before the router has run.
    """

    forward: Work
    backward: Work
    again: Work
    divided_s: Array
    gradients_s: Array
    routed: Work

    @classmethod
    def none(cls, layouts: Layouts) -> Passes:
        """No work."""
        nothing = Work.none(layouts)
        return cls(nothing, nothing, nothing, nothing.compute_s, nothing.compute_s, nothing)

    @property
    def total_s(self) -> Array:
        """All that the device does."""
        return self.forward.total_s + self.backward.total_s + self.again.total_s

    def take(self, index: npt.NDArray[np.intp]) -> Passes:
        """Those entries, in that order."""
        return Passes(*(getattr(self, f.name).take(index) for f in fields(self)))

    def __add__(self, other: Passes) -> Passes:
        return Passes(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, factor: float | Array) -> Passes:
        return Passes(*(getattr(self, f.name) * factor for f in fields(self)))


def roofline(hw: Hardware, flop: Array, rate: Array | float, moved_bytes: Array, launches: Array | float) -> Work:
    """t0 + max(F / rate, Q / bandwidth), split into what limits it (Williams et al. 2009).

    Args:
        hw: the devices; n entries, or one, as of every array here.
        flop: F, floating-point operations.
        rate: FLOP a second that this work reaches where nothing else limits it.
        moved_bytes: Q, read from and written to the device's memory.
        launches: kernels, a count; each has the fixed time t0.
    """
    compute = flop / rate
    memory = np.maximum(moved_bytes / hw.memory_bytes_per_s - compute, 0.0)
    return Work(compute, memory, hw.operator_s * launches, np.full_like(compute, launches))
