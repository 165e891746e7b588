"""How long whole commands take, as ratios to ``python -c "import typer"`` measured beside them.

    python benchmarks/speed.py [RUNS]

Cold processes in turn, so that a machine that is busy for a while slows all of them; medians are compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

PUBLISHED = Path(__file__).parent / "published"
LANGUAGE_MODELS, OTHER_MODELS = (str(PUBLISHED / f"{name}_models.csv") for name in ("language", "other"))
BASE = ("python -c 'import typer'", [sys.executable, "-c", "import typer"], None)
COMMANDS = (
    ("zenplan --help", [sys.executable, "-m", "zenplan", "--help"], 1.3),
    ("zenplan estimate --params 1e9", [sys.executable, "-m", "zenplan", "estimate", "--params", "1e9"], 6.0),
    ("zenplan estimate --params 70e9", [sys.executable, "-m", "zenplan", "estimate", "--params", "70e9"], None),
    ("zenplan prices", [sys.executable, "-m", "zenplan", "prices"], None),
    ("zenplan backtest language_models.csv", [sys.executable, "-m", "zenplan", "backtest", LANGUAGE_MODELS], None),
    # 2,643 rows, of which most are one of their model.
    ("zenplan backtest other_models.csv", [sys.executable, "-m", "zenplan", "backtest", OTHER_MODELS], None),
)
# An installed program is compiled. Where Python may not write what it compiles, a checkout would be at each start.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Taken(NamedTuple):
    """What one run of a command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def once(command: list[str]) -> Taken:
    """Run it, and throw away what it says."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    wall_s = time.perf_counter() - start
    return Taken(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def main() -> None:
    """Time every command in turn and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    everything = [BASE, *COMMANDS]
    taken: dict[str, list[Taken]] = {name: [] for name, _, _ in everything}
    for _ in range(count + 1):
        for name, command, _ in everything:
            taken[name].append(once(command))
    base = statistics.median(each.wall_s for each in taken[BASE[0]][1:])
    print(f"| command | median s | × {BASE[0]} | allowed | peak MB |\n|---|---:|---:|---:|---:|")
    for name, _, allowed in everything:
        runs = taken[name][1:]  # the first one warms the disk's cache
        median = statistics.median(each.wall_s for each in runs)
        most = f"{allowed:g}" if allowed else ""
        print(f"| {name} | {median:.3f} | {median / base:.1f} | {most} | {max(each.peak_mb for each in runs):.0f} |")


if __name__ == "__main__":
    main()
