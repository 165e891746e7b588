"""How far predicted peak memory is from published peaks, and whether runs that were made are found to fit.

    python benchmarks/memory.py                 the scores by group, and the runs that are found not to fit
    python benchmarks/memory.py --rows          every published peak, by part
    python benchmarks/memory.py --readme        also write the scores into README.md

A peak is compared with the parts that its tool counts: ``allocated`` is what tensors take
(torch.cuda.max_memory_allocated), ``reserved`` also what the allocator cannot use, ``device`` also the framework's
context and buffers, as nvidia-smi shows them.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import readme
from tables import published

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, runs_of
from zenplan.domain.answer.estimate import MemoryUse
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import software_of
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.families.transformer.lowering import TransformerShape, lower
from zenplan.fitting.published import source
from zenplan.planning.physics.columns import Layouts
from zenplan.planning.physics.memory import peak_memory
from zenplan.units import GIB

# What each tool does not count.
_NOT_COUNTED = {"allocated": ("workspace_bytes", "fragmentation_bytes"), "reserved": ("workspace_bytes",), "device": ()}
Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A published peak and what is predicted for it."""

    row: Row
    memory: MemoryUse

    @property
    def predicted_bytes(self) -> float:
        """The parts that the row's tool counts."""
        left_out = _NOT_COUNTED[self.row["counted"]]
        return sum(size for name, size in self.memory.parts().items() if name not in left_out)

    @property
    def error(self) -> float:
        """ln(predicted / measured)."""
        return math.log(self.predicted_bytes / (float(self.row["peak_gib"]) * GIB))


def shape_of(row: Row) -> TransformerShape:
    """The row's shape."""
    gated, seq_len = row["gated"] == "yes", int(row["seq_len"])
    return TransformerShape(
        layers=int(row["layers"]),
        width=int(row["width"]),
        heads=int(row["heads"]),
        kv_heads=int(row["kv_heads"]),
        ff_width=int(row["ff_width"]),
        vocab=int(row["vocab"]),
        seq_len=seq_len,
        gated=gated,
        tied=row["tied"] == "yes",
        biases=row["biases"] == "yes",
        dropout=row["dropout"] == "yes",
        positions=0 if gated else seq_len,
    )


def layout_of(row: Row) -> Layout:
    """The row's layout."""
    degrees: dict[str, Any] = {n: int(row[n]) for n in ("dp", "tp", "pp", "cp", "ep", "micro_batch", "accumulation")}
    return Layout(
        **degrees,
        zero=int(row["zero_stage"]),
        interleave=int(row["vp"]),
        recompute=Recompute(row["recompute"]),
        sequence=row["sequence_parallel"] == "yes",
    )


def peaks(rows: Iterable[Row]) -> list[Peak]:
    """Each row with its prediction, under AdamW."""
    found = []
    for row in rows:
        plan = TrainingPlan(
            workload=lower(shape_of(row), row["model"]),
            samples=1e6,
            global_batch=layout_of(row).global_batch,
            precision=PRECISIONS[row["precision"]],
            optimizer=OPTIMIZERS["adamw"],
            fused_attention=row["attention"] == "flash",
            software=software_of(row["framework"]),
        )
        found.append(Peak(row=row, memory=peak_memory(plan, Layouts.of([layout_of(row)])).at(0)))
    return found


def score(name: str, found: Sequence[Peak]) -> str:
    """A row of the table of scores."""
    errors = np.array([p.error for p in found])
    return (
        f"| {name} | {len(errors)} | {np.median(np.abs(errors)):.3f} | {math.expm1(np.median(errors)):+.0%} "
        f"| {(np.abs(np.expm1(errors)) <= 0.1).mean():.0%} |"
    )


def line(peak: Peak) -> str:
    """A peak by part, in GiB."""
    parts = " | ".join(f"{size / GIB:.1f}" for size in peak.memory.parts().values())
    layout = layout_of(peak.row)
    return (
        f"| {peak.row['id']} | {peak.row['model'][:16]} {layout} | {parts} | {peak.predicted_bytes / GIB:.1f} "
        f"| {float(peak.row['peak_gib']):.1f} {peak.row['counted']} | {math.exp(peak.error):.2f} |"
    )


def main() -> None:
    """Print the scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", action="store_true", help="every peak, by part")
    parser.add_argument("--readme", action="store_true", help="also write the scores into README.md")
    arguments = parser.parse_args()
    found = peaks(published("memory_peaks.csv"))
    if arguments.rows:
        names = " | ".join(n.removesuffix("_bytes") for n in found[0].memory.parts())
        print(f"| peak | layout | {names} | predicted GiB | measured GiB | ratio |")
        print("|---|---|" + "---:|" * (len(found[0].memory.parts()) + 3))
        print("\n".join(line(p) for p in found) + "\n")
    text = scores(found)
    print(text + "\n")
    print(fits())
    if arguments.readme:
        readme.write("memory", text)


def scores(found: Sequence[Peak]) -> str:
    """The table of scores, by group of sources and by what the tool counts."""
    lines = ["| peaks of | rows | median ln error | bias | within 10 % |", "|---|---:|---:|---:|---:|"]
    for group in sorted({p.row["id"].partition("-")[0] for p in found}):
        lines.append(score(group, [p for p in found if p.row["id"].startswith(group + "-")]))
    for counted in _NOT_COUNTED:
        lines.append(score(f"counted as {counted}", [p for p in found if p.row["counted"] == counted]))
    return "\n".join([*lines, score("**all**", found)])


def fits() -> str:
    """How many of the runs of ``language_models.csv``, which were all made, are found to fit, and which are not."""
    made = runs_of(published(), Catalogue(accelerators=read_accelerators()), read_coefficients())
    all_runs = [r for r in made if isinstance(r, Run)]
    unfit = Counter(source(r) for r in all_runs if not r.fits)
    share = 1.0 - unfit.total() / len(all_runs)
    lines = [f"{share:.1%} of {len(all_runs)} runs that were made are found to fit"]
    return "\n".join(lines + [f"not found to fit: {n} of {name}" for name, n in unfit.most_common()])


if __name__ == "__main__":
    main()
