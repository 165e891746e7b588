"""How far predicted bills are from published ones: GPU-hours, and dollars at the price that was paid.

    python benchmarks/bills.py               every bill with its prediction, and the scores by kind
    python benchmarks/bills.py --readme      also write the bills and the scores into docs/accuracy.md

Each row of ``published/bills.csv`` is asked as a user of ``zenplan estimate`` would ask it: the model by its name or its
size, what it was trained on, the accelerator and how many. The machines are one offer at the published price per
hour, of the accelerator's usual nodes. None was in a fit. The whole runs of ``full_runs.csv`` stand beside them as
``benchmarks/full_runs.py`` predicts them; ``Operations.production`` was fitted to those.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import full_runs
import readme
from tables import published

from zenplan import units
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.shared.known import Known
from zenplan.domain.answer.answer import Answer
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import Instance, Offer, Price, PriceTable
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.request import Request
from zenplan.errors import ZenplanError
from zenplan.fitting.production import pairs_of
from zenplan.fitting.published import rows_of
from zenplan.plugins import load_plugins
from zenplan.protocols import WorkloadFamily

TABLE = "bills.csv"
# Makers count hours from the start of training, not of renting.
OPERATIONS = Operations(startup_s=0.0)
# Between nodes, where the data sheet has no network: 100 Gbit/s a device.
_USUAL_NETWORK_BYTES_PER_S = 12.5e9
# Where a bill has no price, an offer still needs one; no dollars are shown of it.
_ANY_USD_PER_H = 1.0
_COUNTS = ("samples", "epochs", "tokens", "params", "active_params")
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A published bill beside its prediction.

    Attributes:
        gpu_hours: of all devices together, as published. usd: as published; None where it is not.
        predicted_gpu_hours: with the work that failures lose; an 80 % range.
        predicted_usd: the same hours at the price that was paid; None where that is not published.
    """

    row: Row
    gpu_hours: float
    usd: float | None
    predicted_gpu_hours: Range
    predicted_usd: Range | None

    @property
    def error(self) -> float:
        """ln(predicted / published GPU-hours)."""
        return math.log(self.predicted_gpu_hours.mid / self.gpu_hours)

    @property
    def inside(self) -> bool:
        """Whether the published hours lie in the range."""
        return self.predicted_gpu_hours.low <= self.gpu_hours <= self.predicted_gpu_hours.high


@cache
def _catalogue() -> Catalogue:
    return Catalogue(accelerators=read_accelerators())


@cache
def _families() -> tuple[WorkloadFamily, ...]:
    return load_plugins().workloads()


def hours_of(row: Row) -> float:
    """GPU-hours as published, or devices · days · 24."""
    return float(row["gpu_hours"] or 0.0) or int(row["devices"]) * float(row["days"]) * 24.0


def price_of(row: Row) -> float | None:
    """Dollars of a GPU-hour as published, or those of the whole bill over its hours."""
    if row["usd_per_gpu_h"]:
        return float(row["usd_per_gpu_h"])
    return float(row["usd"]) / hours_of(row) if row["usd"] else None


def request_of(row: Row) -> Request:
    """What a user would ask who knows what the row says.

    Raises:
        ZenplanError: the row contradicts itself.
    """
    options: dict[str, Any] = {name: float(row[name]) for name in _COUNTS if row[name]}
    options |= {name: int(row[name]) for name in ("seq_len",) if row[name]}
    return Request(
        model=row["ask"] or None,
        flop_per_sample=float(row["flop_per_sample"]) if row["flop_per_sample"] else None,
        batch=int(row["global_batch"]) if row["global_batch"] else None,
        precision=row["precision"],
        method=row["method"] or None,
        gpu=(row["accelerator"],),
        gpus=int(row["devices"]),
        top=1,
        **options,
    )


def offer_of(accelerator: Accelerator, devices: int, usd_per_gpu_h: float | None) -> Offer:
    """The accelerator's usual machine at that price, on its usual network."""
    node = min(accelerator.node_devices, devices)
    network = accelerator.network_bytes_per_s or _USUAL_NETWORK_BYTES_PER_S
    instance = Instance(
        provider="published",
        name=accelerator.name,
        accelerator=accelerator.name,
        devices=node,
        network_bytes_per_s=network,
    )
    price = Price(usd_per_h=node * (usd_per_gpu_h or _ANY_USD_PER_H), as_of=None, source="the bill")
    return Offer(instance=instance, region="any", on_demand=price)


def answered(row: Row) -> Answer:
    """The row, asked and answered.

    Raises:
        ZenplanError: it cannot be predicted; the message says why.
    """
    accelerator = _catalogue().by_name(row["accelerator"])
    offer = offer_of(accelerator, int(row["devices"]), price_of(row))
    table = PriceTable(provider="published", offers=(offer,))
    known = Known(
        catalogue=_catalogue(),
        tables=(table,),
        families=_families(),
        coefficients=read_coefficients(),
        operations=OPERATIONS,
    )
    return estimate(request_of(row), known)


def bill_of(row: Row) -> Bill:
    """The row beside its prediction.

    Raises:
        ZenplanError: it cannot be predicted; the message says why.
    """
    time = answered(row).ranked[0].bill.run.wall_clock_s
    hours, price = time * (int(row["devices"]) / units.HOUR_S), price_of(row)
    return Bill(
        row=row,
        gpu_hours=hours_of(row),
        usd=float(row["usd"]) if row["usd"] else None,
        predicted_gpu_hours=hours,
        predicted_usd=hours * price if price is not None else None,
    )


def bills(rows: Sequence[Row]) -> Iterator[tuple[Row, Bill | ZenplanError]]:
    """Each row with its prediction, or the reason why it has none."""
    for row in rows:
        try:
            yield row, bill_of(row)
        except ZenplanError as error:
            yield row, error


def line(bill: Bill) -> str:
    """A row of the table."""
    row, hours = bill.row, bill.predicted_gpu_hours
    shown = f"{hours.mid:,.4g} ({hours.low:,.3g}–{hours.high:,.3g})"
    usd = units.usd(bill.usd) if bill.usd else "–"
    predicted = units.usd(bill.predicted_usd.mid) if bill.predicted_usd else "–"
    return (
        f"| {row['publisher']}: {row['model']} | {int(row['devices']):,} × {row['accelerator']} | {bill.gpu_hours:,.4g} "
        f"| {shown} | {math.exp(bill.error):.2f} | {'yes' if bill.inside else 'no'} | {usd} | {predicted} |"
    )


def table(found: Sequence[Bill]) -> str:
    """Every bill with its prediction."""
    heads = (
        "bill",
        "where",
        "GPU-hours",
        "predicted (80 %)",
        "predicted / published",
        "inside",
        "dollars",
        "predicted",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---:|---:|---:|---|---:|---:|"]
    return "\n".join([*lines, *map(line, found)])


def scores(found: Sequence[Bill]) -> str:
    """Median error, bias and coverage by kind; the whole runs below."""
    lines = ["| bills | rows | median ln error | bias | in its range |", "|---|---:|---:|---:|---:|"]
    kinds = list(dict.fromkeys(b.row["kind"] for b in found))
    groups = [("all", list(found)), *((kind, [b for b in found if b.row["kind"] == kind]) for kind in kinds)]
    for name, group in groups:
        lines.append(full_runs.summary(name, [b.gpu_hours for b in group], [b.predicted_gpu_hours for b in group]))
    pairs, _ = pairs_of(rows_of(full_runs.TABLE), read_coefficients())
    runs = [p.run for p in pairs]
    measured, calendars = [r.measured_gpu_hours for r in runs], [r.calendar_gpu_hours for r in runs]
    lines.append(full_runs.summary("whole runs of full_runs.csv", measured, calendars))
    return "\n".join(lines)


def main() -> None:
    """Print the bills, the scores, and what has no prediction."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--readme", action="store_true", help="also write them into docs/accuracy.md")
    arguments = parser.parse_args()
    made = list(bills(published(TABLE)))
    found = [bill for _, bill in made if isinstance(bill, Bill)]
    text = f"{scores(found)}\n\n{table(found)}"
    print(text)
    for row, error in made:
        if isinstance(error, ZenplanError):
            print(f"no prediction: {row['id']}: {error}")
    if arguments.readme:
        readme.write("bills", text)


if __name__ == "__main__":
    main()
