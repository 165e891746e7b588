"""Refreshing prices over loopback: killed at random moments, two at once, ten slow providers, and what a warm cache costs.

    python benchmarks/refresh.py [--kills 100] [--seed 0] [--runs 15] [--show]

The providers are plugins of shops whose tables of ``ROWS`` offers a server here sends. ``zenplan prices refresh`` is killed
with SIGKILL at a random moment of its length, in half of the cases while the table is being written, and in a third with a
second refresh beside it. After each the newest table has to be a whole one, no older than the last that was told to be
kept, nothing may be said of a spoilt file, and the next refresh has to go through; every tenth is also read by ``zenplan
prices``. Kills are kept in ``measured/refresh_kills.jsonl``, a line each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zenplan.adapters.files.whole_file import DRAFT
from zenplan.adapters.prices.kept import KeptTables
from zenplan.adapters.prices.place import VARIABLE
from zenplan.adapters.prices.table import bundled_tables
from zenplan.testing import Reply, Server

MEASURED = Path(__file__).parent / "measured" / "refresh_kills.jsonl"
ROWS, SHOPS = 3000, 10
PLUGIN = """
    import os
    from zenplan import hookimpl, price_table
    class Shop:
        def __init__(self, name):
            self.name = name
        def bundled(self):
            return price_table(self.name, [], "a list")
        def fetch(self, http):
            return price_table(self.name, http.get_json(os.environ["SHOP_URL"] + self.name), "its page")
    @hookimpl
    def zenplan_price_providers():
        return [Shop(name) for name in os.environ["SHOPS"].split(",")]
    """


class Site:
    """zenplan with the plugin of shops, in a folder of its own."""

    def __init__(self, folder: Path, url: str, shops: Sequence[str]) -> None:
        info = folder / "site" / "shop_prices-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info.parent / "shop_prices.py").write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-prices\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text("[zenplan]\nshop = shop_prices\n", encoding="utf-8")
        self.cache = folder / "prices"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPATH": str(info.parent),
            "ZENPLAN_PLUGINS": "shop",
            VARIABLE: str(self.cache),
            "SHOP_URL": f"{url}/",
            "SHOPS": ",".join(shops),
        }

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start that command."""
        command = [sys.executable, "-m", "zenplan", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def done(self, *words: str) -> tuple[str, float]:
        """Run it to its end: what it said, and its wall seconds."""
        start = time.monotonic()
        process = self.begin(*words)
        out, err = process.communicate(timeout=120)
        if process.returncode:
            raise SystemExit(f"zenplan {' '.join(words)} failed: {err}")
        return out, time.monotonic() - start


def rows_at(usd_per_h: float, count: int = ROWS) -> list[dict[str, object]]:
    """A shop's table, all of it at one price: a mixture of two would be seen."""
    machine = {"instance": "big", "accelerator": "H100", "devices": 8, "on_demand_usd_per_h": usd_per_h}
    return [{**machine, "region": f"place-{n}"} for n in range(count)]


def whole_price(site: Site) -> tuple[float, list[str]]:
    """The price of the newest table, and what is wrong with those that are there."""
    wrong: list[str] = []
    tables = [kept.table for kept in KeptTables(site.cache, wrong.append).all_of("shop")]
    prices = [{offer.on_demand.usd_per_h for offer in table.offers if offer.on_demand} for table in tables]
    wrong += [f"{len(t.offers)} offers" for t in tables if len(t.offers) != ROWS]
    wrong += [f"prices are mixed: {sorted(found)}" for found in prices if len(found) != 1]
    return (min(prices[0]) if prices else 0.0), wrong


def killed(site: Site, draw: random.Random, length_s: float) -> dict[str, Any]:
    """Kill one refresh, perhaps beside another; how it stood."""
    writing, beside = draw.random() < 0.5, draw.random() < 1 / 3
    others = [site.begin("prices", "refresh", "shop")] if beside else []
    process = site.begin("prices", "refresh", "shop")
    wait_s = draw.uniform(0.0, 1.1 * length_s)
    start = time.monotonic()
    while process.poll() is None and time.monotonic() - start < (10 * length_s if writing else wait_s):
        if writing and any((site.cache / "shop").glob(f"{DRAFT}*")):
            time.sleep(draw.uniform(0.0, 0.004))
            break
        time.sleep(0.0002)
    drafts = len(list((site.cache / "shop").glob(f"{DRAFT}*")))
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    said = [other.communicate(timeout=120)[1] for other in others]
    at_once = [
        "refused" if "already" in each else "done" if not other.returncode else f"failed: {each}"
        for other, each in zip(others, said, strict=True)
    ]
    return {
        "after_s": round(time.monotonic() - start, 3),
        "exit": process.returncode,
        "draft": drafts > 0,
        "beside": at_once,
    }


def kill(count: int, seed: int, folder: Path) -> None:
    """Kill so many, each kept as it comes."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    price = 20.0
    with Server({"/shop": lambda _: rows_at(price)}) as server, MEASURED.open("a", encoding="utf-8") as file:
        site = Site(folder, server.url, ["shop"])
        length_s = max(site.done("prices", "refresh", "shop")[1] for _ in range(3))
        for number in range(count):
            before, _ = whole_price(site)
            price = 20.0 + (number + 1) / 1000
            found = killed(site, draw, length_s)
            now, wrong = whole_price(site)
            wrong += [] if now in (before, price) else [f"the price is {now}, not {before} or {price}"]
            wrong += ["what was told to be kept is not"] if found["exit"] == 0 and now != price else []
            wrong += [each for each in found["beside"] if each.startswith("failed")]
            if number % 10 == 0:
                offers = json.loads(site.done("prices", "--provider", "shop", "--format", "json")[0])["offers"]
                read = {offer["on_demand_usd_per_h"] for offer in offers}
                wrong += [] if (read, len(offers)) == ({now}, ROWS) else ["'zenplan prices' shows another table"]
            site.done("prices", "refresh", "shop")
            wrong += [f"left: {path.name}" for path in (site.cache / "shop").glob(f"{DRAFT}*")]
            wrong += [] if whole_price(site) == (price, []) else ["the next refresh does not go through"]
            row = {
                "day": datetime.now(UTC).date().isoformat(),
                "python": platform.python_version(),
                "zenplan": version("zenplan"),
                "run": f"kill {seed}-{number}",
                **found,
                "wrong": wrong,
            }
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(row["run"], found, wrong, flush=True)


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """How they stood, in a table, and what went wrong."""
    stood = Counter(
        "had ended" if row["exit"] != -signal.SIGKILL else "while it wrote" if row["draft"] else "elsewhere"
        for row in rows
    )
    beside = Counter(each for row in rows for each in row["beside"])
    cells = [
        len(rows),
        *(stood[name] for name in ("while it wrote", "elsewhere", "had ended")),
        f"{beside['done']} / {beside['refused']}",
        sum(not row["wrong"] for row in rows),
    ]
    head = (
        "| kills | while it wrote | elsewhere | had ended | a second one beside: went through / refused | table whole |"
    )
    wrong = [f"{row['run']}: {', '.join(row['wrong'])}" for row in rows if row["wrong"]]
    return "\n".join([head, "|---:|---:|---:|---:|---:|---:|", f"| {' | '.join(map(str, cells))} |", *wrong])


def ten_slow(folder: Path) -> float:
    """Wall seconds of refreshing ten providers that take a second each."""
    shops = [f"shop{n}" for n in range(SHOPS)]
    with Server({f"/{name}": Reply(body=rows_at(20.0, 100), delay_s=1.0) for name in shops}) as server:
        return Site(folder, server.url, shops).done("prices", "refresh")[1]


def warm_cache(folder: Path, runs: int) -> tuple[float, float]:
    """Processor seconds of ``zenplan estimate`` without and with a cache of every bundled provider's table, the least."""
    site = Site(folder, "", ["shop"])
    kept = KeptTables(folder / "warm")
    for table in bundled_tables():
        kept.keep(table, ())
    taken: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(runs + 1):
        for name, seconds in taken.items():
            site.environment |= {VARIABLE: str(folder / name), "ZENPLAN_PLUGINS": ""}
            before = used_s()
            site.done("estimate", "--params", "1e9")
            seconds.append(used_s() - before)
    cold, warm = map(min, taken.values())
    return cold, warm


def used_s() -> float:
    """Processor seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Do all of it, and print what came of it."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--kills", type=int, default=100)
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--runs", type=int, default=15, help="of an estimate with and without a cache")
    flags.add_argument("--show", action="store_true", help="the table of what is kept, and nothing else")
    given = flags.parse_args()
    if not given.show:
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = warm_cache(Path(folder) / "cache", given.runs)
            print(f"ten providers of one second each: {ten_slow(Path(folder) / 'slow'):.2f} s")
            print(
                f"an estimate: {cold:.3f} processor seconds, with a warm cache {warm:.3f} s: {1e3 * (warm - cold):+.0f} ms"
            )
            kill(given.kills, given.seed, Path(folder) / "kills")
    rows = [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]
    print(report(rows))


if __name__ == "__main__":
    main()
