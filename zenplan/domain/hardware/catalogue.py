"""Catalogue: the accelerators we know, and the exact rules by which a name finds one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.mapping import read_only
from zenplan.errors import UnknownName
from zenplan.units import GB, GIB

LISTING: Final = "zenplan accelerators"

# What may follow a product's name in NVML without making it another product. Anything else ("Laptop GPU",
# "Ti", "D", "SUPER") does: an RTX 4090 Laptop GPU is not an RTX 4090.
_SAME_PRODUCT: Final = re.compile(r"(?:(\d+) ?gb\b)? ?(?:(?:hbm|gddr)\d\w*)? ?(?:mig \S+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Accelerators found by name. Where two answer to one name, the first wins.

    Attributes:
        accelerators: in the order of their owners, installed plugins first.
    """

    accelerators: tuple[Accelerator, ...]
    _names: MappingProxyType[str, Accelerator] = field(init=False, repr=False, compare=False)
    _nvml: MappingProxyType[str, Accelerator] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the names once; a look-up is then one step."""
        names: dict[str, Accelerator] = {}
        nvml: dict[str, Accelerator] = {}
        # A canonical name beats an alias, and an alias an NVML name, whoever comes first.
        for each in self.accelerators:
            names.setdefault(plain(each.name), each)
        for each in self.accelerators:
            for alias in each.aliases:
                names.setdefault(plain(alias), each)
        for each in self.accelerators:
            for name in each.nvml_names:
                names.setdefault(plain(name), each)
                nvml.setdefault(_bare(name), each)
        # The longest name first, so that an H200 is never looked at as an H20 with something behind it.
        longest_first = dict(sorted(nvml.items(), key=lambda item: -len(item[0])))
        object.__setattr__(self, "_names", read_only(names))
        object.__setattr__(self, "_nvml", read_only(longest_first))

    def __iter__(self) -> Iterator[Accelerator]:
        """The accelerators, in their order."""
        return iter(self.accelerators)

    def __len__(self) -> int:
        """How many accelerators there are."""
        return len(self.accelerators)

    def by_name(self, text: str) -> Accelerator:
        """The accelerator of that canonical name, alias or NVML name, whatever its case and punctuation.

        Raises:
            UnknownName: no accelerator answers to exactly that name; the hint has the nearest ones.
        """
        found = self._names.get(plain(text))
        if found is None:
            if alike := self._alike(text):
                raise UnknownName("accelerator", text, alike, instead=f"'{LISTING}' lists all")
            raise UnknownName("accelerator", text, self._spellings(), LISTING)
        return found

    def by_nvml(self, text: str) -> Accelerator | None:
        """The accelerator that NVML (or the vendor's tool) calls that, or None: never a guess.

        A name may be followed by a MIG profile, by the type of its memory, and by a size that agrees with
        it: ``NVIDIA A100-SXM4-80GB MIG 1g.10gb`` is an A100, of which the caller sees a slice.
        """
        wanted = _bare(text)
        if wanted in self._nvml:
            return self._nvml[wanted]
        for name, each in self._nvml.items():
            if wanted.startswith(name + " ") and _same_product(wanted[len(name) + 1 :], each):
                return each
        return None

    def _alike(self, text: str) -> list[str]:
        """What is made by a maker of that name, or is named so but for what follows: ``amd``, ``tpu``, ``rtx``."""
        wanted = plain(text)
        return [
            each.name
            for each in self.accelerators
            if each.trains and wanted in (plain(each.vendor), plain(each.name.partition("-")[0]))
        ]

    def _spellings(self) -> Iterable[str]:
        for each in self.accelerators:
            yield each.name
            yield from each.aliases


def plain(text: str) -> str:
    """A name without case and punctuation: ``RTX 4090`` and ``rtx-4090`` are one."""
    return "".join(c for c in text.casefold() if c.isalnum())


def _bare(text: str) -> str:
    """An NVML name in lower case and single spaces, without the maker, which older drivers leave out."""
    return " ".join(text.casefold().split()).removeprefix("nvidia ")


def _same_product(extension: str, accelerator: Accelerator) -> bool:
    """Whether what follows the name leaves the product what it is."""
    match = _SAME_PRODUCT.fullmatch(extension)
    if match is None:
        return False
    if match[1] is None:
        return True
    # Makers print binary gigabytes as GB, so either reading may agree.
    sizes = (float(match[1]) * GB, float(match[1]) * GIB)
    return any(abs(size / accelerator.memory_bytes - 1) <= 0.03 for size in sizes)
