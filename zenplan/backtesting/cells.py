"""The cells of a published whole run: numbers that are checked, under the names that tables give them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zenplan.adapters.runs import words
from zenplan.errors import DataError
from zenplan.units import DAY_S, HOUR_S

# Beyond these a cell is a slip: the largest runs have 1e14 tokens, 1e5 devices, 1e7 tokens in a sequence.
_MOST, _MOST_WHOLE = 1e24, 1e9
# The project's column to what other tables call it.
_NAMES = {
    "accelerator": ("accelerator", "gpu"),
    "devices": ("devices", "n_gpus"),
    "days": ("days", "wall_days"),
    "id": ("id",),
}
_FAMILIES = {
    "": "decoder",
    "dense": "decoder",
    "decoder": "decoder",
    "encoder": "encoder",
    "enc-dec": "encoder-decoder",
    "encoder-decoder": "encoder-decoder",
    "moe": "moe-decoder",
    "moe-decoder": "moe-decoder",
}


class Cells:
    """A row's cells by the project's column names. Every reader raises DataError for a cell that is no figure."""

    def __init__(self, row: Mapping[str, str], number: int) -> None:
        self.row = row
        self.id = self.text("id", f"row {number}")

    def text(self, column: str, default: str | None = None) -> str:
        """What the cell says; a missing one is the default, or an error where there is none."""
        for name in _NAMES.get(column, (column,)):
            value = words.known(name, str(self.row.get(name) or "").strip())
            if value:
                return value
        if default is None:
            raise DataError(f"{column} is missing")
        return default

    def has(self, column: str) -> bool:
        """Whether the cell has anything in it."""
        return bool(self.text(column, ""))

    def number_or_none(self, column: str) -> float | None:
        """A finite number above zero, None where the cell is empty."""
        text = self.text(column, "")
        if not text:
            return None
        value = words.number(column, words.tokens(text)[0] if column == "seq_len" else text)
        if value > _MOST:
            raise DataError(f"{column} must be at most {_MOST:g}, not {words.short(text)}")
        return value

    def number(self, column: str) -> float:
        """A number that must be there."""
        value = self.number_or_none(column)
        if value is None:
            raise DataError(f"{column} is missing")
        return value

    def whole_or_none(self, column: str) -> int | None:
        """A whole number above zero, None where the cell is empty."""
        value = self.number_or_none(column)
        if value is not None and (value > _MOST_WHOLE or value != int(value)):
            raise DataError(f"{column} is not a whole number up to {_MOST_WHOLE:g}: {self.text(column)}")
        return None if value is None else int(value)

    def family(self) -> str:
        """The model's family. Tables that have ``arch`` mean the publisher's by ``family``."""
        text = self.text("arch", "") or self.text("family", "")
        if text.lower() not in _FAMILIES:
            raise DataError(f"family {text} is not one of {', '.join(f for f in _FAMILIES if f)}")
        return _FAMILIES[text.lower()]

    def bare_name(self) -> str:
        """The model's name without what stands in brackets; a size of 1.0B is 1B."""
        return re.sub(r"\.0(?=[bB]\b)", "", re.sub(r"\(.*\)", "", self.text("model")))

    def days(self) -> float | None:
        """Days from start to end; from GPU-hours and devices where only those are there."""
        days, devices = self.number_or_none("days"), self.whole_or_none("devices")
        if days is None and devices is not None and self.has("gpu_hours"):
            return self.number("gpu_hours") * HOUR_S / DAY_S / devices
        return days

    def gpu_hours(self) -> float:
        """Hours of all devices together; from devices and days where only those are there."""
        hours, days, devices = (self.number_or_none(c) for c in ("gpu_hours", "days", "devices"))
        if hours is not None:
            return hours
        if days is None or devices is None:
            raise DataError("gpu_hours is missing, and there are no devices and days to work it out")
        return devices * days * DAY_S / HOUR_S
