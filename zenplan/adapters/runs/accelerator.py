"""The accelerator of a measured run, by the names that tables have for it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Final

from zenplan.adapters.runs.words import known
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import DataError, Skipped, UnknownName

# How tables end a name whose form factor the source does not say.
_NO_FORM: Final = ("-?", "?")
# Makers, which people and drivers write before a product's name.
_MAKER: Final = re.compile(r"^(nvidia|amd|google|intel|aws)[\s-]+", re.IGNORECASE)
_SLICE: Final = re.compile(r"\bmig\b", re.IGNORECASE)


def accelerator_of(cells: Mapping[str, str], catalogue: Catalogue) -> tuple[Accelerator, tuple[str, ...]]:
    """The data sheet of a row's accelerator, and what was taken to find it.

    Raises:
        DataError: the cell is empty, a slice, or nothing has that name; the message has the nearest names.
        Skipped: it is made for inference only.
    """
    text = known("accelerator", cells.get("accelerator", "")) or known("gpu", cells.get("gpu", ""))
    if not text:
        raise DataError("accelerator is empty")
    name = text.removesuffix(_NO_FORM[0]).removesuffix(_NO_FORM[1])
    # What the driver prints of a slice is the name of the whole.
    if _SLICE.search(name):
        raise DataError(f"{text} is a slice of a device, not a whole one")
    sheet = _by_name(name, catalogue)
    if not sheet.trains:
        raise Skipped(f"{sheet.name} is made for inference only")
    return sheet, (f"{text}: the form factor is not stated: {sheet.name}",) if name != text else ()


def _by_name(name: str, catalogue: Catalogue) -> Accelerator:
    """By its name, as its driver prints it, or by what follows its maker's name."""
    product = _MAKER.sub("", name, count=1)
    with contextlib.suppress(UnknownName):
        return catalogue.by_name(name)
    if (sheet := catalogue.by_nvml(name)) is not None:
        return sheet
    try:
        return catalogue.by_name(product)
    except UnknownName as error:
        raise DataError(f"unknown accelerator '{name}'; {error.hint}") from error
