"""MLPerf Training: how far the predicted minutes to the target are from the published ones.

    python benchmarks/mlperf.py                 the score by benchmark, on one node and on several
    python benchmarks/mlperf.py --rows          every run, the farthest off first
    python benchmarks/mlperf.py --readme        also write the figures into README.md

Predicted: samples to the target at that batch (the reference convergence points of MLCommons) over the predicted
samples a second. Measured minutes have more in them: evaluation, starting up, and how soon a run happened to converge.
So the score is no score of the step-time model alone. The column ``apart`` says how much that is: the published minutes over
what the samples to the target take at the speed that the same run logged, where it logged one.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import readme
from tables import PUBLISHED, published

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, predicted_speeds, runs_of
from zenplan.commands.backtest.use_case import backtest
from zenplan.domain.answer.backtest import Summary
from zenplan.domain.hardware.catalogue import Catalogue

Row = Mapping[str, str]

# A target of another batch holds for batches that are this much larger or smaller.
_NEAR = 1.35
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Samples to the target of a benchmark at a batch."""

    row: Row
    versions: tuple[float, float]
    global_batch: int
    samples: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A run and its prediction.

    Attributes:
        apart: the published minutes over those that its own logged speed takes to the target; None without one.
    """

    row: Row
    run: Run
    measured_min: float
    predicted_min: float
    apart: float | None

    @property
    def error(self) -> float:
        """ln(predicted / measured)."""
        return math.log(self.predicted_min / self.measured_min)


def targets() -> list[Target]:
    """Those of the published table."""
    return [
        Target(
            row=row,
            versions=(_version(row["first"]), _version(row["last"])),
            global_batch=int(row["global_batch"]),
            samples=float(row["samples_to_target"]),
        )
        for row in published("mlperf_targets.csv")
    ]


def _version(text: str) -> float:
    return float(text.removeprefix("v"))


def target_of(row: Row, known: Sequence[Target]) -> Target | str:
    """The target of the nearest batch, or why there is none."""
    mine = [
        t
        for t in known
        if t.row["benchmark"] == row["benchmark"] and t.versions[0] <= _version(row["version"]) <= t.versions[1]
    ]
    if not mine:
        return f"no published samples to the target of {row['benchmark']} {row['version']}"
    if not (row["devices"] and row["global_batch"] and row["minutes"]):
        return "no devices, batch or minutes"
    batch = float(row["global_batch"])
    nearest = min(mine, key=lambda t: abs(math.log(t.global_batch / batch)))
    if abs(math.log(nearest.global_batch / batch)) > math.log(_NEAR):
        return f"no published samples to the target of {row['benchmark']} at a batch near that"
    return nearest


def as_run(row: Row, target: Target, columns: Sequence[str]) -> Row:
    """The row in the columns of a table of runs; its speed is not asked for."""
    same = ("accelerator", "devices", "precision", "framework", "global_batch")
    nodes = row["nodes"]
    return {
        **dict.fromkeys(columns, ""),
        **{name: row[name] for name in same},
        **{name: target.row[name] for name in ("model", "family", "seq_len", "task")},
        "node_devices": str(-(-int(row["devices"]) // int(nodes))) if nodes else "",
        "samples_per_s_per_device": "1",
    }


def scored(rows: Sequence[Row]) -> tuple[list[Scored], Counter[str]]:
    """The runs that can be predicted, and why others cannot."""
    known, left_out = targets(), Counter[str]()
    logged = {row["id"]: row for row in published("mlperf_throughput.csv")}
    columns = list(next(iter(logged.values())))
    asked: list[tuple[Row, Target]] = []
    for row in rows:
        target = target_of(row, known)
        if isinstance(target, str):
            left_out[target] += 1
        else:
            asked.append((row, target))
    catalogue = Catalogue(accelerators=read_accelerators())
    found = runs_of([as_run(row, target, columns) for row, target in asked], catalogue, read_coefficients())
    made: list[tuple[Row, Target, Run]] = []
    for (row, target), run in zip(asked, found, strict=True):
        if isinstance(run, Run):
            made.append((row, target, run))
        else:
            left_out[run.message] += 1
    return list(_with_minutes(made, logged)), left_out


def _with_minutes(made: Sequence[tuple[Row, Target, Run]], logged: Mapping[str, Row]) -> Iterator[Scored]:
    speeds = predicted_speeds([run for *_, run in made])
    for (row, target, run), (_, each) in zip(made, speeds, strict=True):
        measured, own = float(row["minutes"]), logged.get(row["id"])
        speed = float(own["samples_per_s_per_device"]) * run.devices if own else None
        yield Scored(
            row=row,
            run=run,
            measured_min=measured,
            predicted_min=target.samples / (each * run.devices) / _MINUTE_S,
            apart=measured * _MINUTE_S * speed / target.samples if speed else None,
        )


def _row(name: str, some: Sequence[Scored]) -> str:
    s = Summary.of([each.error for each in some])
    apart = [each.apart for each in some if each.apart is not None]
    between = f"{median(apart):.2f}" if apart else "–"
    shares = f"{100 * s.within_30:.0f} % | {100 * math.expm1(s.bias):+.0f} %"
    return f"| {name} | {len(some)} | {s.median:.3f} | {shares} | {between} |"


def minutes(found: Sequence[Scored]) -> str:
    """The score by benchmark, on one node and on several."""
    lines = ["| minutes to the target | runs | median ln error | within 30 % | bias | apart |", "|---|" + "---:|" * 5]
    for benchmark in dict.fromkeys(each.row["benchmark"] for each in found):
        mine = [each for each in found if each.row["benchmark"] == benchmark]
        lines.append(_row(benchmark, mine))
        for name, some in (
            ("one node", [s for s in mine if s.run.cluster.nodes == 1]),
            ("several nodes", [s for s in mine if s.run.cluster.nodes > 1]),
        ):
            if 0 < len(some) < len(mine):
                lines.append(_row(f"{benchmark}, {name}", some))
    return "\n".join([*lines, _row("all", found)])


def speeds() -> str:
    """The score of the speeds that submissions logged, by benchmark; none was fitted."""
    scored_rows = backtest(
        PUBLISHED / "mlperf_throughput.csv", Catalogue(accelerators=read_accelerators()), read_coefficients()
    ).rows
    lines = ["| logged samples/s, never fitted | rows | median ln error | within 30 % | bias |", "|---|" + "---:|" * 4]
    for model in ("", *dict.fromkeys(row.model for row in scored_rows)):
        s = Summary.of([row.error for row in scored_rows if model in ("", row.model)])
        lines.append(
            f"| {model or 'all'} | {s.rows} | {s.median:.3f} | {100 * s.within_30:.0f} % | "
            f"{100 * math.expm1(s.bias):+.0f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", action="store_true", help="every run, the farthest off first")
    parser.add_argument("--readme", action="store_true", help="write the figures into README.md")
    arguments = parser.parse_args()
    found, left_out = scored(published("mlperf_runs.csv"))
    text = f"{speeds()}\n\n{minutes(found)}"
    print(text)
    print(f"\n{sum(left_out.values())} runs left out:")
    for reason, count in left_out.most_common():
        print(f"{count:5d}  {reason}")
    for each in sorted(found, key=lambda s: -abs(s.error)) if arguments.rows else ():
        print(
            f"{each.row['id']:34s} {each.run.cluster.accelerator.name:16s} {each.run.devices:6d} "
            f"{each.measured_min:9.2f} {each.predicted_min:9.2f} {100 * math.expm1(each.error):+6.0f} %"
        )
    if arguments.readme:
        readme.write("mlperf", text)


if __name__ == "__main__":
    main()
