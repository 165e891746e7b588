"""The README's figures are written here by what measures them, each between two marks of its own."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def with_text(name: str, text: str) -> str:
    """The README with that text between ``<!-- name -->`` and ``<!-- /name -->``."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    old = README.read_text(encoding="utf-8")
    if not marks.search(old):
        raise SystemExit(f"README.md has no marks '{name}'")
    return marks.sub(lambda m: f"{m[1]}{text}\n{m[2]}", old)


def write(name: str, text: str) -> None:
    """Write it there."""
    README.write_text(with_text(name, text), encoding="utf-8")
