"""Training runs on real data, each a request file of ``train/``, that benchmarks start as a user does: ``zenplan train``.

Each begins with weights that were drawn once in NumPy and kept in a file, so that three backends begin alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import training_data

from zenplan.adapters.run_folder.lines import Lines, read_lines

HERE: Final = Path(__file__).parent
WORK: Final = HERE.parent / "build" / "training"
BACKENDS: Final = ("jax", "torch", "tensorflow")
# What an hour costs of an offer that nobody makes: the price of a large machine, so that cents are fractions of a second.
USD_PER_HOUR: Final = 36.0
# Of other programs, while it ran: with more cores than this the run is marked, not dropped.
CONTENDED_CORES: Final = 0.1
_LIBRARIES: Final = {"jax": ("jax", "jaxlib"), "torch": ("torch",), "tensorflow": ("tensorflow-cpu", "tensorflow")}
# Losses that are kept one by one; after them the mean of so many.
FIRST, _WINDOW = 50, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A run to be made.

    Attributes:
        name: of it; its request is the file of that name in ``train/``.
        data, small: the set it is trained on, and that of its small size.
        flags: of its small size, beside those of the file.
        options: of its model in the small size.
        of: the run whose model and tokenizer it begins with; empty where it begins with drawn weights.
    """

    name: str
    data: str
    small: str
    flags: tuple[str, ...]
    options: Mapping[str, Any]
    of: str = ""

    @property
    def file(self) -> Path:
        """Its request."""
        return HERE / "train" / f"{self.name.replace('-', '_')}.toml"


TASKS: Final[tuple[Task, ...]] = (
    Task(
        name="language-model",
        data="library",
        small="packages",
        flags=("--steps", "40", "--warmup-steps", "4", "--evaluate-every", "20", "--evaluate-batches", "4"),
        options={"layers": 2, "width": 64, "heads": 2, "length": 32},
    ),
    Task(
        name="text-classifier",
        data="topics",
        small="topics",
        flags=("--steps", "40", "--warmup-steps", "4", "--evaluate-every", "20", "--evaluate-batches", "4"),
        options={"layers": 1, "width": 32, "heads": 2},
    ),
    Task(
        name="convnet",
        data="mnist.npz",
        small="digits.npz",
        flags=("--steps", "60", "--evaluate-every", "30"),
        options={"width": 8},
    ),
    Task(
        name="softmax-regression",
        data="mnist.npz",
        small="digits.npz",
        flags=("--batch", "1437", "--epochs", "50"),
        options={},
    ),
    Task(
        name="lstm",
        data="mnist-rows.npz",
        small="digit-rows.npz",
        flags=("--steps", "60", "--evaluate-every", "30"),
        options={"width": 16},
    ),
    Task(
        name="recommender",
        data="ratings.csv",
        small="ratings.csv",
        flags=("--steps", "60", "--evaluate-every", "30"),
        options={"width": 4},
    ),
    Task(
        name="lora",
        data="headers",
        small="headers",
        flags=("--steps", "30", "--warmup-steps", "2", "--evaluate-every", "15", "--evaluate-batches", "4"),
        options={},
        of="language-model",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where runs are made, and in which size.

    Attributes:
        work: the folder that all of it lies in.
        small: whether they are of the size that tests have.
    """

    work: Path
    small: bool = False

    @property
    def size(self) -> str:
        """As a word."""
        return "small" if self.small else "full"

    def folder(self, task: str, backend: str, what: str = "runs") -> Path:
        """Of a run."""
        return self.work / what / self.size / f"{task}-{backend}"

    def prepared(self, task: Task) -> Path:
        """Its data, prepared; they are where they are not there yet."""
        out = self.work / "prepared" / self.size / task.name
        if not (out / "data.json").exists():
            name = task.small if self.small else task.data
            source = str(training_data.made(name, self.work / "data"))
            own = ["--tokenizer", str(self.tokenizer(task))] if task.of else []
            command = ["data", "prepare", source, "--out", str(out), "--overwrite", "--request", str(task.file), *own]
            out.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(zenplan(command), check=True, env=self.environment("data"), stdout=subprocess.DEVNULL)
        return out

    def tokenizer(self, task: Task) -> Path:
        """That of the run that it begins with."""
        return self.prepared(task_of(task.of)) / "tokenizer.json"

    def model(self, task: Task) -> Path:
        """The trained model of the run that it begins with: that of the first backend, for all."""
        return self.folder(task.of, BACKENDS[0]) / "model" / "model.keras"

    def weights(self, task: Task) -> Path:
        """The file of weights that every backend begins with; it is written where it is not there yet."""
        path = self.work / "weights" / self.size / f"{task.name}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = request_of(task)["train"]["model"]
            told = json.dumps([kind, self.options(task), str(self.prepared(task)), str(path)])
            environment = {**os.environ, "KERAS_BACKEND": BACKENDS[0]}
            subprocess.run([sys.executable, str(HERE / "training_weights.py"), told], check=True, env=environment)
        return path

    def options(self, task: Task) -> dict[str, Any]:
        """Of its model."""
        return {**request_of(task)["train"].get("options", {}), **(task.options if self.small else {})}

    def command(self, task: Task, backend: str, out: Path) -> list[str]:
        """What starts a run."""
        found = ["train", str(task.file), "--backend", backend, "--out", str(out), "--data", str(self.prepared(task))]
        found += ["--usd-per-hour", str(USD_PER_HOUR), "--format", "json"]
        found += ["--model", str(self.model(task))] if task.of else ["--weights", str(self.weights(task))]
        if self.small:
            found += [*task.flags, *(f"--option={name}={value}" for name, value in task.options.items())]
        return zenplan(found)

    def environment(self, name: str) -> dict[str, str]:
        """Of a run: what others measured on this machine does not move its prediction."""
        home = self.work / "homes" / self.size / name
        return {**os.environ, "XDG_DATA_HOME": str(home), "XDG_CACHE_HOME": str(self.work / "cache")}


def task_of(name: str) -> Task:
    """The one of that name."""
    return next(task for task in TASKS if task.name == name)


def request_of(task: Task) -> dict[str, Any]:
    """What its file says."""
    return tomllib.loads(task.file.read_text(encoding="utf-8"))


def zenplan(arguments: Sequence[str]) -> list[str]:
    """A command line of zenplan's."""
    return [sys.executable, "-m", "zenplan", *arguments]


def asked(bench: Bench, folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What zenplan answers of a run that is there, where it was made."""
    environment = bench.environment(folder.name)
    return subprocess.run(zenplan(arguments), env=environment, capture_output=True, text=True, check=False)


# --- one run, and what else the machine did


def made(bench: Bench, task: Task, backend: str, more: Sequence[str] = (), mark: str = "") -> dict[str, Any]:
    """Make a run from its beginning, and say what came of it.

    Args:
        more: flags.
        mark: added to its name.
    """
    out = bench.folder(f"{task.name}{mark}", backend)
    environment = bench.environment(out.name)
    for each in (out, Path(environment["XDG_DATA_HOME"])):
        shutil.rmtree(each, ignore_errors=True)
    command = [*bench.command(task, backend, out), *more]
    log = bench.folder(f"{task.name}{mark}", backend, "logs")
    log.parent.mkdir(parents=True, exist_ok=True)
    load, busy, start = os.getloadavg()[0], busy_s(), time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s, cpu_s = time.monotonic() - start, used.ru_utime + used.ru_stime
    found = {
        "run": f"{task.name}{mark}",
        "size": bench.size,
        "backend": backend,
        "versions": versions(backend),
        "machine": machine(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "code": process.returncode,
        "wall_s": round(wall_s, 3),
        "cpu_s": round(cpu_s, 3),
        "load_before": round(load, 2),
        "others_cores": round(max(0.0, (busy_s() - busy - cpu_s) / wall_s), 3),
    }
    if process.returncode:
        return {**found, "said": log.read_text(encoding="utf-8", errors="replace")[-500:]}
    return {**found, **outcome(out)}


def outcome(folder: Path) -> dict[str, Any]:
    """What a finished run's folder says: what was predicted, what came out, and its curve."""
    losses, evaluations = curve(folder / "metrics.jsonl")
    return {
        "prediction": json.loads((folder / "prediction.json").read_text(encoding="utf-8")),
        "result": json.loads((folder / "result.json").read_text(encoding="utf-8")),
        "losses": [float(f"{loss:.8g}") for loss in thinned(losses)],
        "evaluations": evaluations,
    }


def curve(path: Path) -> tuple[list[float], list[dict[str, Any]]]:
    """The training losses of a run by step, and its evaluations."""
    losses, evaluations = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        if "part" in value:
            evaluations.append({"step": value["step"], "part": value["part"], "values": value["values"]})
        else:
            losses.append(float(value["loss"]))
    return losses, evaluations


def thinned(losses: Sequence[float]) -> list[float]:
    """The first ones, and of those after them the mean of some at a time."""
    return [*losses[:FIRST], *(sum(each) / len(each) for each in _windows(losses[FIRST:]))]


def _windows(losses: Sequence[float]) -> Iterator[Sequence[float]]:
    for first in range(0, len(losses), _WINDOW):
        yield losses[first : first + _WINDOW]


def busy_s() -> float:
    """Seconds that the processors which runs are bound to (``taskset``) worked since the machine was started."""
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    found = 0
    for name, *ticks in map(str.split, Path("/proc/stat").read_text(encoding="utf-8").splitlines()):
        if name in ours:
            user, nice, system, _, _, irq, soft, *_ = map(int, ticks)
            found += user + nice + system + irq + soft
    return found / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """Its processor and cores."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return f"{name or platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def versions(backend: str) -> dict[str, str]:
    """Of what computes."""
    found = {"python": platform.python_version()}
    for name in ("zenplan", "keras", "numpy", *_LIBRARIES[backend]):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# --- what is kept


class Kept:
    """A file of results, a line each, that is added to as they come; the last of a key counts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """The newest of each key, in the order in which they came first."""
        return list({key_of(row): row for row in read_lines(self.path)}.values())

    def has(self, alone: bool = False, **key: Any) -> bool:
        """Whether a run of that key came out well; ``alone``: beside no other program."""
        wanted = key_of(key)
        most = CONTENDED_CORES if alone else float("inf")
        return any(
            key_of(row) == wanted and row["code"] == 0 and row.get("others_cores", 0.0) <= most for row in self.rows()
        )

    def add(self, row: Mapping[str, Any]) -> None:
        """One more, on the disk; a line that a killed benchmark left unfinished is cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = Lines(self.path)
        lines.add(row)
        lines.sync()
        lines.close()


def key_of(row: Mapping[str, Any]) -> str:
    """What makes a run another one."""
    return json.dumps([row[name] for name in ("run", "size", "backend", "versions", "machine")], sort_keys=True)


def kept_of(bench: Bench) -> Kept:
    """The results of that size: those of the full one are kept with the benchmarks."""
    where = HERE / "measured" if not bench.small and bench.work == WORK else bench.work
    return Kept(where / f"training_{bench.size}.jsonl")


def parser(text: str | None) -> argparse.ArgumentParser:
    """The flags that benchmarks of runs have in common."""
    found = argparse.ArgumentParser(description=(text or "").split("\n")[0])
    found.add_argument("--small", action="store_true", help="the size that tests have")
    found.add_argument("--only", action="append", choices=[task.name for task in TASKS], help="may be repeated")
    found.add_argument("--backend", action="append", choices=BACKENDS, help="may be repeated")
    found.add_argument("--again", action="store_true", help="make runs again beside which other programs were busy")
    found.add_argument("--work", type=Path, default=WORK, help="where data, runs and logs lie")
    return found


def chosen(given: argparse.Namespace) -> tuple[Bench, list[Task], list[str]]:
    """Where, which and on what."""
    bench = Bench(work=given.work.absolute(), small=given.small)
    tasks = [task for task in TASKS if not given.only or task.name in given.only]
    return bench, tasks, list(given.backend or BACKENDS)


def all_made(
    bench: Bench, tasks: Sequence[Task], backends: Sequence[str], again: bool = False
) -> Iterator[dict[str, Any]]:
    """Make those that are not there yet, one after another; each is kept when it is over.

    Args:
        again: whether those are not, beside which other programs were busy.
    """
    kept = kept_of(bench)
    for task in tasks:
        name = task.small if bench.small else task.data
        if not training_data.is_there(name):
            print(f"{task.name}: left out, {training_data.SETS[name][1]} is not installed", flush=True)
            continue
        for backend in backends:
            known = {"run": task.name, "size": bench.size, "backend": backend}
            if kept.has(again, **known, versions=versions(backend), machine=machine()):
                continue
            if task.of and not bench.model(task).exists():
                print(f"{task.name} on {backend}: left out, {task.of} on {BACKENDS[0]} comes first", flush=True)
                continue
            row = made(bench, task, backend)
            kept.add(row)
            yield row
