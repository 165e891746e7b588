"""Operations: what happens to a run besides its steps. Every figure is an assumption with a source."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import DataError
from zenplan.units import DAY_S, HOUR_S

# Llama 3 405B: 466 interruptions in 54 days on 16,384 H100 (Dubey et al. 2024, section 3.3.4).
_LLAMA3_MTBF_S = 54 * DAY_S * 16_384 / 466
# What whole published runs took over what their steps, failures, checkpoints and evaluation explain: the factor with
# the least error, each publisher as heavy as another, and an 80 % range for a publisher of whom nothing is known
# (``benchmarks/full_runs.py`` prints them).
_PRODUCTION = (1.00, 1.44, 2.07)
_PRODUCTION_BOUNDS = (0.5, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """How a run starts, stops, saves and fails.

    Attributes:
        startup_s: from the first billed second to the first step: boot, load, compile.
        restart_s: from an interruption to the next step, detection included.
        device_mtbf_s: mean time between failures of one device and its share of node and network.
        preemptions_per_node_s: low, middle and high rate at which a spot machine is taken away.
        replace_s: to get another spot machine.
        checkpoint_bytes_per_s: what one node writes to storage.
        evaluation_share: of the steps' time, spent on evaluation. BigScience spent 0.7 % (2022, chronicles of
            the 176B model).
        production: low, middle and high ratio of a whole run's time to what is explained otherwise. Step times are
            fitted to benchmarks, which are peak configurations; a run of weeks also has slow nodes, a batch that
            ramps up, steps rolled back, stages of other sequence lengths. Bound: 0.5 to 3.
        production_half_devices: beyond the first, so many have half of ``production``: one device waits for no
            other, thousands always wait for one.
        production_half_s: so long has a run to take for half of it: a run of hours is attended to from start to
            end. Both were chosen with ``production``, by the runs of publishers left out (``benchmarks/full_runs.py``).
        kept_checkpoints: how many are stored at a time.
        power_share: of the data sheet's power limit, drawn while training: low, middle and high.
        idle_power_share: of the limit, drawn by a device that stands by.
        host_w: of the host, for each device.
        pue: of a data centre whose own is not published.
    """

    startup_s: float = 600.0
    restart_s: float = 600.0
    device_mtbf_s: float = _LLAMA3_MTBF_S
    preemptions_per_node_s: tuple[float, float, float] = (0.0002 / HOUR_S, 0.002 / HOUR_S, 0.02 / HOUR_S)
    replace_s: float = 600.0
    checkpoint_bytes_per_s: float = 1e9
    evaluation_share: float = 0.01
    production: tuple[float, float, float] = _PRODUCTION
    production_half_devices: float = 16.0
    production_half_s: float = 6 * HOUR_S
    kept_checkpoints: int = 3
    power_share: tuple[float, float, float] = (0.6, 0.8, 1.0)
    idle_power_share: float = 0.12
    host_w: float = 100.0
    pue: float = 1.2

    def __post_init__(self) -> None:
        checks.positive(
            "operations",
            device_mtbf_s=self.device_mtbf_s,
            checkpoint_bytes_per_s=self.checkpoint_bytes_per_s,
            pue=self.pue,
            production_half_devices=self.production_half_devices,
            production_half_s=self.production_half_s,
        )
        least, most = _PRODUCTION_BOUNDS
        low, mid, high = self.production
        if not (least <= low <= mid <= high <= most and mid >= 1.0):
            raise DataError(
                f"operations: production {low:g}, {mid:g}, {high:g} is not in {least:g}..{most:g}, or its "
                "middle is below 1"
            )

    def facts(self) -> tuple[Fact, ...]:
        """The assumptions, for people."""
        low_power, power, high_power = self.power_share
        low, mid, high = (100 * p * HOUR_S for p in self.preemptions_per_node_s)
        least, usual, most = self.production
        return (
            Fact(
                name="device failures",
                value=f"one in {self.device_mtbf_s / HOUR_S:,.0f} device-hours",
                origin=Origin.PUBLISHED,
                why="466 interruptions in 54 days on 16,384 H100 (Llama 3, 2024)",
            ),
            Fact(
                name="spot preemption",
                value=f"{mid:.2g} % an hour a machine ({low:.2g}–{high:.2g})",
                origin=Origin.ASSUMED,
                why="AWS published 5–20 % a month for A100 and H100 in 2025; the rest is caution",
            ),
            Fact(
                name="start-up, restart",
                value=f"{self.startup_s / 60:.0f} min, {self.restart_s / 60:.0f} min",
                origin=Origin.ASSUMED,
                why=f"boot, load, compile; {self.replace_s / 60:.0f} min more to get another spot machine",
            ),
            Fact(
                name="checkpoint writing",
                value=f"{self.checkpoint_bytes_per_s / 1e9:.2g} GB/s a node",
                origin=Origin.ASSUMED,
                why="object storage over the node's network",
            ),
            Fact(name="checkpoints kept", value=f"{self.kept_checkpoints} at a time", origin=Origin.ASSUMED),
            Fact(
                name="power",
                value=f"{low_power:.0%} to {high_power:.0%} of the limit, middle {power:.0%}",
                origin=Origin.ASSUMED,
                why=f"idle devices {self.idle_power_share:.0%}, and {self.host_w:.0f} W of the host for each",
            ),
            Fact(name="PUE", value=f"{self.pue:g} where the provider's is not published", origin=Origin.ASSUMED),
            Fact(
                name="production",
                value=f"× {usual:g} ({least:g}–{most:g}) of many devices for long; less on few, or for hours",
                origin=Origin.PUBLISHED,
                why="whole published runs against benchmarks of their steps: slow nodes, batch ramp, roll-backs",
            ),
            Fact(
                name="evaluation",
                value=f"{100 * self.evaluation_share:.2g} % of the steps' time",
                origin=Origin.ASSUMED,
            ),
        )
