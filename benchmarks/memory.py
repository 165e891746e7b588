"""How far predicted peak memory is from published peaks, and whether runs that were made are found to fit.

    python benchmarks/memory.py                 the scores by group, and the runs that are found not to fit
    python benchmarks/memory.py --rows          every published peak, by part
    python benchmarks/memory.py --closed        without the publishers that are set aside while the model is chosen
    python benchmarks/memory.py --readme        also write the scores into README.md

A peak is compared with the parts that its tool counts: ``allocated`` is what tensors take
(torch.cuda.max_memory_allocated), ``reserved`` also what the allocator cannot use, ``device`` also the framework's
context and buffers, as nvidia-smi shows them.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import readme
from tables import PUBLISHED, published

from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.kept import named_kept
from zenplan.domain.answer.estimate import MemoryUse
from zenplan.domain.answer.fit import FITS_UP_TO, TIGHT_UP_TO, Fit
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import software_of
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import Experts, TransformerShape
from zenplan.fitting.published import Box, locked, published_runs, publisher, publisher_of
from zenplan.planning.explain.method import QLORA_WEIGHT_BYTES, with_adapters
from zenplan.planning.physics.columns import Layouts
from zenplan.planning.physics.memory import peak_memory
from zenplan.units import GIB

# What each tool does not count.
_NOT_COUNTED = {"allocated": ("workspace_bytes", "fragmentation_bytes"), "reserved": ("workspace_bytes",), "device": ()}
# Bytes of a frozen weight: 4 bits with their constants, quantized again or not (Dettmers et al. 2023, section 3), and
# in groups of 128 with a scale of 16 bits and a zero of 4 (Frantar et al. 2023).
_WEIGHT_BYTES = {"nf4-dq": QLORA_WEIGHT_BYTES, "nf4": 4.5 / 8, "gptq": 4.16 / 8}
_METHODS = {"pretrain": "full", "sft": "full", "lora": "lora", "qlora": "qlora"}
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
    experts = None
    if row["experts"]:
        count, active = int(row["experts"]), int(row["active_experts"])
        experts = Experts(count=count, active=active, width=int(row["ff_width"]))
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
        experts=experts,
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


def plan_of(row: Row) -> TrainingPlan:
    """What the row trains, and with what."""
    software, method = software_of(row["framework"]), _METHODS[row["task"]]
    precision, options = PRECISIONS[row["precision"]], frozenset(row["options"].split(";"))
    workload = lower(shape_of(row), row["model"])
    narrow = next((size for option, size in _WEIGHT_BYTES.items() if option in options), None)
    return TrainingPlan(
        workload=workload if method == "full" else with_adapters(workload),
        samples=1e6,
        global_batch=layout_of(row).global_batch,
        precision=precision,
        optimizer=OPTIMIZERS[row["optimizer"]],
        method=method,
        weight_bytes=narrow or precision.compute_bytes,
        fused_attention=row["attention"] == "flash",
        software=software,
        keeps=named_kept(row["framework"], software, precision, method, options),
    )


def peaks(rows: Iterable[Row]) -> list[Peak]:
    """Each row with its prediction."""
    return [Peak(row=r, memory=peak_memory(plan_of(r), Layouts.of([layout_of(r)])).at(0)) for r in rows]


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
    parser.add_argument("--closed", action="store_true", help="without the publishers of the locked box")
    arguments = parser.parse_args()
    box = Box.CLOSED if arguments.closed else Box.OPEN
    out = locked(PUBLISHED) if arguments.closed else frozenset()
    found = peaks(r for r in published("memory_peaks.csv") if publisher_of(r["source"], PUBLISHED) not in out)
    if arguments.rows:
        names = " | ".join(n.removesuffix("_bytes") for n in found[0].memory.parts())
        print(f"| peak | layout | {names} | predicted GiB | measured GiB | ratio |")
        print("|---|---|" + "---:|" * (len(found[0].memory.parts()) + 3))
        print("\n".join(line(p) for p in found) + "\n")
    text = scores(found)
    print(text + "\n")
    print(limits(found))
    print(widths(found))
    print(verdicts(box))
    if arguments.readme:
        readme.write("memory", text)


def scores(found: Sequence[Peak]) -> str:
    """The table of scores, by publisher and by what the tool counts. Nothing is fitted to peaks."""
    lines = ["| peaks of | rows | median ln error | bias | within 10 % |", "|---|---:|---:|---:|---:|"]
    groups = by_publisher(found)
    lines += [score(name, own) for name, own in sorted(groups.items())]
    for counted in _NOT_COUNTED:
        lines.append(score(f"counted as {counted}", [p for p in found if p.row["counted"] == counted]))
    each = [float(np.median(np.abs([p.error for p in own]))) for own in groups.values()]
    lines.append(f"| mean over publishers | {len(found)} | {np.mean(each):.3f} | | |")
    return "\n".join([*lines, score("**all**", found)])


def by_publisher(found: Iterable[Peak]) -> dict[str, list[Peak]]:
    """Peaks by who measured them."""
    groups: dict[str, list[Peak]] = {}
    for peak in found:
        groups.setdefault(publisher_of(peak.row["source"], PUBLISHED), []).append(peak)
    return groups


def limits(found: Sequence[Peak]) -> str:
    """How many peaks lie beyond the limits of ``domain.answer.fit``, each publisher weighing the same."""
    ratios = [np.exp([-p.error for p in own]) for own in by_publisher(found).values()]
    higher = float(np.mean([(r > 1.0 / FITS_UP_TO).mean() for r in ratios]))
    lower = float(np.mean([(r < 1.0 / TIGHT_UP_TO).mean() for r in ratios]))
    return (
        f"{higher:.0%} of peaks, each publisher weighing the same, lie over {1.0 / FITS_UP_TO - 1.0:.0%} above the "
        f"predicted, {lower:.0%} over {1.0 - 1.0 / TIGHT_UP_TO:.0%} below; {1.0 - higher - lower:.0%} between"
    )


def width(groups: Mapping[str, npt.NDArray[np.float64]], share: float) -> float:
    """The least factor, up and down, within which so large a share of peaks lies, each publisher weighing the same.

    Args:
        groups: ln(measured / predicted) by publisher.
        share: 0 to 1.
    """
    steps = np.sort(np.abs(np.concatenate(list(groups.values()))))
    inside = np.mean(
        [np.searchsorted(np.sort(np.abs(own)), steps, side="right") / len(own) for own in groups.values()], 0
    )
    return math.exp(float(steps[np.argmax(inside >= share - 1e-9)]))


def widths(found: Sequence[Peak]) -> str:
    """The factor that holds 80 % of the peaks of publishers it is not chosen on: the share that it is chosen to hold
    of the others is raised until it does."""
    groups = {name: np.array([-p.error for p in own]) for name, own in by_publisher(found).items()}
    lines = []
    for share in (0.8, 0.82, 0.85):
        held = []
        for name, own in groups.items():
            factor = width({other: each for other, each in groups.items() if other != name}, share)
            held.append(float((np.abs(own) <= math.log(factor)).mean()))
        lines.append(f"x{width(groups, share):.2f} holds {share:.0%}; left out, {np.mean(held):.0%}")
    return "\n".join(lines)


def verdicts(box: Box) -> str:
    """What is found of the runs of ``language_models.csv``, which were all made, and which are called impossible."""
    made = published_runs([PUBLISHED / "language_models.csv"], read_coefficients(), box)
    counts = Counter(run.fit for run in made)
    unfit = Counter(f"{publisher(run)}, {run.measured.framework}" for run in made if not run.fits)
    lines = [f"{len(made)} runs that were made: {', '.join(f'{counts[f] / len(made):.1%} {f}' for f in Fit)}"]
    return "\n".join(lines + [f"does not fit: {n} of {name}" for name, n in unfit.most_common()])


if __name__ == "__main__":
    main()
