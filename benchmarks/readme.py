"""Figures in the README and the docs are written here by what measures them, each between two marks of its own."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md")))
# What the README's small table has, of the rows in docs/accuracy.md: their label there, and in the README where it is
# another, for who has not read of the locked box.
_SUMMARY = {
    "6·N·D at 40 % of peak": "",
    "llm-analysis at its documented 0.5": "",
    "zenplan, publishers it knows: a quarter of their documents left out": "",
    "**zenplan, new publishers: all of each left out**": "",
    "zenplan, each generation left out": "",
    "**language models: publishers in the locked box**": "zenplan, publishers set aside until the method was finished",
}


def with_text(page: Path, name: str, text: str) -> str:
    """The page with that text between ``<!-- name -->`` and ``<!-- /name -->``."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return marks.sub(lambda m: f"{m[1]}{text}\n{m[2]}", page.read_text(encoding="utf-8"))


def pages_of(name: str) -> list[Path]:
    """The pages that have those marks."""
    found = [page for page in PAGES if page.exists() and f"<!-- {name} -->" in page.read_text(encoding="utf-8")]
    if not found:
        raise SystemExit(f"no page has marks '{name}'")
    return found


def write(name: str, text: str) -> None:
    """Write it wherever those marks are, and the README's summary anew."""
    for page in pages_of(name):
        page.write_text(with_text(page, name, text), encoding="utf-8")
    if name != "summary":
        write("summary", summary())


def summary() -> str:
    """The README's small tables, of docs/accuracy.md: rows of it as they are, how often intervals held, and bills."""
    rows = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8").splitlines()
    first = next(i for i, row in enumerate(rows) if row.startswith("| language models |"))
    kept = [
        row.replace(label, shown or label)
        for label, shown in _SUMMARY.items()
        for row in rows
        if row.startswith(f"| {label} |")
    ]
    bills = next(i for i, row in enumerate(rows) if row.startswith("| bills | rows |"))
    whole = next(row for row in rows[bills:] if row.startswith("| whole runs of full_runs.csv |"))
    return "\n".join([*rows[first : first + 2], *kept, "", *rows[bills : bills + 3], whole])


if __name__ == "__main__":
    write("summary", summary())
