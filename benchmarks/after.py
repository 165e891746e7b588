"""What is done with the runs of ``train.py`` afterwards: their models exported in each form, from each backend.

    python benchmarks/after.py [--small] [--only convnet] [--backend jax] [--show] [--readme]

Runs that are not there are made first. Each export is ``zenplan export``, as a user starts it; what came of it is kept as
it comes, in ``measured/exports_full.jsonl``, and not made again. Weights in int8 and int4 are exported from the
first backend alone: whichever trained, the same worker writes them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import readme
from training_runs import BACKENDS, HERE, WORK, Bench, Kept, Task, all_made, asked, chosen, parser

from zenplan.adapters.run_folder.lines import read_lines
from zenplan.domain.measured.export import TOLERANCE, WRITTEN
from zenplan.domain.training.forms import FORMS, QUANTIZED

# Of the test set.
SAMPLES: Final = 400
MARK: Final = "exports"
# Of a document, what says where this machine has it, and what it is made of.
_OF_HERE: Final = ("run", "path", "tokenizer", "sha256", "inputs", "classes", "preparing")


def _file(bench: Bench) -> Path:
    where = HERE / "measured" if bench.work == WORK else bench.work
    return where / f"exports_{bench.size}.jsonl"


def kept(bench: Bench) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    """What came of each run, backend, form and kind of weights."""
    return {(row["task"], row["backend"], row["form"], row["quantize"]): row for row in read_lines(_file(bench))}


def exported(bench: Bench, task: Task, backend: str, form: str, quantize: str) -> dict[str, Any]:
    """Export a run's model, and say what came of it."""
    folder = bench.folder(task.name, backend)
    command = ["export", str(folder), "--to", form, "--force", "--samples", str(SAMPLES), "--format", "json"]
    command += ["--quantize", quantize] if quantize else []
    done = asked(bench, folder, command)
    known = {"task": task.name, "backend": backend, "form": form, "quantize": quantize, "code": done.returncode}
    if done.returncode not in (0, 3):
        return {**known, "said": done.stderr[-500:]}
    (found,) = json.loads(done.stdout)["exports"]
    return {**known, **{name: value for name, value in found.items() if name not in _OF_HERE}}


def run(bench: Bench, tasks: Sequence[Task], backends: Sequence[str]) -> None:
    """Make what is not there; floats first."""
    for row in all_made(bench, tasks, backends):
        print(f"{row['run']} on {row['backend']}: trained, {row['wall_s']:.0f} s", flush=True)
    wanted = [(task, backend, form, "") for backend in backends for task in tasks for form in FORMS]
    wanted += [(task, backends[0], form, quantize) for task in tasks for form in FORMS for quantize in QUANTIZED]
    for task, backend, form, quantize in wanted:
        if (task.name, backend, form, quantize) in kept(bench) or not bench.folder(task.name, backend).exists():
            continue
        row = exported(bench, task, backend, form, quantize)
        Kept(_file(bench)).add(row)
        print(f"{task.name} on {backend}, {form} {quantize}: {told(row)}", flush=True)


def told(row: Mapping[str, Any]) -> str:
    """An export in a cell: how far it is from the model, or why it is not there."""
    if "state" not in row:
        return f"exit code {row['code']}: {row['said']}"
    if row["state"] != WRITTEN:
        why = f"layer {row['layer']}" if row["layer"] else row["why"].partition(":")[0]
        return f"{row['state']}: {why}"
    if not row["quantize"]:
        batch = f", batch {row['batch']}" if row["batch"] else ""
        return f"{row['relative']:.1e}{batch}"
    return f"{lost(row)}, {row['bytes'] / row['original_bytes']:.0%} of the size"


def lost(row: Mapping[str, Any]) -> str:
    """The figure that a run is judged by, before and after."""
    before, after = row["original"]["values"], row["scores"]["values"]
    name = next((each for each in ("accuracy", "rmse") if each in after and row["task"] not in _BY_LOSS), "loss")
    return f"{name} {before[name]:.4g} → {after[name]:.4g}"


_BY_LOSS: Final = ("language-model", "lora")


def report(bench: Bench, tasks: Sequence[Task]) -> str:
    """The tables."""
    found = kept(bench)
    floats = [row["relative"] for row in found.values() if row.get("state") == WRITTEN and not row["quantize"]]
    lines = [f"| run, in floats | backend | {' | '.join(FORMS)} |", f"|---|---|{'---|' * len(FORMS)}"]
    lines += _rows(found, tasks, ("",))
    lines += ["", f"| run, in fewer bits | weights | {' | '.join(FORMS)} |", f"|---|---|{'---|' * len(FORMS)}"]
    lines += _rows(found, tasks, QUANTIZED)
    if floats:
        lines += [
            "",
            f"{len(floats)} exports in floats, the largest difference {max(floats):.1e}; {TOLERANCE:g} is allowed.",
        ]
    return "\n".join(lines)


def _rows(
    found: Mapping[tuple[str, str, str, str], Mapping[str, Any]], tasks: Sequence[Task], kinds: Sequence[str]
) -> Iterator[str]:
    for task in tasks:
        for backend in BACKENDS:
            for quantize in kinds:
                row = [found.get((task.name, backend, form, quantize)) for form in FORMS]
                if any(row):
                    cells = " | ".join(told(each) if each else "" for each in row)
                    yield f"| {task.name} | {quantize or backend} | {cells} |"


def main() -> None:
    """Make the exports, and print the tables."""
    flags: argparse.ArgumentParser = parser(__doc__)
    flags.add_argument("--show", action="store_true", help="the tables of what is kept")
    flags.add_argument("--readme", action="store_true", help="also write them into docs/after.md")
    given = flags.parse_args()
    bench, tasks, backends = chosen(given)
    if not given.show:
        run(bench, tasks, backends)
    text = report(bench, tasks)
    print(text)
    if given.readme:
        readme.write(MARK, text)


if __name__ == "__main__":
    main()
