"""Catalogue: the accelerators we know, and the exact rules by which a name finds one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.processor import product
from zenplan.domain.mapping import read_only
from zenplan.errors import UnknownName
from zenplan.units import GB, GIB, size

LISTING: Final = "zenplan accelerators"

# What may follow a product's name in NVML without making it another product. Anything else ("Laptop GPU",
# "Ti", "D", "SUPER") does: an RTX 4090 Laptop GPU is not an RTX 4090.
_SAME_PRODUCT: Final = re.compile(r"(?:(?P<gb>\d+) ?gb\b)? ?(?:(?:hbm|gddr)\d\w*)? ?(?P<mig>mig \S+)?")
# A slice, as in ``1g.5gb``: sevenths of the multiprocessors and gigabytes; ``1c.3g.20gb`` computes on one of its three.
_SLICE: Final = re.compile(r"mig (?:(?P<c>\d)c\.)?(?P<g>\d)g\.(?P<gb>\d+)gb(?:\+\S+|-\S+)?")
# A share of a GPU in a virtual machine: ``GRID A100D-40C``, ``NVIDIA A40-48Q``.
_VIRTUAL: Final = re.compile(r"(?:grid .*|.*-\d+(?:[abcq]|-\d\w+))")
# What a device shows of the printed size: ECC may take a part of GDDR, and 80 GB of HBM are 80 GiB.
_LEAST_SHOWN, _MOST_SHOWN = 0.9, 1.09


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Accelerators found by name. Where two answer to one name, the first wins.

    Attributes:
        accelerators: in the order of their owners, installed plugins first.
    """

    accelerators: tuple[Accelerator, ...]
    _names: MappingProxyType[str, Accelerator] = field(init=False, repr=False, compare=False)
    _nvml: MappingProxyType[str, tuple[Accelerator, ...]] = field(init=False, repr=False, compare=False)
    _slices: dict[tuple[str, str], Accelerator | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Index the names once; a look-up is then one step."""
        names: dict[str, Accelerator] = {}
        nvml: dict[str, tuple[Accelerator, ...]] = {}
        # A canonical name beats an alias, and an alias an NVML name, whoever comes first.
        for each in self.accelerators:
            names.setdefault(plain(each.name), each)
        for each in self.accelerators:
            for alias in each.aliases:
                names.setdefault(plain(alias), each)
        for each in self.accelerators:
            for name in each.nvml_names:
                names.setdefault(plain(name), each)
                # Cards of one name may differ in their memory.
                nvml[_bare(name)] = (*nvml.get(_bare(name), ()), each)
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

    def by_nvml(self, text: str, memory_bytes: float | None = None) -> Accelerator | None:
        """The accelerator that NVML (or the vendor's tool) calls that, or None: never a guess.

        A name may be followed by the type of its memory, by a size that agrees with it, and by a MIG profile:
        ``NVIDIA A100-SXM4-40GB MIG 1g.5gb`` is a slice with a seventh of the A100's peaks and an eighth of its memory.

        Args:
            memory_bytes: that the device shows; None where it is not known. Of cards of one name it tells which it is, and
                a card with another memory than the data sheets of its name has none.
        """
        return self._one_of(*self._named(text), memory_bytes)

    def by_processor(self, model: str) -> Accelerator | None:
        """The processor that a system calls that, as in ``AMD EPYC 9654 96-Core Processor``, or None: never a guess."""
        found = self._nvml.get(_bare(product(model)), ())
        return next((each for each in found if each.is_processor), None)

    def why_none(self, text: str, memory_bytes: float | None = None) -> str:
        """Why ``by_nvml`` finds no data sheet, for people; empty where it finds one."""
        cards, rest = self._named(text)
        if self._one_of(cards, rest, memory_bytes) is not None:
            return ""
        if cards and rest.get("mig"):
            return f"how {cards[0].name} is parted is not known"
        if cards and memory_bytes is not None:
            sizes = " or ".join(f"{each.name} has {size(each.memory_bytes)}" for each in cards)
            return f"{sizes}, and this has {size(memory_bytes)}"
        if _VIRTUAL.fullmatch(_bare(text)):
            return "a virtual GPU, whose share of the real one is not told"
        return "the catalogue knows no device of that name"

    def _named(self, text: str) -> tuple[tuple[Accelerator, ...], dict[str, str | None]]:
        """Those of a name of NVML's, and what follows it; none of them where that makes it another product."""
        wanted = _bare(text)
        if wanted in self._nvml:
            return self._nvml[wanted], {}
        for name, cards in self._nvml.items():
            rest = _SAME_PRODUCT.fullmatch(wanted[len(name) + 1 :]) if wanted.startswith(name + " ") else None
            if rest and (same := tuple(each for each in cards if _agrees(rest["gb"], each))):
                return same, rest.groupdict()
        return (), {}

    def _one_of(
        self, cards: tuple[Accelerator, ...], rest: Mapping[str, str | None], memory_bytes: float | None
    ) -> Accelerator | None:
        """Of those of a name, the one that what follows it and the memory tell; None where there is none."""
        if mig := rest.get("mig"):
            # What such a device shows is the slice's.
            return self._slice(cards[0], mig)
        return next((each for each in cards if memory_bytes is None or _shows(each, memory_bytes)), None)

    def _slice(self, whole: Accelerator, profile: str) -> Accelerator | None:
        """The slice as an accelerator of its own; always the same one. Other slices are out of its reach."""
        key = (whole.name, profile)
        if key not in self._slices:
            self._slices[key] = _slice_of(whole, profile)
        return self._slices[key]

    def _alike(self, text: str) -> list[str]:
        """What is made by a maker of that name, or is named so but for what follows: ``amd``, ``tpu``, ``rtx``."""
        wanted = plain(text)
        return [
            each.name
            for each in self.accelerators
            if each.trains
            and not each.is_processor
            and wanted in (plain(each.vendor), plain(each.name.partition("-")[0]))
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


def _agrees(gigabytes: str | None, accelerator: Accelerator) -> bool:
    """Whether a size that is part of the name is that of the product."""
    if gigabytes is None:
        return True
    # Makers print binary gigabytes as GB, so either reading may agree.
    sizes = (float(gigabytes) * GB, float(gigabytes) * GIB)
    return any(abs(size / accelerator.memory_bytes - 1) <= 0.03 for size in sizes)


def _shows(accelerator: Accelerator, memory_bytes: float) -> bool:
    """Whether a device of that memory is one of these."""
    return _LEAST_SHOWN <= memory_bytes / accelerator.memory_bytes <= _MOST_SHOWN


def _slice_of(whole: Accelerator, profile: str) -> Accelerator | None:
    """A MIG slice: its share of the multiprocessors and of the memory with its bandwidth, without NVLink.

    Seven instances share the memory in eighths, four in quarters (NVIDIA Multi-Instance GPU User Guide, Supported MIG
    Profiles).
    """
    match, parts = _SLICE.fullmatch(profile), whole.mig_instances
    if match is None or parts is None:
        return None
    computes = int(match["c"] or match["g"])
    shares = 8 if parts == 7 else parts
    held = round(shares * float(match["gb"]) * GB / whole.memory_bytes)
    if not (1 <= computes <= int(match["g"]) <= parts and 1 <= held <= shares):
        return None
    return replace(
        whole,
        name=f"{whole.name} {profile.removeprefix('mig ')}",
        nvml_names=(),
        aliases=(),
        multiprocessors=whole.multiprocessors and max(1, whole.multiprocessors * computes // parts),
        peak_flop_per_s={dtype: peak * computes / parts for dtype, peak in whole.peak_flop_per_s.items()},
        memory_bytes=float(match["gb"]) * GB,
        visible_bytes=None,
        memory_bytes_per_s=whole.memory_bytes_per_s * held / shares,
        link="pcie",
        link_bytes_per_s=None,
        link_devices=1,
        node_devices=1,
        power_w=None,
        mig_instances=None,
        peer_access=False,
        notes=f"a MIG slice: {computes}/{parts} of the multiprocessors, {held}/{shares} of the memory",
    )
