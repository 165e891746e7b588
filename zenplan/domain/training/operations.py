"""Operations: what happens to a run besides its steps. Every figure is an assumption with a source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from zenplan import units
from zenplan.domain import checks
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import DataError
from zenplan.units import DAY_S, HOUR_S, KWH_J

# Llama 3 405B: 466 interruptions in 54 days on 16,384 H100 (Dubey et al. 2024, section 3.3.4).
_LLAMA3_MTBF_S = 54 * DAY_S * 16_384 / 466
# What whole published runs took over what their steps, failures, checkpoints and evaluation explain: the factor with
# the least error, each publisher as heavy as another, and an 80 % range for a publisher of whom nothing is known
# (``benchmarks/full_runs.py`` prints them).
_PRODUCTION = (1.00, 1.44, 2.07)
_PRODUCTION_BOUNDS = (0.5, 3.0)


# The fields that a fact tells of, and the fact: name, value, origin, why.
_Told = tuple[tuple[str, ...], str, str, Origin, str]


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
        disk_bytes: of each machine, for its system, libraries and what it caches.
        grid_kg_per_j: CO2e of the electricity, wherever the machines stand; None for what is known of each region.
        given: names of the fields that the user gave.
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
    disk_bytes: float = 200e9
    grid_kg_per_j: float | None = None
    given: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.positive(
            "operations",
            device_mtbf_s=self.device_mtbf_s,
            checkpoint_bytes_per_s=self.checkpoint_bytes_per_s,
            pue=self.pue,
            production_half_devices=self.production_half_devices,
            production_half_s=self.production_half_s,
        )
        checks.not_negative(
            "operations",
            startup_s=self.startup_s,
            restart_s=self.restart_s,
            replace_s=self.replace_s,
            evaluation_share=self.evaluation_share,
            kept_checkpoints=self.kept_checkpoints,
            idle_power_share=self.idle_power_share,
            host_w=self.host_w,
            disk_bytes=self.disk_bytes,
            grid_kg_per_j=self.grid_kg_per_j,
        )
        for name in ("preemptions_per_node_s", "power_share"):
            low, mid, high = getattr(self, name)
            if not 0.0 <= low <= mid <= high < math.inf:
                raise DataError(f"operations: {name} {low:g}, {mid:g}, {high:g} is not in order, from 0 up")
        least, most = _PRODUCTION_BOUNDS
        low, mid, high = self.production
        if not (least <= low <= mid <= high <= most and mid >= 1.0):
            raise DataError(
                f"operations: production {low:g}, {mid:g}, {high:g} is not in {least:g}..{most:g}, or its "
                "middle is below 1"
            )

    def facts(self) -> tuple[Fact, ...]:
        """The assumptions, for people; those with a field that was given are given."""
        return tuple(self._told(fields, fact) for fields, fact in self._facts())

    def _told(self, fields: tuple[str, ...], fact: Fact) -> Fact:
        own = [name for name in fields if name in self.given]
        if not own:
            return fact
        # Of several in one line, those that were not given are as they are without.
        why = "" if len(own) == len(fields) else f"{', '.join(own)}; the rest is {fact.origin}"
        return replace(fact, origin=Origin.GIVEN, why=why)

    def _facts(self) -> Iterator[tuple[tuple[str, ...], Fact]]:
        """Each with the fields that it tells of."""
        for fields, name, value, origin, why in (*self._of_failures(), *self._of_the_rest()):
            yield fields, Fact(name=name, value=value, origin=origin, why=why)

    def _of_failures(self) -> Iterator[_Told]:
        low, mid, high = (100 * p * HOUR_S for p in self.preemptions_per_node_s)
        yield from (
            (
                ("device_mtbf_s",),
                "device failures",
                f"one in {self.device_mtbf_s / HOUR_S:,.0f} device-hours",
                Origin.PUBLISHED,
                "466 interruptions in 54 days on 16,384 H100 (Llama 3, 2024)",
            ),
            (
                ("preemptions_per_node_s",),
                "spot preemption",
                f"{mid:.2g} % an hour a machine ({low:.2g}–{high:.2g})",
                Origin.ASSUMED,
                "where no rate is published; AWS published 5–20 % a month for A100 and H100 in 2025; the rest is caution",
            ),
            (
                ("startup_s", "restart_s", "replace_s"),
                "start-up, restart",
                f"{self.startup_s / 60:.3g} min, {self.restart_s / 60:.3g} min",
                Origin.ASSUMED,
                f"boot, load, compile; {self.replace_s / 60:.3g} min more to get another spot machine",
            ),
        )

    def _of_the_rest(self) -> Iterator[_Told]:
        low_power, power, high_power = self.power_share
        least, usual, most = self.production
        assumed = Origin.ASSUMED
        yield from (
            (
                ("checkpoint_bytes_per_s",),
                "checkpoint writing",
                f"{self.checkpoint_bytes_per_s / 1e9:.2g} GB/s a node",
                assumed,
                "object storage over the node's network",
            ),
            (("kept_checkpoints",), "checkpoints kept", f"{self.kept_checkpoints} at a time", assumed, ""),
            (
                ("power_share", "idle_power_share", "host_w"),
                "power",
                f"{units.percent(low_power)} to {units.percent(high_power)} of the limit, middle {units.percent(power)}",
                assumed,
                f"idle devices {units.percent(self.idle_power_share)}, and {self.host_w:.0f} W of the host for each",
            ),
            (("pue",), "PUE", f"{self.pue:g} where the provider's is not published", assumed, ""),
            (
                ("production", "production_half_devices", "production_half_s"),
                "production",
                f"× {usual:g} ({least:g}–{most:g}) of many devices for long; less on few, or for hours",
                Origin.PUBLISHED,
                "whole published runs against benchmarks of their steps: slow nodes, batch ramp, roll-backs",
            ),
            (
                ("evaluation_share",),
                "evaluation",
                f"{100 * self.evaluation_share:.2g} % of the steps' time",
                assumed,
                "",
            ),
            (
                ("disk_bytes",),
                "disk",
                f"{self.disk_bytes / 1e9:.3g} GB a machine",
                assumed,
                "system, libraries and what is cached",
            ),
        )
        if self.grid_kg_per_j is not None:
            grams = self.grid_kg_per_j * KWH_J * 1000.0
            yield ("grid_kg_per_j",), "electricity", f"{grams:.4g} g of CO2e a kWh", Origin.GIVEN, ""
