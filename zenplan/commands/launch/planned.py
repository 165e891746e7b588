"""What a plan says of a job: its machines, its layout, and what it takes at its upper end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from zenplan import documents, units
from zenplan.adapters.files.regular_file import read_bytes
from zenplan.commands.estimate.document import EstimateDocument
from zenplan.commands.estimate.document import PlanDocument as EstimatedPlan
from zenplan.commands.estimate.quote_document import QuoteDocument
from zenplan.commands.estimate.saved_plan import MOST_BYTES, read_plan
from zenplan.commands.launch.asked import Asked
from zenplan.commands.layouts.document import LayoutsDocument, TriedDocument
from zenplan.commands.layouts.document import PlanDocument as LaidOutPlan
from zenplan.commands.shared.document import LayoutDocument, MemoryPartsDocument
from zenplan.domain.answer.fit import PLANNED_UP_TO
from zenplan.domain.market.offer import Billing
from zenplan.domain.training.stack import STACKS
from zenplan.errors import DataError, NoFit, UsageError

_HINT: Final = "give a plan that 'zenplan estimate --save plan.json' wrote, or a request file: run.toml"
_LAYOUTS: Final = str(LayoutsDocument.__struct_config__.tag)
# What 'zenplan train' lays a step out with: Keras's own data and tensor parallelism.
_KERAS: Final = STACKS["keras"]
# The stage that divides weights, gradients and optimizer states.
_ZERO: Final = 3
_DEGREES: Final = {"tp": "tensor", "pp": "pipeline", "cp": "context", "ep": "expert"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a plan says.

    Attributes:
        sha256: of the plan's file.
        name: of what is trained; empty where the plan is a request file.
        nodes, node_ranks: machines, and devices of each.
        accelerator: by name; empty for processors.
        provider, region: whose machines; empty where the plan has none.
        spot: whether at the spot price.
        max_duration_s, max_usd: at the plan's upper end; None where it does not say.
        usd_per_h: of all machines; None where it is not known.
        price_of: whose price that is, of which day; empty where it is not known.
        least_s, least_usd: at its lower end; None where it does not say.
        parameters, seq_len, unit: of the model; steps: of the run. None or empty of a request file.
        stack: whose time it is; empty of a request file, and where any layout may be run.
        whole_bytes, device_bytes: what a device holds where nothing is divided over replicas, a sample at a time, and its
            memory; None of a request file.
        wanted: devices that the plan was asked for; None where it was not. idle: of its machines, that it does not use.
        batch: samples of a step; precision: of it. None of a request file, which is what is trained.
        layout: of a step; None of a request file.
    """

    sha256: str
    name: str = ""
    nodes: int
    node_ranks: int
    accelerator: str = ""
    provider: str = ""
    region: str = ""
    spot: bool = False
    max_duration_s: float | None = None
    max_usd: float | None = None
    usd_per_h: float | None = None
    price_of: str = ""
    least_s: float | None = None
    least_usd: float | None = None
    parameters: float | None = None
    seq_len: int | None = None
    unit: str = ""
    steps: float | None = None
    stack: str = ""
    whole_bytes: float | None = None
    device_bytes: float | None = None
    wanted: int | None = None
    idle: int = 0
    batch: int | None = None
    precision: str | None = None
    layout: LayoutDocument | None = None

    @property
    def ranks(self) -> int:
        """Of all machines together."""
        return self.nodes * self.node_ranks

    @property
    def fits_whole(self) -> bool:
        """Whether a device may hold all that ZeRO divides, as far as the plan says."""
        return not self.whole_bytes or not self.device_bytes or self.whole_bytes <= self.device_bytes * PLANNED_UP_TO

    def laid_out(self, shards: bool) -> dict[str, int]:
        """The flags of a run that is laid out so: devices that matrices are divided over, and ZeRO 3, which holds less than
        the other stages and takes their place where all does not fit.

        Args:
            shards: whether the engine has ZeRO 3.
        """
        if self.layout is None:
            return {}
        divided = shards and (self.layout.zero == _ZERO or (self.layout.zero > 0 and not self.fits_whole))
        tensor = {"tensor_parallel": self.layout.tp} if self.layout.tp > 1 else {}
        return {**tensor, "zero": _ZERO} if divided else tensor


class _Head(msgspec.Struct):
    schema: str = ""


def planned(asked: Asked) -> Planned:
    """What the plan that was given says.

    Raises:
        InputFileError: it cannot be read; DataError: it is none, or of another version; UsageError: flags contradict it;
        NoFit: zenplan cannot run it.
    """
    content = read_bytes(asked.plan, f"the plan {str(asked.plan)!r}", MOST_BYTES, _HINT)
    sha256 = hashlib.sha256(content).hexdigest()
    if asked.plan.suffix.lower() == ".toml":
        return Planned(
            sha256=sha256,
            nodes=asked.nodes or 1,
            node_ranks=asked.gpus_per_node or 1,
            accelerator=asked.gpu or "",
            spot=bool(asked.spot),
        )
    found = _laid_out(content, asked, sha256) or _estimated(read_plan(asked.plan), asked, sha256)
    stated = (("--nodes", asked.nodes, found.nodes), ("--gpus-per-node", asked.gpus_per_node, found.node_ranks))
    for flag, given, own in stated:
        if given is not None and given != own:
            raise UsageError(
                f"{flag} {given}: the plan is of {own}", "an estimate with other --gpus is another plan; leave it out"
            )
    if asked.gpu is not None:
        raise UsageError("--gpu is of a request file, and the plan says the devices", "leave it out")
    return found


def _laid_out(content: bytes, asked: Asked, sha256: str) -> Planned | None:
    """Of a document of ``zenplan layouts``, the fastest layout; None of any other."""
    what = f"the plan {str(asked.plan)!r}"
    try:
        schema = documents.decode(content, _Head, what).schema
    except DataError as error:
        raise DataError(error.message, _HINT) from error
    if schema.partition("/")[0] != _LAYOUTS.partition("/")[0]:
        return None
    if schema != _LAYOUTS:
        raise DataError(f"{what} is of {schema}, and this zenplan reads {_LAYOUTS}", "make it again with this zenplan")
    found = documents.decode(content, LayoutsDocument, what, foreign=True)
    cluster, price = found.cluster, found.price
    _runnable(found.layouts[0].layout, found.plan)
    return Planned(
        sha256=sha256,
        name=found.workload.name,
        nodes=cluster.nodes,
        node_ranks=_each(cluster.devices, cluster.nodes),
        accelerator=cluster.accelerator,
        spot=bool(asked.spot),
        usd_per_h=price.device_usd_per_h * cluster.devices if price and not asked.spot else None,
        price_of=f"on-demand of {price.offer}, {_day(price.as_of)}" if price and not asked.spot else "",
        **_of_model(found, found.layouts[0]),
        device_bytes=cluster.memory_bytes,
        batch=found.plan.global_batch_samples,
        precision=found.plan.precision,
        layout=found.layouts[0].layout,
    )


def _estimated(found: EstimateDocument, asked: Asked, sha256: str) -> Planned:
    """Of a document of ``zenplan estimate``, the plan that is recommended."""
    if not found.quotes:
        raise DataError(f"the plan {str(asked.plan)!r} has no machines", _HINT)
    if found.federation:
        raise UsageError("the plan is of clients that keep their rows", "'zenplan federate' runs it")
    quote = found.quotes[0]
    _runnable(quote.layout, found.plan)
    billing = found.billing if asked.spot is None else Billing.SPOT if asked.spot else Billing.ON_DEMAND
    bill = next((each for each in quote.bills if each.billing == billing), None)
    price = quote.prices.spot if billing == Billing.SPOT else quote.prices.on_demand
    if bill is None:
        raise UsageError(
            f"the plan has no {billing} price of {quote.provider} {quote.instance}", f"leave --{billing} out"
        )
    return Planned(
        sha256=sha256,
        name=found.workload.name,
        nodes=quote.machines,
        node_ranks=_each(quote.devices, quote.machines),
        accelerator=quote.accelerator,
        provider=quote.provider,
        region="" if quote.region == "any" else quote.region,
        spot=billing == Billing.SPOT,
        max_duration_s=bill.wall_clock_s.high,
        max_usd=bill.total_usd.high if bill.total_usd else None,
        usd_per_h=price.usd_per_h * quote.machines if price else None,
        price_of=f"{billing} of {quote.provider} {quote.instance}, {_day(price.as_of)}" if price else "",
        least_s=bill.wall_clock_s.low,
        least_usd=bill.total_usd.low if bill.total_usd else None,
        **_of_model(found, quote),
        device_bytes=quote.memory.available_bytes,
        wanted=units.digits_of(str(found.request.get("gpus") or ""), 10**9),
        idle=quote.idle_devices,
        steps=found.plan.steps,
        batch=found.plan.global_batch_samples,
        precision=found.plan.precision,
        layout=quote.layout,
    )


def _of_model(found: EstimateDocument | LayoutsDocument, tried: QuoteDocument | TriedDocument) -> dict[str, Any]:
    load = found.workload
    stack = found.plan.stack or f"{found.plan.software} software"
    whole = whole_bytes(tried.layout, tried.memory, load.parameters)
    own = {"parameters": load.parameters, "seq_len": load.tokens_per_sample, "unit": load.unit}
    return {**own, "stack": stack, "whole_bytes": whole}


def whole_bytes(layout: LayoutDocument, memory: MemoryPartsDocument, parameters: float) -> float:
    """What a device needs at least where nothing is divided over replicas: the plan's memory, each part that ZeRO divides
    as often as there are shards, and of the activations those of one sample."""
    shards = layout.shard or layout.dp * layout.cp
    times = [shards if layout.zero >= stage else 1 for stage in (1, 2, 3)]
    # Under ZeRO 3 some layers are there whole for a moment, which must not be counted as often: fp32 is the most.
    weights = min(memory.weights_bytes * times[2], max(memory.weights_bytes, 4 * parameters / (layout.tp * layout.pp)))
    states = memory.optimizer_bytes * times[0] + memory.gradients_bytes * times[1] + weights
    loose = memory.activations_bytes + memory.logits_bytes + memory.fragmentation_bytes
    return states + memory.workspace_bytes + loose / layout.micro_batch


def _day(day: str | None) -> str:
    return f"seen {day}" if day else "of no known day"


def _each(devices: int, nodes: int) -> int:
    if devices % nodes:
        raise NoFit(
            f"the plan has {devices} devices on {nodes} machines, not as many on each",
            f"an estimate with --gpus {nodes * (devices // nodes) or nodes} has",
        )
    return devices // nodes


def _runnable(layout: LayoutDocument, plan: EstimatedPlan | LaidOutPlan) -> None:
    """Raise NoFit where ``zenplan train`` cannot lay a step out so."""
    able = _KERAS.parallel
    found = {kind: degree for kind in _DEGREES if (degree := getattr(layout, kind)) > 1 and kind not in able}
    if found:
        kinds = ", ".join(f"{_DEGREES[kind]} parallelism of {degree}" for kind, degree in found.items())
        other = "" if plan.stack == _KERAS.name else "; an estimate with --software keras has such a plan, if one fits"
        raise NoFit(f"zenplan train cannot run the plan's {kinds}", f"it can run data and tensor parallelism{other}")
