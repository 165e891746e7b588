"""Layout: how one training step is laid out over devices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zenplan.domain import checks
from zenplan.errors import DataError


class Recompute(StrEnum):
    """What the backward pass computes again instead of keeping."""

    NONE = "none"
    SELECTIVE = "selective"  # attention only (Korthikanti et al. 2022)
    HALF = "half"  # every second product (torchtitan's selective checkpointing)
    FULL = "full"  # every layer, from its input


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Degrees of parallelism and what goes with them.

    Attributes:
        dp, tp, pp, cp, ep: data, tensor, pipeline, context and expert parallel degrees; expert
            parallelism lies inside data parallelism, so devices = dp · tp · pp · cp.
        zero: ZeRO stage: 0 nothing, 1 optimizer, 2 and gradients, 3 and weights (FSDP) are divided.
        micro_batch: samples a device takes at a time.
        accumulation: micro-batches a step.
        interleave: virtual pipeline stages on each device.
        shard: devices over which ZeRO divides; fewer than hold the same weights is hybrid sharding (HSDP).
            None for all of them.
        sequence: sequence parallelism goes with tensor parallelism (Korthikanti et al. 2022): what lies
            between the divided products is divided too.
        even: every pipeline stage has as many layers, and the ends of the model on top; else the stages with
            the ends have fewer, so that the slowest is as fast as it can be.
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    zero: int = 0
    micro_batch: int = 1
    accumulation: int = 1
    recompute: Recompute = Recompute.NONE
    interleave: int = 1
    shard: int | None = None
    sequence: bool = True
    even: bool = False

    def __post_init__(self) -> None:
        checks.positive(
            "layout",
            dp=self.dp,
            tp=self.tp,
            pp=self.pp,
            cp=self.cp,
            ep=self.ep,
            interleave=self.interleave,
            micro_batch=self.micro_batch,
            accumulation=self.accumulation,
        )
        if self.shard is not None and (self.shard < 1 or (self.dp * self.cp) % self.shard):
            raise DataError(f"layout: {self.dp * self.cp} replicas do not make groups of {self.shard} to shard over")
        if self.zero not in (0, 1, 2, 3):
            raise DataError(f"layout: ZeRO stage {self.zero} does not exist")

    @property
    def devices(self) -> int:
        """Devices it takes."""
        return self.dp * self.tp * self.pp * self.cp

    @property
    def global_batch(self) -> int:
        """Samples a step."""
        return self.dp * self.micro_batch * self.accumulation

    @property
    def degrees(self) -> str:
        """Over what the devices are divided, as in ``dp8·tp2``; ``one device``."""
        degrees = [f"{n}{d}" for n, d in (("dp", self.dp), ("tp", self.tp), ("pp", self.pp)) if d > 1]
        degrees += [f"{n}{d}" for n, d in (("cp", self.cp), ("ep", self.ep)) if d > 1]
        degrees += [f"v{self.interleave}"] if self.interleave > 1 else []
        return "·".join(degrees) or "one device"

    @property
    def batches(self) -> str:
        """What each device computes at a time and keeps, as in ``mb1×4 ZeRO-3 recompute full``."""
        parts = [f"mb{self.micro_batch}×{self.accumulation}"]
        if self.zero:
            among = f" over {self.shard}" if self.shard and self.shard != self.dp * self.cp else ""
            parts.append(f"ZeRO-{self.zero}{among}")
        if self.recompute is not Recompute.NONE:
            parts.append(f"recompute {self.recompute}")
        return " ".join(parts)

    def __str__(self) -> str:
        return f"{self.degrees} {self.batches}"
