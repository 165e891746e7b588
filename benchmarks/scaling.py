"""How right the step of several workers is over links that were not measured, and collectives among more workers.

Processes of this machine, a thread each, in network namespaces whose links are shaped to a rate (``shaped_links.py``).
Two workers are stepped over every link, with small models of three families: shallow ones, and the target, which is in no
fit. Of the links, two are fitted on: their collectives say what a byte takes in the machines and on the link, and the
shallow models over them what of that a step is longer by. Over the other links only computing is known (shallow models
that step at once and reduce nothing, in the same rounds, so that both meet the same machine): what the target takes is
predicted. Four workers are more than this machine has cores for: their collectives are scored alone, by a fit of two.

    python benchmarks/scaling.py [--write] [--docs] [--show]

It needs Keras, torch, ip and tc, and the right to make namespaces; without them it says so and measures nothing. Some
eight minutes. ``--write`` keeps every sample in ``measured/scaling.json``, from which ``--show`` makes the tables again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import readme
from kept_samples import expecting, hear_several, several_document
from shaped_links import MBIT, NoNamespaces, joined

from zenplan.commands.calibrate.data_parallel import Started, computed, run_ranks, stepped
from zenplan.commands.calibrate.how import How
from zenplan.commands.calibrate.record import Recorder
from zenplan.commands.calibrate.subject import Task
from zenplan.domain.measured.calibration import Point
from zenplan.domain.measured.collectives import ALL_REDUCE, COLLECTIVES
from zenplan.planning.calibration.collectives import Link, Timed, fitted_link
from zenplan.planning.calibration.data_parallel import (
    EFFICIENT,
    exposed_share,
    gradient_bytes_at,
    late_s,
    reduce_s,
)
from zenplan.planning.calibration.design import depths_for
from zenplan.worker.protocol import ALONE, AT_ONCE, TOGETHER, WAYS, Target

HERE = Path(__file__).parent
KEPT = HERE / "measured" / "scaling.json"
ASKED = 12
WORKERS = 2
FITTED, OTHERS = (200, 1000), (100, 500, 2000)
# Above the cores: collectives alone, among so many, over these links.
MORE, MORE_LINKS = 4, (100, 500)
SIZES = (2**18, 2**20, 2**22)
ROUNDS = 5
# Of calibration_models.py: family, function, arguments, batch of one worker.
TARGETS: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("decoder", "gpt", {"depth": 6, "width": 128, "heads": 2, "seq_len": 64, "vocab": 512}, 4),
    ("convnet", "resnet", {"depth": 5, "width": 16, "size": 32}, 8),
    ("recurrent", "recurrent", {"depth": 5, "width": 128, "seq_len": 32}, 8),
)


def how(workers: int) -> How:
    """A thread each."""
    return How(device="cpu", precision="fp32", threads=1, workers=workers)


def task(place: int, depth: int) -> Task:
    """A target's model at some depth; at its whole depth it is the truth."""
    _, function, arguments, batch = TARGETS[place]
    model = Target(target=f"calibration_models:{function}", arguments={**arguments, "depth": depth})
    point = Point(key=f"{place} depth={depth}", depth=depth, batch=batch)
    return Task(point=point, model=model, ways=WAYS)


def group(place: int) -> list[Task]:
    """The shallow models of a target, and last the target."""
    depth = int(TARGETS[place][2]["depth"])
    return [task(place, d) for d in (*depths_for(depth), depth)]


# --- measuring


def measured() -> list[dict[str, Any]]:
    """Every link in its turn."""
    os.chdir(HERE)
    groups = [group(place) for place in range(len(TARGETS))]
    found = []
    for workers, rates, models in ((WORKERS, (*FITTED, *OTHERS), groups), (MORE, MORE_LINKS, [[]])):
        with joined(workers) as links:
            for mbit in rates:
                links.shape(mbit)
                print(f"{workers} workers, {mbit} Mbit/s, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
                started = Started(
                    environments=links.environments(1),
                    address=links.address,
                    command=links.command,
                    sizes=SIZES,
                    rounds=ROUNDS,
                )
                recorder = run_ranks("the targets", models, how(workers), lambda *_: None, started=started)
                load = round(os.getloadavg()[0], 1)
                found.append({"workers": workers, "mbit": mbit, "load": load, **several_document(recorder)})
    return found


def recorded(session: Mapping[str, Any]) -> Recorder:
    """The samples of one link."""
    recorder = expecting(each.point for place in range(len(TARGETS)) for each in group(place))
    hear_several(recorder, session)
    return recorder


# --- what is said of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A target over a link.

    Attributes:
        compute_s: predicted, of both at once without communication; alone_s: of one, predicted.
        true_compute_s, true_alone_s, true_step_s: measured, of the target itself.
    """

    place: int
    mbit: int
    compute_s: float
    alone_s: float
    step_s: float
    true_compute_s: float
    true_alone_s: float
    true_step_s: float

    @property
    def error(self) -> float:
        """Of the step."""
        return self.step_s / self.true_step_s - 1

    @property
    def communication(self) -> float:
        """Of the step, were computing known."""
        return (self.true_compute_s + self.step_s - self.compute_s) / self.true_step_s - 1

    @property
    def without(self) -> float:
        """Were nothing said of communication."""
        return self.compute_s / self.true_step_s - 1

    @property
    def efficiency(self) -> tuple[float, float]:
        """Predicted and measured."""
        return self.alone_s / self.step_s, self.true_alone_s / self.true_step_s


Sessions = Mapping[tuple[int, int], Recorder]


def links_of(sessions: Sessions) -> dict[str, Link]:
    """Each collective as two workers had it over the links that are fitted on."""
    return {
        name: fitted_link(name, [t for mbit in FITTED for t in all_timed(sessions[WORKERS, mbit], name, WORKERS, mbit)])
        for name in COLLECTIVES
    }


def all_timed(recorder: Recorder, name: str, workers: int, mbit: int) -> list[Timed]:
    """The medians of all rounds of all groups, by size."""
    return [
        Timed(
            workers=workers,
            size_bytes=size,
            seconds=median(
                s
                for (_, n, b), rounds in recorder.communicated.items()
                if (n, b) == (name, size)
                for s in rounds.values()
            ),
            link_bytes_per_s=mbit * MBIT,
        )
        for size in SIZES
    ]


def outcomes(sessions: Sessions, link: Link) -> list[Outcome]:
    """Each target over each link."""
    return [
        outcome(sessions, link, place, mbit, exposed_of(sessions, link, place))
        for place in range(len(TARGETS))
        for mbit in (*FITTED, *OTHERS)
    ]


def parts_s(link: Link, compute_s: float, gradient_bytes: float, mbit: int) -> tuple[float, float]:
    """What the machines do for an all-reduce, and what is late on the link."""
    return (
        reduce_s(link.host, gradient_bytes, WORKERS),
        late_s(compute_s, link.on_link(mbit * MBIT), gradient_bytes, WORKERS),
    )


def exposed_of(sessions: Sessions, link: Link, place: int) -> float:
    """By how many seconds a step grows for one of what the machines do, by the shallow models over the links that are
    fitted on; by what is late on the link it grows in full."""
    before, hosts, steps = [], [], []
    for mbit in FITTED:
        recorder = sessions[WORKERS, mbit]
        for each in group(place)[:-1]:
            key = each.point.key
            compute_s = stepped(recorder, key, AT_ONCE).step_s("wall")
            host_s, late = parts_s(link, compute_s, recorder.progress[key].gradient_bytes or 0.0, mbit)
            before.append(compute_s + late)
            hosts.append(host_s)
            steps.append(stepped(recorder, key, TOGETHER).step_s("wall"))
    return exposed_share(before, hosts, steps)


def outcome(sessions: Sessions, link: Link, place: int, mbit: int, exposed: float) -> Outcome:
    """One target over one link."""
    recorder, depth = sessions[WORKERS, mbit], int(TARGETS[place][2]["depth"])
    *shallow, whole = group(place)
    sizes = {t.point.depth or 1: recorder.progress[t.point.key].gradient_bytes or 0.0 for t in shallow}
    alone_s, compute_s = (computed(recorder, shallow, way, depth, how(WORKERS)).step_s.mid for way in (ALONE, AT_ONCE))
    host_s, late = parts_s(link, compute_s, gradient_bytes_at(depth, sizes), mbit)
    return Outcome(
        place=place,
        mbit=mbit,
        compute_s=compute_s,
        alone_s=alone_s,
        step_s=compute_s + exposed * host_s + late,
        true_compute_s=stepped(recorder, whole.point.key, AT_ONCE).step_s("wall"),
        true_alone_s=stepped(recorder, whole.point.key, ALONE).step_s("wall"),
        true_step_s=stepped(recorder, whole.point.key, TOGETHER).step_s("wall"),
    )


def step_rows(found: Sequence[Outcome]) -> list[str]:
    """Each target over each link that was not fitted on."""
    rows = [
        "| target, 2 workers | Mbit/s | measured | predicted | off | without communication | efficiency, and predicted |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for o in (each for each in found if each.mbit in OTHERS):
        family, function, arguments, batch = TARGETS[o.place]
        predicted, true = o.efficiency
        rows.append(
            f"| {family}: {function} {' '.join(f'{n}={v}' for n, v in arguments.items())} batch=2×{batch} | {o.mbit} | "
            f"{1e3 * o.true_step_s:.0f} ms | {1e3 * o.step_s:.0f} ms | {100 * o.error:+.1f} | {100 * o.without:+.1f} | "
            f"{100 * true:.0f}, {100 * predicted:.0f} % |"
        )
    return rows


def collective_errors(sessions: Sessions, links: Mapping[str, Link], workers: int) -> dict[str, list[float]]:
    """Of each collective among so many, over the links that it was not fitted on."""
    return {
        name: [
            link.at(mbit * MBIT).seconds(t.size_bytes, workers) / t.seconds - 1
            for (count, mbit), recorder in sessions.items()
            if count == workers and (workers != WORKERS or mbit in OTHERS)
            for t in all_timed(recorder, name, workers, mbit)
        ]
        for name, link in links.items()
    }


def summary(document: Mapping[str, Any]) -> list[str]:
    """What is scored, and on what machine."""
    sessions = {(each["workers"], each["mbit"]): recorded(each) for each in document["sessions"]}
    links = links_of(sessions)
    found = outcomes(sessions, links[ALL_REDUCE])
    other = [each for each in found if each.mbit in OTHERS]
    rows = ["| off, in percent | cases | median / worst | asked |", "|---|---:|---:|---:|"]
    for place, (family, *_) in enumerate(TARGETS):
        some = [each for each in other if each.place == place]
        rows.append(_row(f"step of 2 workers, {family}", [each.error for each in some]))
    rows.append(_row("**step of 2 workers, all**", [each.error for each in other], f"≤ {ASKED}"))
    rows.append(_row("the same, computing as measured", [each.communication for each in other]))
    rows.append(_row("the same, without communication", [each.without for each in other]))
    for workers in (WORKERS, MORE):
        errors = collective_errors(sessions, links, workers)
        rows += [_row(f"{name.replace('_', '-')} of {workers} workers", each) for name, each in errors.items()]
    alike = [(p >= EFFICIENT) == (t >= EFFICIENT) for p, t in (each.efficiency for each in found)]
    points = [p - t for p, t in (each.efficiency for each in found)]
    loads = [each["load"] for each in document["sessions"]]
    machine = document["sessions"][0]["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return [
        f"{machine['device']}, {os_cores(document)} cores ({versions}). Load {min(loads):g} to {max(loads):g}: processes "
        f"that wanted a core. Fitted on 2 workers over {' and '.join(map(str, FITTED))} Mbit/s; steps are scored over "
        f"{', '.join(map(str, OTHERS))} Mbit/s. Delay on the link: not measured.",
        "",
        *rows,
        "",
        f"Whether two workers are efficient (each has {100 * EFFICIENT:.0f} % of the speed of one alone) is said right in "
        f"{sum(alike)} of {len(alike)} cases; efficiency is {100 * median(map(abs, points)):.1f} points off in the median.",
        "",
        *step_rows(found),
    ]


def os_cores(document: Mapping[str, Any]) -> int:
    """Of the machine that it was measured on."""
    return int(document["cores"])


def _row(what: str, errors: Sequence[float], asked: str = "") -> str:
    sizes = [100 * abs(each) for each in errors]
    return f"| {what} | {len(sizes)} | {median(sizes):.1f} / {max(sizes):.1f} | {asked} |"


def _ended(*_: object) -> None:
    sys.exit("ended; nothing is kept")


def main() -> None:
    """Measure, or read what was measured, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"keep the samples in measured/{KEPT.name}")
    parser.add_argument("--docs", action="store_true", help="also write the tables into the docs")
    parser.add_argument("--show", action="store_true", help="the tables of the samples that are kept")
    given = parser.parse_args()
    if given.show:
        document = json.loads(KEPT.read_text(encoding="utf-8"))
    else:
        # A namespace is taken away at the end of the block that made it, which a signal alone would skip.
        signal.signal(signal.SIGTERM, _ended)
        try:
            document = {"cores": len(os.sched_getaffinity(0)), "sessions": measured()}
        except NoNamespaces as error:
            print(f"not measured: this machine gives no links of a known rate: {error}")
            return
    if given.write:
        KEPT.write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")
    lines = summary(document)
    print("\n".join(lines))
    if given.docs:
        readme.write("shaped-links", "\n".join(lines))


if __name__ == "__main__":
    main()
