"""How right ``zenplan calibrate`` is on models that it has never seen: whole runs of it, truth before and after.

    python benchmarks/calibration_unseen.py [--models unseen_models_2] [--backend torch] [--only unet] [--minutes 1]
                                            [--forbid-whole] [--write] [--show] [--readme]

Each model of ``unseen_models.py``, or of the second set, is calibrated as a user does it, by one thread, in so many
minutes of the clock on the wall; before and after it a process of its own times the model at its full depth and batch.
``--forbid-whole`` keeps calibrations from running that very model, as where it does not fit: what is scored then is the
extrapolation. Beside it stands a constant MFU, taken from the largest step that was not the model's own. ``--write``
keeps the rows in ``measured/calibration_unseen.json``; ``--readme`` puts the table of what is kept into
``docs/calibration.md``.

``unseen_models.py`` has a function for each model, whose argument ``depth`` is what ``--vary`` varies, and ``MODELS``:
name to ``{"depth": 12, "shallow": (1, 2, 4), "batch": 8}``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from readme import write as write_between

from zenplan.adapters.store.store import CalibrationStore
from zenplan.adapters.workers.engines import KerasEngine
from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.commands.calibrate.asked import Vary
from zenplan.commands.calibrate.how import how_of
from zenplan.commands.calibrate.record import Recorder
from zenplan.commands.calibrate.use_case import Machine, Wanted, calibrate
from zenplan.commands.profile.use_case import profile
from zenplan.commands.shared.tables import catalogue
from zenplan.domain.measured.calibration import Calibration, Measured, Point
from zenplan.domain.training.request import Request
from zenplan.errors import ZenplanError
from zenplan.plugins import load_plugins
from zenplan.worker.protocol import Measure, Rounds, Target, WantedPoint

HERE = Path(__file__).parent
KEPT = HERE / "measured" / "calibration_unseen.json"
# The set that causes were looked for in.
FIRST = "unseen_models"
BACKENDS = ("torch", "tensorflow", "jax")
TRUTH_ROUNDS = Rounds(least=3, most=7, seconds=8.0)
# Median and worst error that are asked for, in percent.
ASKED = {"torch": (5, 15), "tensorflow": (7, 20), "jax": (8, 25)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model on one backend; seconds of a step by the processor's clock.

    Attributes:
        models: the module that it is of.
        whole: whether the model itself was run; False where it was forbidden or did not fit into the minutes.
        before_s, after_s: the truth, around the calibration.
        constant_mfu_s: from the largest step that is not the model's own.
        wall_s: of the calibration.
        load: processes that wanted a core, ours among them, over the minute before the end; NaN of the rows of 2026-11, when
            it was 4 to 8.
    """

    name: str
    backend: str
    minutes: float
    forbidden: bool
    models: str = FIRST
    whole: bool = False
    before_s: float = math.nan
    after_s: float = math.nan
    low_s: float = math.nan
    mid_s: float = math.nan
    high_s: float = math.nan
    constant_mfu_s: float = math.nan
    wall_s: float = math.nan
    load: float = math.nan
    method: str = ""
    failure: str = ""

    @property
    def truth_s(self) -> float:
        """Between the two."""
        return math.sqrt(self.before_s * self.after_s)

    @property
    def inside(self) -> bool:
        """Whether the 80 % interval has it."""
        return self.low_s <= self.truth_s <= self.high_s

    def off(self, predicted_s: float) -> float:
        """In percent."""
        return 100.0 * (predicted_s / self.truth_s - 1.0)


def truth_s(module: str, name: str, wanted: Mapping[str, Any], backend: str) -> float:
    """The median step of the model, in a process of its own."""
    recorder, key = Recorder(), "truth"
    recorder.expect([Point(key=key, depth=wanted["depth"], batch=wanted["batch"])])
    model = Target(target=f"{module}:{name}", arguments={"depth": wanted["depth"]})
    job = Measure(
        what=name,
        precision="fp32",
        threads=1,
        device="cpu",
        points=(WantedPoint(key=key, batch=wanted["batch"], model=model),),
        rounds=TRUTH_ROUNDS,
    )
    environment = measuring_environment("cpu", 1, os.environ)
    run_job(job, backend, Limits(time_s=1800.0), lambda stage, seconds: None, recorder.hear, environment)
    return recorder.progress[key].measured().step_s("cpu")


def calibrated(
    module: str, name: str, wanted: Mapping[str, Any], backend: str, minutes: float, forbid_whole: bool
) -> Row:
    """What a calibration of so many minutes says, without the truth."""
    plugins = load_plugins({"ZENPLAN_PLUGINS": ""})
    found, *_ = profile(catalogue(plugins))
    how = how_of(found, device="cpu", precision="fp32", threads=1, compiled=None, minutes=minutes, strict=False)
    asked = Wanted(
        request=Request(batch=wanted["batch"]),
        keras=f"{module}:{name}",
        vary=Vary(argument="depth", depths=tuple(wanted["shallow"])),
        depth=wanted["depth"],
    )
    machine = Machine(profile=found, sheet=None, families=plugins.workloads())
    row = Row(name=name, backend=backend, minutes=minutes, forbidden=forbid_whole, models=module)
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder, CalibrationStore.open(Path(folder) / "c.sqlite") as store:
            answer = calibrate(
                asked,
                [KerasEngine(backend)],
                replace(how, whole=not forbid_whole),
                machine,
                store,
                lambda share, text: None,
                lambda text: None,
            ).taken[0]
    except ZenplanError as error:
        return replace(row, wall_s=time.monotonic() - start, failure=error.message)
    row = replace(row, wall_s=time.monotonic() - start, failure=answer.reason)
    if answer.prediction is None:
        return row
    step, taken = answer.prediction.step_s, answer.calibration
    return replace(
        row,
        whole="whole model" in answer.prediction.method,
        low_s=step.low,
        mid_s=step.mid,
        high_s=step.high,
        constant_mfu_s=constant_mfu_s(taken),
        method=answer.prediction.method,
    )


def constant_mfu_s(taken: Calibration) -> float:
    """As many FLOP a second as the largest step of the calibration that is not of the model itself."""
    target = taken.target
    others = [m for m in taken.steps if target and (m.point.depth, m.point.batch) != (target.depth, target.batch)]
    if target is None or not others:
        return math.nan
    largest = max(others, key=lambda m: _flop(m.point))
    return _step_s(largest) * _flop(target) / _flop(largest.point)


def _step_s(measured: Measured) -> float:
    return measured.step_s("cpu")


def _flop(point: Point) -> float:
    return sum(v for name, v in point.features.items() if name.endswith("_flop"))


def run(
    module: str, backend: str, minutes: float, forbid_whole: bool = False, only: Sequence[str] = ()
) -> Iterator[Row]:
    """Every model of a module, told on stderr as it is done."""
    models: Mapping[str, Mapping[str, Any]] = import_module(module).MODELS
    for name, wanted in models.items():
        if only and name not in only:
            continue
        try:
            before_s = truth_s(module, name, wanted, backend)
            row = calibrated(module, name, wanted, backend, minutes, forbid_whole)
            row = replace(
                row, load=os.getloadavg()[0], before_s=before_s, after_s=truth_s(module, name, wanted, backend)
            )
        except ZenplanError as error:
            row = Row(
                name=name,
                backend=backend,
                minutes=minutes,
                forbidden=forbid_whole,
                models=module,
                failure=error.message,
            )
        print(line(row), file=sys.stderr, flush=True)
        yield row


def line(row: Row) -> str:
    """A row of the table of models."""
    if math.isnan(row.mid_s) or math.isnan(row.before_s):
        return f"| {row.name} | {row.backend} | failed: {row.failure} | | | | | | | |"
    width = 100.0 * math.log(row.high_s / row.mid_s)
    return (
        f"| {row.name} | {row.backend} | {1e3 * row.before_s:.0f}, {1e3 * row.after_s:.0f} ms | {1e3 * row.mid_s:.0f} ms | "
        f"{row.off(row.mid_s):+.1f} | ±{width:.0f} {'in' if row.inside else 'out'} | {row.off(row.constant_mfu_s):+.1f} | "
        f"{row.wall_s:.0f} s | {row.load:.0f} | {row.method} |"
    )


def report(rows: Sequence[Row]) -> str:
    """Every model, and what it comes to by backend."""
    head = "| model | backend | measured | predicted | off % | interval % | constant MFU | wall | load | from |"
    return "\n".join([head, "|---|---|---|---|---:|---|---:|---:|---:|---|", *map(line, rows), "", *summary(rows)])


def summary(rows: Sequence[Row]) -> list[str]:
    """Median and worst error, and how often the interval held, with the whole model run and without."""
    lines = [
        "| backend | the model itself | models | minutes | load | off: median / worst % | asked | in interval | "
        "constant MFU | wall |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    groups = list(dict.fromkeys((r.models, r.minutes) for r in rows))
    for (models, minutes), backend, forbidden in product(groups, BACKENDS, (False, True)):
        wanted = (models, minutes, backend, forbidden)
        some = [r for r in rows if (r.models, r.minutes, r.backend, r.forbidden) == wanted]
        done = [r for r in some if not math.isnan(r.mid_s) and not math.isnan(r.before_s)]
        if not done:
            continue
        what = "never run" if forbidden else f"run where it fits ({sum(r.whole for r in done)})"
        median_, worst = ASKED[backend]
        inside = 100.0 * sum(r.inside for r in done) / len(done)
        load = median(r.load for r in done)
        lines.append(
            f"| {backend}{'' if models == FIRST else ', second set'} | {what} | {len(done)} of {len(some)} | {minutes:g} | "
            f"{'4 to 8' if math.isnan(load) else f'{load:.0f}'} | "
            f"{_errors([r.off(r.mid_s) for r in done])} | ≤ {median_} / {worst} | {inside:.0f} % | "
            f"{_errors([r.off(r.constant_mfu_s) for r in done])} | "
            f"{median(r.wall_s / r.minutes for r in done):.0f} s a minute |"
        )
    return lines


def _errors(off: Sequence[float]) -> str:
    known = [abs(each) for each in off if not math.isnan(each)]
    return f"{median(known):.1f} / {max(known):.1f}" if known else "none"


def kept() -> list[Row]:
    """The rows that were written last."""
    if not KEPT.exists():
        return []
    return [Row(**row) for row in json.loads(KEPT.read_text(encoding="utf-8"))]


def keep(rows: Sequence[Row]) -> None:
    """Write these over what is kept of the same models, backends, ways and minutes."""
    every = {(r.models, r.name, r.backend, r.forbidden, r.minutes): r for r in (*kept(), *rows)}
    KEPT.write_text(json.dumps([asdict(r) for r in every.values()], indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, and show; or show what is kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", default="unseen_models", help="a module of builders in the current folder")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="one of them; all, if not given")
    parser.add_argument("--only", action="append", default=[], help="name of a model")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each calibration")
    parser.add_argument("--forbid-whole", action="store_true", help="never run the model itself")
    parser.add_argument("--write", action="store_true", help="keep the rows")
    parser.add_argument("--show", action="store_true", help="what is kept, measuring nothing")
    parser.add_argument("--readme", action="store_true", help="put the table of what is kept into the docs")
    given = parser.parse_args()
    # A worker looks for models in the current folder; for those of another folder than this, PYTHONPATH names it.
    if not (Path.cwd() / f"{given.models}.py").exists():
        os.chdir(HERE)
    rows = kept() if given.show else []
    for backend in () if given.show else given.backend or BACKENDS:
        for row in run(given.models, backend, given.minutes, given.forbid_whole, given.only):
            rows.append(row)
            if given.write:
                keep([row])
    print(report(rows))
    if given.readme:
        write_between("calibration-unseen", "\n".join(summary(kept())))


if __name__ == "__main__":
    main()
