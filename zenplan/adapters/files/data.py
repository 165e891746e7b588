"""Where the tables and schemas are that ship with zenplan."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parents[2] / "data"


def data_text(name: str) -> str:
    """The text of a file in ``zenplan/data/``."""
    return (DATA / name).read_text(encoding="utf-8")
