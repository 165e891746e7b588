"""Write what the READMEs and pages show of today's answers: the first screen, the table of its plans by the figure that
the recommended has the least of, and how old the prices are.

python benchmarks/transcript.py
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date

import readme

import zenplan
from zenplan import units
from zenplan.domain.market.offer import OLD_DAYS, Price
from zenplan.domain.training.request import HORIZON_S
from zenplan.planning.money.ranking import Wish, figure

COMMAND = "zenplan estimate --params 1e9"
# The day of the documents: dates and ages in them stay until they are written anew.
DAY = "2026-11-29"
# What a day is worth in the example.
_DAY_USD = 500.0


def answer() -> str:
    """What the command prints in 80 columns."""
    environment = {**os.environ, "COLUMNS": "80", "ZENPLAN_PLUGINS": "", "ZENPLAN_TODAY": DAY}
    command = [sys.executable, "-m", *COMMAND.split()]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return f"```console\n$ {COMMAND}\n{run.stdout.rstrip()}\n```"


def knee() -> str:
    """The plans of that answer, and what is weighed of each: the figure of the knee, and dollars with a rate a day."""
    lines = [
        f"| plan | on | dollars | days | dollars · (days + 1/3)^(1/3) | dollars + {units.usd(_DAY_USD)} · days |",
        "|---|---|---:|---:|---:|---:|",
    ]
    answer = zenplan.estimate(params=1e9, no_calibrations=True)
    for each in answer.ranked:
        usd, time_s = each.total_usd.mid if each.total_usd else math.nan, each.wall_clock_s.mid
        labels = ", ".join(each.labels) or "between"
        quote = each.quote
        wishes = [Wish(horizon_s=HORIZON_S, day_usd=rate) for rate in (None, _DAY_USD)]
        old = each.price is not None and each.price.is_old(answer.today)
        figures = [figure(wish, usd, time_s, old) for wish in wishes]
        where = f"{quote.estimate.layout.devices} × {quote.offer.instance.accelerator}"
        told = " | ".join(f"{each:,.0f}" for each in figures)
        lines.append(f"| {labels} | {where} | {usd:,.0f}{'*' * old} | {time_s / units.DAY_S:.2f} | {told} |")
    return "\n".join(lines)


def ages() -> str:
    """How many of the bundled prices are fresh, old and of no date, on the day of the documents."""
    found = zenplan.prices()
    day = date.fromisoformat(DAY)
    kinds = [[o.on_demand for o in found.offers if o.on_demand], [o.spot for o in found.offers if o.spot]]

    def row(name: str, counts: list[int]) -> str:
        return " | ".join(["", name, *(f"{count:,}" for count in counts), ""]).strip()

    def fresh(price: Price) -> bool:
        return not price.is_old(day)

    return "\n".join(
        [
            f"| offers with a price, {len(found)} providers, on {DAY} | on demand | spot |",
            "|---|---:|---:|",
            row(f"seen in the last {OLD_DAYS} days", [sum(map(fresh, kind)) for kind in kinds]),
            row("older", [sum(p.as_of is not None and not fresh(p) for p in kind) for kind in kinds]),
            row("of no date", [sum(p.as_of is None for p in kind) for kind in kinds]),
        ]
    )


def texts() -> Mapping[str, str]:
    """Every text by the name of its marks."""
    return {"transcript": answer(), "knee": knee(), "ages": ages()}


def main() -> None:
    """Replace what is between the marks, or compare with it."""
    os.environ.update(ZENPLAN_TODAY=DAY, ZENPLAN_PLUGINS="")
    for name, text in texts().items():
        if sys.argv[1:] == ["--check"]:
            for page in readme.pages_of(name):
                if readme.with_text(page, name, text) != page.read_text(encoding="utf-8"):
                    sys.exit(f"{page.name}: run python benchmarks/transcript.py")
        else:
            readme.write(name, text)


if __name__ == "__main__":
    main()
