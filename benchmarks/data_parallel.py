"""How right a step of two workers is predicted: models that were never run in data parallel, then measured so.

Two processes of this machine, a core and a thread each, train copies of a model on halves of a batch and average their
gradients over gloo (torch's DistributedDataParallel). For each target: a few shallow models of its own width are
stepped by one worker alone, by both at once with nothing reduced, and together; all-reduces are timed by themselves.
The target takes its turns between them, together alone, and is in no fit. Beside it: linear scaling, which is the
step of one worker alone, without communication.

    python benchmarks/data_parallel.py [--only 3] [--write] [--readme] [--show]

Keras and torch must be installed; some four minutes. The two wait for each other, so that the clock is the wall's: the
machine must be quiet. ``--write`` keeps every sample in ``measured/data_parallel.json``, from which ``--show`` makes
the table without measuring again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import readme
from kept_samples import expecting, hear_several, several_document

from zenplan.commands.calibrate.data_parallel import predicted_step, run_ranks, stepped
from zenplan.commands.calibrate.how import How
from zenplan.commands.calibrate.record import Recorder
from zenplan.commands.calibrate.subject import Task
from zenplan.domain.measured.calibration import Measured, Point
from zenplan.domain.measured.prediction import DataParallelStep
from zenplan.planning.calibration.design import depths_for
from zenplan.worker.protocol import TOGETHER, WAYS, Target

HERE = Path(__file__).parent
KEPT = HERE / "measured" / "data_parallel.json"
ASKED = 15
HOW = How(device="cpu", precision="fp32", threads=1, workers=2)
# Of calibration_models.py: family, function, arguments, batch of one worker.
TARGETS: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("transformer", "gpt", {"depth": 12, "width": 256, "heads": 4, "seq_len": 128, "vocab": 2048}, 4),
    ("transformer", "gpt", {"depth": 6, "width": 512, "heads": 8, "seq_len": 64, "vocab": 1024}, 4),
    ("transformer", "gpt", {"depth": 8, "width": 384, "heads": 6, "seq_len": 64, "vocab": 4096}, 4),
    ("transformer", "gpt", {"depth": 10, "width": 128, "heads": 2, "seq_len": 256, "vocab": 512}, 4),
    ("transformer", "llama", {"depth": 10, "width": 256, "ff_width": 704, "seq_len": 128, "vocab": 2048}, 4),
    ("transformer", "encoder", {"depth": 8, "width": 256, "heads": 8, "seq_len": 192}, 2),
    ("transformer", "encoder", {"depth": 12, "width": 192, "heads": 6, "seq_len": 96}, 4),
    ("convnet", "resnet", {"depth": 5, "width": 16, "size": 32}, 32),
    ("convnet", "resnet", {"depth": 4, "width": 32, "size": 32}, 16),
    ("convnet", "resnet", {"depth": 6, "width": 16, "size": 32, "bottleneck": True}, 8),
    ("convnet", "mobile", {"depth": 5, "width": 24, "size": 64}, 8),
    ("recurrent", "recurrent", {"depth": 6, "width": 128, "seq_len": 64}, 16),
    ("recurrent", "recurrent", {"depth": 5, "width": 192, "seq_len": 48, "cell": "GRU"}, 16),
    ("recurrent", "recurrent", {"depth": 4, "width": 256, "seq_len": 32}, 8),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One target: what was measured in data parallel, and what is said of it."""

    family: str
    name: str
    truth: Measured
    gradient_bytes: float
    found: DataParallelStep

    @property
    def truth_s(self) -> float:
        """The median step."""
        return self.truth.step_s("wall")

    def error(self, seconds: float) -> float:
        """Of a step that takes so long, as a share of the measured one."""
        return seconds / self.truth_s - 1


def task(place: int, depth: int) -> Task:
    """A target's model at some depth; at its whole depth it is the truth, which is stepped together alone."""
    _, function, arguments, batch = TARGETS[place]
    model = Target(target=f"calibration_models:{function}", arguments={**arguments, "depth": depth})
    point = Point(key=f"{place} depth={depth}", depth=depth, batch=batch)
    return Task(point=point, model=model, ways=(TOGETHER,) if depth == arguments["depth"] else WAYS)


def group(place: int) -> list[Task]:
    """The shallow models of a target, and last the target."""
    depth = int(TARGETS[place][2]["depth"])
    return [task(place, d) for d in (*depths_for(depth), depth)]


def outcome(recorder: Recorder, number: int, place: int) -> Outcome:
    """What is said of a target, measured as the group of that number."""
    family, function, arguments, batch = TARGETS[place]
    *shallow, whole = group(place)
    told = " ".join(f"{n}={v}" for n, v in arguments.items())
    return Outcome(
        family=family,
        name=f"{function} {told} batch=2×{batch}",
        truth=stepped(recorder, whole.point.key, TOGETHER),
        gradient_bytes=recorder.progress[whole.point.key].gradient_bytes or 0.0,
        found=predicted_step(recorder, number, shallow, int(arguments["depth"]), HOW),
    )


def report(outcomes: Sequence[Outcome]) -> str:
    """Each target, and the medians by family."""
    lines = [
        "Step of two workers; errors in percent; spread: half of the middle half of its rounds.",
        "",
        "| target | measured | spread | predicted | error | no communication | linear scaling | gradients | "
        "all-reduce | exposed |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for o in outcomes:
        mid_s, f = o.found.step.step_s.mid, o.found
        lines.append(
            f"| {o.name} | {1e3 * o.truth_s:.0f} ms | {100 * o.truth.spread('wall'):.1f} | {1e3 * mid_s:.0f} ms | "
            f"{100 * o.error(mid_s):+.1f} | {100 * o.error(f.compute.step_s.mid):+.1f} | "
            f"{100 * o.error(f.alone.step_s.mid):+.1f} | {o.gradient_bytes / 1e6:.1f} MB | {1e3 * f.reduce_s:.1f} ms | "
            f"× {f.exposed:.2f} |"
        )
    return "\n".join([*lines, "", *summary(outcomes)])


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Median and worst by family, for each method."""
    lines = [
        "| family | targets | predicted: median / worst | asked | no communication | linear scaling |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for family in (*dict.fromkeys(o.family for o in outcomes), "**all**"):
        some = [o for o in outcomes if family in (o.family, "**all**")]
        found = _median_worst([o.error(o.found.step.step_s.mid) for o in some])
        shared = _median_worst([o.error(o.found.compute.step_s.mid) for o in some])
        linear = _median_worst([o.error(o.found.alone.step_s.mid) for o in some])
        lines.append(f"| {family} | {len(some)} | {found} % | ≤ {ASKED} | {shared} % | {linear} % |")
    return lines


def _median_worst(errors: Sequence[float]) -> str:
    sizes = [100 * abs(e) for e in errors]
    return f"{median(sizes):.1f} / {max(sizes):.1f}"


def read_samples(document: Mapping[str, Any]) -> Recorder:
    """What ``measured`` answered: the same events again."""
    recorder = expecting(each.point for place in document["targets"] for each in group(place))
    hear_several(recorder, document)
    return recorder


def measured(places: Sequence[int]) -> dict[str, Any]:
    """All samples of those targets, from one run of both workers."""
    os.chdir(HERE)
    recorder = run_ranks("the targets", [group(place) for place in places], HOW, lambda stage, seconds: None)
    return {"targets": list(places), **several_document(recorder)}


def main() -> None:
    """Measure, or read what was measured, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", type=int, action="append", help="the number of a target, from 0; may be repeated")
    parser.add_argument("--write", action="store_true", help=f"keep the samples in measured/{KEPT.name}")
    parser.add_argument("--readme", action="store_true", help="also write the summary into README.md")
    parser.add_argument("--show", action="store_true", help="the table of the samples that are kept")
    given = parser.parse_args()
    places = given.only or range(len(TARGETS))
    document = json.loads(KEPT.read_text(encoding="utf-8")) if given.show else measured(places)
    if given.write:
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")
    recorder = read_samples(document)
    outcomes = [outcome(recorder, number, place) for number, place in enumerate(document["targets"])]
    print(report(outcomes))
    if given.readme:
        readme.write("data-parallel", "\n".join(summary(outcomes)))


if __name__ == "__main__":
    main()
