"""What is predicted: ranges, the parts of a step, memory by part, the run, the bill, and the quote."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from zenplan.domain import checks
from zenplan.domain.answer.fit import Fit, fit_of
from zenplan.domain.fit.efficiency import FITTED_MAKERS, Correction, Grounds
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import OWN, Billing, Offer, Terms
from zenplan.domain.market.provider import OnDemandLimit
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Layout
from zenplan.errors import DataError
from zenplan.units import HOUR_S

# Where the name of a part is not enough for people.
PART_NAMES = {
    "tensor": "tensor-parallel",
    "data": "data-parallel",
    "pipeline": "pipeline sends",
    "expert": "expert all-to-all",
    "context": "context-parallel",
    "memory": "memory-bound",
    "straggler": "slowest device",
}


# Share of published bills, each of another maker, that ended within the range that is shown: ``benchmarks/bills.py``.
BILLS_HELD: Final = 0.55


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Seconds of one optimizer step, by what they are spent on; the parts add up to the step.

    Attributes:
        compute_s: matrix products and attention.
        memory_s: operators limited by memory bandwidth.
        overhead_s: fixed time of the operators on the device.
        launch_s: the device waits for the host to launch.
        host_s: the device waits between steps: input, launches of the optimizer, logging.
        recompute_s: forward work done again in the backward pass.
        tensor_s, pipeline_s, data_s, expert_s, context_s: exposed communication of each parallelism.
        lookup_s: rows of tables that devices share out, on their way to the samples and back.
        bubble_s: pipeline stages that wait.
        optimizer_s: the update of the weights.
        straggler_s: all wait for the slowest device.
    """

    compute_s: float
    memory_s: float
    overhead_s: float
    launch_s: float
    host_s: float
    recompute_s: float
    tensor_s: float
    pipeline_s: float
    data_s: float
    expert_s: float
    lookup_s: float
    context_s: float
    bubble_s: float
    optimizer_s: float
    straggler_s: float

    def parts(self) -> dict[str, float]:
        """Part name to seconds, in order."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def total_s(self) -> float:
        """The whole step."""
        return sum(self.parts().values())


def part_name(part: str) -> str:
    """A part of a step as people know it: ``tensor_s`` is tensor-parallel communication."""
    bare = part.removesuffix("_s")
    return PART_NAMES.get(bare, bare)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Peak bytes on the fullest device, by part.

    Attributes:
        weights_bytes: in the compute type, or sharded as master weights under ZeRO-3, with the layers in use.
        gradients_bytes: accumulated in fp32; in 16 bits where nothing else is kept.
        optimizer_bytes: master weights and the optimizer's state.
        activations_bytes: what the backward pass keeps.
        logits_bytes: of the output head, in 16 bits and in fp32, where the loss is computed; none where it is
            computed in parts.
        workspace_bytes: the framework's context, its libraries and the buffers of collectives.
        fragmentation_bytes: what the allocator holds and cannot use.
    """

    weights_bytes: float
    gradients_bytes: float
    optimizer_bytes: float
    activations_bytes: float
    logits_bytes: float
    workspace_bytes: float
    fragmentation_bytes: float

    def parts(self) -> dict[str, float]:
        """Part name to bytes, in order."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def total_bytes(self) -> float:
        """The whole peak."""
        return sum(self.parts().values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of a bill, in its low, middle and high case: each case adds up to that end of the total.

    Attributes:
        low_usd, mid_usd, high_usd: negative where it is taken off; a remainder need not be in order.
        origin: of what it is made of.
        why: the price, or how it is found.
    """

    name: str
    low_usd: float
    mid_usd: float
    high_usd: float
    origin: Origin
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTime:
    """From steps to a calendar.

    Attributes:
        steady_s: all steps, one after another.
        work_s: the steps as whole runs take them.
        wall_clock_s: with start-up, evaluation, checkpoints, failures and the work they lose.
        goodput: steady over wall-clock time, middle estimate.
        checkpoint_interval_s: the best interval between checkpoints.
        checkpoint_bytes: one checkpoint.
        interruptions: failures and preemptions expected in the whole run.
    """

    steady_s: Range
    work_s: Range
    wall_clock_s: Range
    goodput: float
    checkpoint_interval_s: float
    checkpoint_write_s: float
    checkpoint_bytes: float
    interruptions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Time that something takes after the training; its dollars are the part of the bill with that name."""

    name: str
    time_s: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Dollars under one billing kind.

    Attributes:
        billed_h: hours of each machine after rounding, middle estimate.
        compute_usd: of the machines; None where nobody has a price for them, and then there is no total.
        beside: what is paid beside them; what is not known is a range of what others ask.
        credits: what is taken off; None where there are none.
        paid_anyway: of a commitment that has begun and that the run does not use whole; in no total. None where it does.
        followed: what was asked to follow the training; its dollars are in ``beside``.
    """

    billing: Billing
    run: RunTime
    billed_h: float
    compute_usd: Range | None
    beside: tuple[Part, ...] = ()
    credits: Part | None = None
    paid_anyway: Part | None = None
    followed: tuple[Followed, ...] = ()

    @property
    def wall_clock_s(self) -> Range:
        """From the start of the run to the end of what follows it; serving is not waited for."""
        return Range.total((self.run.wall_clock_s, *(each.time_s for each in self.followed)))

    @property
    def followed_parts(self) -> tuple[Part, ...]:
        """Dollars of what follows the training."""
        names = {each.name for each in self.followed}
        return tuple(part for part in self.beside if part.name in names)

    @property
    def gross_usd(self) -> Range | None:
        """Before credits; None where the price of the machines is not known."""
        usd = self.compute_usd
        if usd is None:
            return None
        low = usd.low + sum(part.low_usd for part in self.beside)
        mid = usd.mid + sum(part.mid_usd for part in self.beside)
        high = usd.high + sum(part.high_usd for part in self.beside)
        # What is committed to costs the same in each case, and is no rounding error of floats out of order.
        return Range(low=min(low, mid), mid=mid, high=max(mid, high))

    @property
    def total_usd(self) -> Range | None:
        """All of it, less credits; None where the price of the machines is not known."""
        gross, off = self.gross_usd, self.credits
        if gross is None or off is None:
            return gross
        ends = (gross.low + off.low_usd, gross.mid + off.mid_usd, gross.high + off.high_usd)
        # What credits pay for whole is free, and not a rounding error of floats below that.
        low, mid, high = (max(usd, 0.0) for usd in ends)
        return Range(low=min(low, mid), mid=mid, high=max(mid, high))

    @property
    def beside_machines(self) -> tuple[Part, ...]:
        """What is paid beside the machines, and last what is taken off."""
        return self.beside if self.credits is None else (*self.beside, self.credits)

    def part(self, name: str) -> Part | None:
        """One of what is paid beside the machines, by its name; None where that is known to cost nothing."""
        return next((part for part in self.beside if part.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Electricity of the whole run, and what making it emitted; None where the grid is not known.

    Attributes:
        embodied_kg: the run's share of what making the machines emitted, beside ``co2e_kg``; None where it is not known.
    """

    kwh: Range
    co2e_kg: Range | None
    pue: float
    grid_source: str
    embodied_kg: Range | None = None
    embodied_source: str = ""


def grounds_of(sheet: Accelerator) -> Grounds:
    """What a prediction on it rests on where nothing was measured."""
    fitted = sheet.vendor in FITTED_MAKERS and not sheet.is_processor
    return Grounds.PUBLISHED if fitted else Grounds.ASSUMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a plan takes on a cluster in its best layout.

    Attributes:
        mfu: model FLOP utilisation: 6ND-style useful FLOP over the dense peak, no recomputation counted.
        evidence: what the prediction rests on, for people.
    """

    cluster: Cluster
    layout: Layout
    step: StepTime
    step_s: Range
    memory: MemoryUse
    mfu: float
    samples_per_s: float
    evidence: str

    @property
    def fit(self) -> Fit:
        """Whether its peak is found to fit the device's memory."""
        return fit_of(self.memory.total_bytes / self.cluster.accelerator.capacity_bytes)

    @property
    def correction(self) -> Correction | None:
        """What a measurement made of the prediction; None where none fits."""
        return self.cluster.efficiency.correction

    @property
    def grounds(self) -> Grounds:
        """The kind of evidence."""
        return self.correction.grounds if self.correction else grounds_of(self.cluster.accelerator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """An estimate and an offer: dollars.

    Attributes:
        bills: an entry for each billing kind with a known price; one without dollars where the offer has no price.
        on_demand: how many devices are usually had without a reservation; None where that is not known.
        interruptions: how often a spot machine of it is taken; None where nothing is published.
    """

    estimate: Estimate
    offer: Offer
    terms: Terms | None
    nodes: int
    idle_devices: int
    bills: tuple[Bill, ...]
    energy: Energy | None
    on_demand: OnDemandLimit | None = None
    interruptions: Interruptions | None = None

    def __post_init__(self) -> None:
        checks.positive("quote", nodes=self.nodes)
        if not self.bills:
            raise DataError("quote: no price")

    def bill(self, billing: Billing) -> Bill | None:
        """The bill under that billing kind, None where its price is unknown."""
        return next((b for b in self.bills if b.billing is billing), None)

    @property
    def beyond_on_demand(self) -> int | None:
        """How many devices are usually had on demand, where this takes more; None where it does not."""
        limit = self.on_demand
        return limit.devices if limit and self.devices > limit.devices and self.offer.instance.provider != OWN else None

    @property
    def devices(self) -> int:
        """Devices that are paid for, idle ones too."""
        return self.nodes * self.offer.instance.devices

    def gpu_hours(self, bill: Bill) -> Range:
        """Hours of all devices together, under that bill; idle ones count."""
        return bill.run.wall_clock_s * (self.devices / HOUR_S)
