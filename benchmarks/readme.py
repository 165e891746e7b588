"""The README's figures are written here by what measures them, each between two marks of its own."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def write(name: str, text: str) -> None:
    """Put text between ``<!-- name -->`` and ``<!-- /name -->``."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    old = README.read_text(encoding="utf-8")
    if not marks.search(old):
        raise SystemExit(f"README.md has no marks '{name}'")
    README.write_text(marks.sub(lambda m: f"{m[1]}{text}\n{m[2]}", old), encoding="utf-8")
