"""What is present here: a GPU (Device), the machine around it (Host), both at one moment (Profile).

A data sheet is an Accelerator. Everything asked of a driver can be refused, so a field is a Reading: a
value, or the reason why there is none. "Not supported" is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from zenplan.domain import checks
from zenplan.domain.mapping import read_only
from zenplan.errors import DataError

# The reason of a setting that nobody made: the one reason that is no trouble.
NOT_SET: Final = "not set"

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T_co]):
    """A value that was read, or the reason why there is none: one of the two, never both, never neither."""

    value: T_co | None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value is None:
            checks.named("reading without a value", reason=self.reason)
        elif self.reason:
            raise DataError(f"reading: a value ({self.value!r}) and a reason for having none")

    @staticmethod
    def of(value: U) -> Reading[U]:
        """A reading that has a value. A value of 0 is a measured 0."""
        return Reading(value=value)

    @staticmethod
    def missing(reason: str) -> Reading[Any]:
        """A reading that has none, and why."""
        return Reading(value=None, reason=reason)

    def map(self, change: Callable[[T_co], U]) -> Reading[U]:
        """The reading with its value changed (into another unit, say); a missing one stays as it is."""
        return Reading.missing(self.reason) if self.value is None else Reading.of(change(self.value))


def _check_readings(noun: str, owner: Any) -> None:
    """Every field that holds a number has a possible one; the suffix of its name says which are possible."""
    for each in fields(owner):
        reading = getattr(owner, each.name)
        if not isinstance(reading, Reading):
            continue
        value = reading.value
        # A temperature may be below zero; a text, a switch and a list are no quantities.
        if isinstance(value, bool) or not isinstance(value, int | float) or each.name.endswith("_c"):
            continue
        checks.not_negative(noun, **{each.name: value})
        if each.name.endswith("_utilisation") and value > 1:
            raise DataError(f"{noun}: {each.name} is a ratio of at most 1, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that holds memory of a GPU. In a container its pid can be the one outside.

    Attributes:
        kind: ``compute`` or ``graphics``.
    """

    pid: int
    used_bytes: Reading[int]
    kind: str

    def __post_init__(self) -> None:
        checks.one_of("process", "kind", self.kind, ("compute", "graphics"))
        checks.not_negative("process", pid=self.pid)
        _check_readings(f"process {self.pid}", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU that is present here, as its driver describes it now.

    Attributes:
        index: as the vendor's tool numbers them; instances of a GPU and those of another maker come after all of its.
        vendor: the maker, as data sheets have it.
        slice_of: index of the GPU that it is an instance of (MIG); None where it is a whole one.
        compute_capability: as in ``9.0``.
        memory_used_bytes: includes what the driver keeps for itself; used and free add up to the total.
        power_limit_w: the limit that is enforced now, the lowest of all that apply.
        energy_j: since the driver was loaded; only differences of it mean something.
        pcie_generation: now; an idle link is slower and narrower than its maximum.
        nvlink_count: links that the driver can describe; ``nvlink_active_count`` of them are up.
        nvlink_version: of the links, as in ``4.0``.
        mig_enabled: whether the GPU is cut into instances; many other readings are refused then.
    """

    index: int
    vendor: str = "NVIDIA"
    slice_of: int | None = None
    name: Reading[str]
    uuid: Reading[str]
    compute_capability: Reading[str]
    memory_total_bytes: Reading[int]
    memory_used_bytes: Reading[int]
    memory_free_bytes: Reading[int]
    sm_clock_hz: Reading[float]
    sm_clock_max_hz: Reading[float]
    memory_clock_hz: Reading[float]
    memory_clock_max_hz: Reading[float]
    power_limit_w: Reading[float]
    power_draw_w: Reading[float]
    energy_j: Reading[float]
    temperature_c: Reading[int]
    gpu_utilisation: Reading[float]
    memory_utilisation: Reading[float]
    pcie_generation: Reading[int]
    pcie_generation_max: Reading[int]
    pcie_width: Reading[int]
    pcie_width_max: Reading[int]
    nvlink_count: Reading[int]
    nvlink_active_count: Reading[int]
    nvlink_version: Reading[str]
    mig_enabled: Reading[bool]
    ecc_enabled: Reading[bool]
    compute_processes: Reading[tuple[Process, ...]]
    graphics_processes: Reading[tuple[Process, ...]]

    def __post_init__(self) -> None:
        checks.not_negative("device", index=self.index, slice_of=self.slice_of)
        for name in Device.readings():
            if not isinstance(getattr(self, name), Reading):
                raise DataError(f"device {self.index}: {name} must be a reading")
        _check_readings(f"device {self.index}", self)

    @staticmethod
    def readings() -> tuple[str, ...]:
        """The fields that a driver is asked for."""
        return tuple(each.name for each in fields(Device) if each.name not in ("index", "vendor", "slice_of"))

    @staticmethod
    def unreadable(index: int, reason: str, **known: Any) -> Device:
        """A device that the driver counts but does not let anyone describe, beside what is known of it."""
        missing: Reading[Any] = Reading.missing(reason)
        return Device(index=index, **(dict.fromkeys(Device.readings(), missing) | known))

    @property
    def problem(self) -> str:
        """Why nothing at all could be read, or nothing where something could."""
        readings = [getattr(self, name) for name in Device.readings()]
        reasons = {reading.reason for reading in readings}
        return str(readings[0].reason) if len(reasons) == 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverState:
    """The NVIDIA driver, or why there is no GPU to be seen.

    Attributes:
        cuda_version: the newest CUDA that the driver serves, as in ``12.8``; not what is installed.
        reason: why there are no devices; empty where there are.
    """

    driver_version: Reading[str]
    cuda_version: Reading[str]
    reason: str = ""

    @staticmethod
    def absent(reason: str) -> DriverState:
        """No driver answers, and why."""
        return DriverState(driver_version=Reading.missing(reason), cuda_version=Reading.missing(reason), reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine around the GPUs.

    Attributes:
        affinity_cores: logical cores that this process may run on.
        cpu_limit_cores: processor time that the container allows, in cores; may be a fraction.
        memory_available_bytes: of the whole machine, whatever the container allows.
        memory_limit_bytes: memory that the container allows.
        os: the distribution where there is one, else the system's name.
        sockets: processors that are plugged in.
        numa_nodes: parts of memory, each nearest to some of the cores.
        blas_threads: environment variable (``OMP_NUM_THREADS`` ...) to what it asks for.
        disk_free_bytes: where the program keeps its data.
    """

    logical_cores: Reading[int]
    physical_cores: Reading[int]
    affinity_cores: Reading[int]
    cpu_limit_cores: Reading[float]
    memory_total_bytes: Reading[int]
    memory_available_bytes: Reading[int]
    memory_limit_bytes: Reading[int]
    cpu_model: Reading[str]
    os: Reading[str]
    kernel: Reading[str]
    python_version: Reading[str]
    disk_free_bytes: Reading[int]
    sockets: Reading[int] = Reading(value=None, reason="not asked for")
    numa_nodes: Reading[int] = Reading(value=None, reason="not asked for")
    blas_threads: Mapping[str, Reading[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_readings("host", self)
        object.__setattr__(self, "blas_threads", read_only(self.blas_threads))

    @property
    def usable_cores(self) -> float | None:
        """Cores that work started here can keep busy: the lowest of all limits that are known."""
        limits = (self.logical_cores.value, self.affinity_cores.value, self.cpu_limit_cores.value)
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def usable_memory_bytes(self) -> int | None:
        """Memory that work started here can have at most: the lower of the machine's and the container's."""
        limits = (self.memory_total_bytes.value, self.memory_limit_bytes.value)
        return min((limit for limit in limits if limit is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is present on this machine.

    Attributes:
        driver: why there is no GPU, where there is none.
        devices: each GPU, by its index.
        host: the machine around the GPUs.
        taken_at: when it was read, with its time zone.
    """

    driver: DriverState
    devices: tuple[Device, ...]
    host: Host
    taken_at: datetime

    def __post_init__(self) -> None:
        if self.taken_at.tzinfo is None:
            raise DataError("profile: taken_at must have a time zone")
        indexes = [device.index for device in self.devices]
        if len(set(indexes)) != len(indexes):
            raise DataError(f"profile: two devices have the same index: {indexes}")
        if not self.devices and not self.driver.reason:
            raise DataError("profile: no devices, and no reason why")
