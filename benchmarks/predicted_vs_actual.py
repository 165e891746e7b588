"""What was predicted of the seven training runs before they began, beside what they took.

    python benchmarks/predicted_vs_actual.py [--small] [--only convnet] [--backend jax] [--show] [--readme]

The runs are those of ``train.py``, each predicted by its own rehearsal: of other runs on the machine it knows nothing. The
prediction is the file that was in the run's folder before its first step, which the run's own times prove. A run while which
other programs took more than a tenth of a core is marked, and stays in the table; figures of those that were alone stand
beside. What the start and the rehearsal took is known by then: "error of the rest" leaves it out of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import readme
from train import run, told
from training_runs import CONTENDED_CORES, TASKS, USD_PER_HOUR, chosen, kept_of, parser

from zenplan import units

# Asked of all: median error of the time, and of memory; runs of 21 within the 80 % range.
TIME_ASKED, MEMORY_ASKED = 0.08, 0.10
WITHIN_ASKED: Final = (14 / 21, 20 / 21)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A run beside its prediction.

    Attributes:
        name: of the run and its backend.
        predicted_s, low_s, high_s: of its whole time, 80 %.
        known_s: of it, what had passed when the prediction was made.
        actual_s: that it took, by its own account; process_s: by whoever started it, its start among it.
        steps: predicted over measured seconds of a step.
        memory: predicted over measured peak; None where one is not known.
        usd, predicted_usd, billed_usd: of an imaginary offer, as the run counts it; and by its time and the price.
        others: cores that other programs took meanwhile.
    """

    name: str
    predicted_s: float
    low_s: float
    high_s: float
    known_s: float
    actual_s: float
    process_s: float
    steps: float
    memory: float | None
    usd: float
    predicted_usd: float
    billed_usd: float
    others: float

    @property
    def error(self) -> float:
        """Of the time, as a share of what it took."""
        return self.predicted_s / self.actual_s - 1

    @property
    def rest_error(self) -> float:
        """Of what had not passed yet when the prediction was made."""
        return (self.predicted_s - self.known_s) / (self.actual_s - self.known_s) - 1

    @property
    def within(self) -> bool:
        """Whether it took what the range says."""
        return self.low_s <= self.actual_s <= self.high_s

    @property
    def alone(self) -> bool:
        """Whether nothing else ran."""
        return self.others <= CONTENDED_CORES

    @property
    def to_the_cent(self) -> bool:
        """Whether the bill is that of its time."""
        return round(self.usd, 2) == round(self.billed_usd, 2)


def compared(row: Mapping[str, Any]) -> Compared:
    """Of a row of results."""
    before, result = row["prediction"], row["result"]
    status, spent = result["status"], result["status"]["spent"]
    run_s, peak = before["run_s"], result["peak_bytes"]
    memory = before["memory_bytes"] / peak if peak and before["memory_bytes"] else None
    return Compared(
        name=f"{row['run']}, {row['backend']}",
        predicted_s=run_s["mid"],
        low_s=run_s["low"],
        high_s=run_s["high"],
        known_s=(before["setup_s"] or 0.0) + (before["rehearsal_s"] or 0.0),
        actual_s=spent["total_s"],
        process_s=row["wall_s"],
        steps=before["step_s"]["mid"] / result["step_s"],
        memory=memory,
        usd=status["usd"],
        predicted_usd=before["usd"]["mid"],
        billed_usd=spent["total_s"] * USD_PER_HOUR / 3600,
        others=row["others_cores"],
    )


def row_of(found: Compared) -> str:
    """A row of the table."""
    span = f"{units.duration(found.low_s)} to {units.duration(found.high_s)}"
    memory = "" if found.memory is None else f"{100 * (found.memory - 1):+.1f}"
    cents = "yes" if found.to_the_cent else "**no**"
    return (
        f"| {found.name} | {units.duration(found.predicted_s)} | {span} | {units.duration(found.actual_s)} | "
        f"{100 * found.error:+.1f} | {100 * found.rest_error:+.1f} | {'yes' if found.within else 'no'} | "
        f"{100 * (found.steps - 1):+.1f} | {memory} | "
        f"${found.predicted_usd:.2f} | ${found.usd:.2f} | {cents} | {found.process_s - found.actual_s:.1f} | "
        f"{found.others:.1f}{'' if found.alone else ' (contended)'} |"
    )


def summary(what: str, found: Sequence[Compared]) -> str:
    """Medians of some of them."""
    if not found:
        return f"| {what} | 0 | | | | | |"
    within = sum(each.within for each in found)
    memory = [abs(each.memory - 1) for each in found if each.memory is not None]
    return (
        f"| {what} | {len(found)} | {_share(abs(each.error) for each in found)} | "
        f"{_share(abs(each.rest_error) for each in found)} | "
        f"{_share(abs(each.steps - 1) for each in found)} | {within} of {len(found)} | {_share(memory)} |"
    )


def _share(values: Iterable[float]) -> str:
    some = list(values)
    return f"{100 * median(some):.1f} / {100 * max(some):.1f}" if some else ""


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each run, and the medians."""
    found = [compared(row) for row in rows]
    low, high = (round(share * len(found)) for share in WITHIN_ASKED)
    return "\n".join(
        [
            "| run | predicted | 80 % range | took | error, % | error of the rest, % | within | step, % | memory, % | "
            "predicted bill | bill | to the cent | start, s | others, cores |",
            "|---|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---|---:|---:|",
            *map(row_of, found),
            "",
            "| runs | count | time, %: median / worst | of the rest | step, % | within the 80 % range | memory, % |",
            "|---|---:|---:|---:|---:|---:|---:|",
            summary("all", found),
            summary("alone on the machine", [each for each in found if each.alone]),
            f"| asked | | ≤ {100 * TIME_ASKED:.0f} median | | | {low} to {high} | ≤ {100 * MEMORY_ASKED:.0f} |",
        ]
    )


def main() -> None:
    """Make the runs that are not there yet, and print the table."""
    flags = parser(__doc__)
    flags.add_argument("--show", action="store_true", help="the table of what is kept")
    flags.add_argument("--readme", action="store_true", help="also write it into docs/train.md")
    given = flags.parse_args()
    bench, tasks, backends = chosen(given)
    if not given.show:
        run(bench, tasks, backends, given.again)
    names = {task.name for task in (tasks if given.only else TASKS)}
    rows = [row for row in kept_of(bench).rows() if row["run"] in names]
    for row in rows:
        if row["code"]:
            print(told(row))
    text = report([row for row in rows if not row["code"]])
    print(text)
    if given.readme:
        readme.write("predicted-vs-actual", text)


if __name__ == "__main__":
    main()
