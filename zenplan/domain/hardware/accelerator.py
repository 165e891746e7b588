"""Accelerator: a product's data sheet. A device that is present here is a Device, not an Accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zenplan.domain import checks
from zenplan.domain.mapping import read_only
from zenplan.domain.precision import DTYPES, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a figure comes from.

    Attributes:
        text: a document, a repository and path, or a sentence saying how it was derived.
        status: ``read`` (someone looked at that source for this table), ``recalled`` (stated from memory
            of the data sheet, not looked up) or ``derived`` (computed from other figures of the row).
        date: when it was read or recalled, ISO 8601.
    """

    text: str
    status: str
    date: str

    def __post_init__(self) -> None:
        checks.named("source", text=self.text, date=self.date)
        checks.one_of("source", "status", self.status, ("read", "recalled", "derived"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One product, as its data sheet has it. Peaks are dense, never sparse; None is unknown, never 0.

    Attributes:
        name: the canonical name, as in ``H100-SXM5-80GB``.
        architecture: the maker's generation name (``Hopper``); published efficiencies are grouped by it.
        nvml_names: exactly what NVML (or the vendor's tool) calls the device.
        aliases: other names that people type (``h100``, ``a100-80gb``).
        multiprocessors: SMs, compute units or matrix engines, with the clock at which the peaks hold.
        peak_flop_per_s: dtype name (see ``precision.DTYPES``) to dense FLOP/s with fp32 accumulation.
        memory_bytes: the printed size, a GB being 1e9 bytes.
        visible_bytes: the size that NVML (or the vendor's tool) shows: 80 GB of HBM are 80 GiB, and ECC may
            take a part of GDDR; None where it is not known.
        link: ``nvlink``, ``xgmi``, ``ici``, ``neuronlink``, ``ethernet`` or ``pcie`` (no other link).
        link_bytes_per_s: device-to-device bandwidth in one direction, over that link.
        link_devices: how many devices that link joins (8 in an HGX node, 2 with a bridge, 72 in NVL72).
        node_devices: devices in the usual node; a rented instance may have fewer.
        network_bytes_per_s: usual node-to-node bandwidth for each device; an instance states its own.
        mig_instances: into how many of the smallest it can be parted (MIG); None where it cannot, or nobody says so.
        sustained_share: of the dense peak, what the best measured matrix product keeps up, under its power limit
            and clocks; of a processor in its matrix units; None where nobody measured it.
        peer_access: one device reaches another's memory over PCIe; without, what they exchange goes through the
            host's memory (GeForce since 2018).
        trains: False for products that are made for inference only.
        threads: hardware threads of a processor, whose cores are the multiprocessors and whose memory is the machine's;
            None of every other product.
        sources: field name to where its figure comes from.
    """

    name: str
    vendor: str
    architecture: str
    nvml_names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    compute_capability: str | None = None
    multiprocessors: int | None = None
    clock_hz: float | None = None
    tensor_clock_hz: float | None = None
    fp32_flop_per_clock: int | None = None
    tensor_flop_per_clock: int | None = None
    peak_flop_per_s: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: float
    memory_bytes_per_s: float
    visible_bytes: float | None = None
    link: str = "pcie"
    link_bytes_per_s: float | None = None
    link_devices: int = 1
    node_devices: int = 1
    network_bytes_per_s: float | None = None
    pcie_generation: int | None = None
    power_w: float | None = None
    mig_instances: int | None = None
    sustained_share: float | None = None
    trains: bool = True
    threads: int | None = None
    peer_access: bool = True
    notes: str = ""
    sources: Mapping[str, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.named("accelerator", name=self.name, vendor=self.vendor, architecture=self.architecture)
        what = f"accelerator {self.name}"
        checks.positive(
            what,
            memory_bytes=self.memory_bytes,
            memory_bytes_per_s=self.memory_bytes_per_s,
            visible_bytes=self.visible_bytes,
            link_bytes_per_s=self.link_bytes_per_s,
            link_devices=self.link_devices,
            node_devices=self.node_devices,
            network_bytes_per_s=self.network_bytes_per_s,
            power_w=self.power_w,
            sustained_share=self.sustained_share,
            threads=self.threads,
            multiprocessors=self.multiprocessors,
            clock_hz=self.clock_hz,
            tensor_clock_hz=self.tensor_clock_hz,
        )
        checks.one_of(what, "link", self.link, ("nvlink", "xgmi", "ici", "neuronlink", "ethernet", "pcie"))
        for dtype, rate in self.peak_flop_per_s.items():
            checks.one_of(what, "dtype of a peak", dtype, DTYPES)
            checks.positive(what, **{f"peak {dtype}": rate})
        object.__setattr__(self, "peak_flop_per_s", read_only(self.peak_flop_per_s))
        object.__setattr__(self, "sources", read_only(self.sources))

    def peak(self, dtype: str) -> float | None:
        """Dense FLOP/s in ``dtype``, or None where the data sheet has none."""
        return self.peak_flop_per_s.get(dtype)

    def can_run(self, precision: Precision) -> bool:
        """Whether the data sheet has a peak for the precision."""
        return self.peak(precision.matmul_dtype) is not None and self.peak(precision.other_dtype) is not None

    @property
    def is_processor(self) -> bool:
        """Whether it is a machine's own processor, and no device beside it."""
        return self.threads is not None

    @property
    def compute_major(self) -> int | None:
        """The whole part of NVIDIA's compute capability; None on others' products."""
        major = (self.compute_capability or "").partition(".")[0]
        return int(major) if major.isdigit() else None

    @property
    def clocks_per_s(self) -> float | None:
        """Clocks of all multiprocessors together; None where it is not known, or where the units are no
        multiprocessors (NVIDIA's are)."""
        clock = self.tensor_clock_hz or self.clock_hz
        if self.compute_major is None or self.multiprocessors is None or clock is None:
            return None
        return self.multiprocessors * clock

    @property
    def capacity_bytes(self) -> float:
        """Memory that a program can plan with: the visible size, or the printed one where it is not known."""
        return self.visible_bytes or self.memory_bytes
