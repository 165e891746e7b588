"""The text classifier of ``train/`` made smaller: at most 30 % of the size, and at least 98 % of the metric.

    python benchmarks/compressing.py [--small] [--backend jax] [--show] [--readme]

The run is made first where it is not there. It is compressed by ``zenplan compress``, as a user starts it, with nothing said
but the size; what came of it is kept in ``compressed_full.jsonl`` beside the runs, and not made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import readme
from training_runs import Bench, Kept, all_made, asked, chosen, parser, task_of

from zenplan.adapters.run_folder.lines import read_lines

TASK: Final = "text-classifier"
# What it is held to, of the model's own.
MOST_SIZE, LEAST_METRIC = 0.3, 0.98
# Of serving, an hour (assumed: a round price, by which versions are compared).
USD_PER_HOUR: Final = 0.50
MARK: Final = "compress"


def _file(bench: Bench) -> Path:
    return bench.work / f"compressed_{bench.size}.jsonl"


def kept(bench: Bench) -> dict[str, dict[str, Any]]:
    """What came of it, by backend."""
    return {row["backend"]: row for row in read_lines(_file(bench))}


def run(bench: Bench, backend: str) -> None:
    """Make it where it is not there."""
    for row in all_made(bench, [task_of(TASK)], [backend]):
        print(f"{row['run']} on {row['backend']}: trained, {row['wall_s']:.0f} s", flush=True)
    if backend in kept(bench):
        return
    folder = bench.folder(TASK, backend)
    command = ["compress", str(folder), "--max-share", str(MOST_SIZE), "--usd-per-hour", str(USD_PER_HOUR)]
    command += ["--threads", "1", "--force", "--format", "json"]
    done = asked(bench, folder, command)
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr[-500:])
    Kept(_file(bench)).add(json.loads(done.stdout))


def report(found: Mapping[str, Any]) -> str:
    """The table, and whether the bar is met."""
    metric, usd = found["metric"], found["usd_per_h"]
    lines = [f"| version | size | zipped | {metric} | kept | one sample | batch of {found['timed']} | $ / million |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [_row(each, metric, found) for each in (found["original"], *found["versions"])]
    best = next((each for each in found["versions"] if each["name"] == found["chosen"]), None)
    bar = f"{MOST_SIZE:.0%} of the size and {LEAST_METRIC:.0%} of the {metric}"
    said = (
        f"{best['name']} is chosen: {best['share']:.1%} of the size, {best['kept']:.1%} of the {metric}, where {bar} "
        "are asked for."
        if best
        else f"None has {bar}."
    )
    took = sum({(each["train_s"], each["steps"]): each["train_s"] for each in found["versions"]}.values())
    lines += [
        "",
        f"{said} Scored on {found['samples']:,} samples of the {found['part']} set, on {found['backend']} with "
        f"{found['threads']} thread, at {usd:g} dollars an hour. Training took {took:.0f} s, {found['predicted_s']:.0f} s "
        "were predicted. Other programs were busy on the machine meanwhile: times are to be compared with each other alone.",
    ]
    return "\n".join(lines)


def _row(each: Mapping[str, Any], metric: str, found: Mapping[str, Any]) -> str:
    if each["scores"] is None:
        return f"| {each['name']} | {each['why']} |  |  |  |  |  |  |"
    scores = each["scores"]
    name = f"**{each['name']}**" if each["name"] == found["chosen"] else each["name"]
    cells = [
        name,
        f"{each['bytes'] / 1e3:.0f} kB, {each['share']:.0%}",
        f"{each['packed_bytes'] / 1e3:.0f} kB",
        f"{scores['values'][metric]:.4f}",
        f"{each['kept']:.1%}",
        f"{scores['one_s'] * 1e3:.2f} ms",
        f"{scores['batch_s'] * 1e3:.1f} ms",
        f"{each['usd_per_million']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Compress, and print the table."""
    flags = parser(__doc__)
    flags.add_argument("--show", action="store_true", help="the table of what is kept")
    flags.add_argument("--readme", action="store_true", help="also write it into docs/after.md")
    given = flags.parse_args()
    bench, _, backends = chosen(given)
    if not given.show:
        run(bench, backends[0])
    found = kept(bench).get(backends[0])
    if found is None:
        raise SystemExit(f"nothing is kept of {backends[0]}")
    text = report(found)
    print(text)
    if given.readme:
        readme.write(MARK, text)


if __name__ == "__main__":
    main()
