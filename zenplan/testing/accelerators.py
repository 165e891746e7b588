"""What data sheets have to keep, as tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import plain
from zenplan.domain.precision import DTYPES
from zenplan.testing.border import sheets, taken

# Of one device: less or more is another unit.
_BYTES, _BYTES_PER_S, _FLOP_PER_S, _W = (1e8, 1e13), (1e10, 1e15), (1e11, 1e18), (10.0, 2e4)


class AcceleratorsContract:
    """The tests. Derive a class of a name that begins with ``Test``, and give it data sheets.

    Attributes:
        accelerators: that are tested.
        replaces: names of zenplan's own whose place they are to take, which the user has to agree to.
    """

    accelerators: ClassVar[Sequence[Accelerator]]
    replaces: ClassVar[Sequence[str]] = ()

    def test_zenplan_takes_each(self) -> None:
        """Types and figures pass the border."""
        found = taken("zenplan_accelerators", *self.accelerators)
        assert found.problems == ()
        assert [each.name for each in found.items] == [each.name for each in self.accelerators]

    def test_names_are_nobody_elses(self) -> None:
        """No name and no alias is used twice; neither they nor what a driver calls it is one of zenplan's own."""
        owners: dict[str, list[str]] = {}
        for each in self.accelerators:
            # A driver may call two by one name, which differ in their memory.
            for name in set(map(plain, (each.name, *each.aliases))):
                owners.setdefault(name, []).append(each.name)
        assert {name: found for name, found in owners.items() if len(found) > 1} == {}
        own = {name: each.name for each in sheets() for name in _names(each)}
        names = {name for each in self.accelerators for name in _names(each)}
        assert {own[name] for name in names if name in own} - set(self.replaces) == set()

    def test_figures_are_in_base_units(self) -> None:
        """Bytes, bytes a second, FLOP/s and watts, of one device."""
        odd = []
        for each in self.accelerators:
            figures = [("memory_bytes", each.memory_bytes, _BYTES), ("power_w", each.power_w, _W)]
            figures.append(("memory_bytes_per_s", each.memory_bytes_per_s, _BYTES_PER_S))
            figures += [(f"peak {name}", peak, _FLOP_PER_S) for name, peak in each.peak_flop_per_s.items()]
            odd += [
                f"{each.name}: {name} of {value:g} is not in {least:g} to {most:g}"
                for name, value, (least, most) in figures
                if value is not None and not least <= value <= most
            ]
        assert odd == []

    def test_it_can_be_planned_with(self) -> None:
        """What trains has a peak of some precision."""
        assert [
            each.name for each in self.accelerators if each.trains and not each.peak_flop_per_s.keys() & DTYPES
        ] == []

    def test_figures_say_where_they_are_from(self) -> None:
        """``sources`` has memory, bandwidth and peaks, each with its day."""
        wanted = ("memory_bytes", "memory_bytes_per_s", "peak_flop_per_s")
        without = [
            f"{each.name}: {field}" for each in self.accelerators for field in wanted if field not in each.sources
        ]
        assert without == []


def _names(each: Accelerator) -> set[str]:
    return {plain(name) for name in (each.name, *each.aliases, *each.nvml_names)}
