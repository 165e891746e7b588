"""The bundled table of accelerators: two CSV files in, ``Accelerator`` nouns out.

``accelerators.csv`` says what a product is; ``accelerator_figures.csv`` has one figure a line, each with its
source, because two figures of one data sheet are seldom confirmed in the same place. A figure that is not
known has no line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from typing import Any, Final

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.domain.hardware.accelerator import Accelerator, Source
from zenplan.errors import DataError
from zenplan.units import GB, MIB, TFLOP_PER_S

IDENTITY_FILE: Final = "accelerators.csv"
FIGURES_FILE: Final = "accelerator_figures.csv"
_IDENTITY_COLUMNS: Final = (
    "name",
    "vendor",
    "architecture",
    "nvml_names",
    "aliases",
    "compute_capability",
    "link",
    "trains",
    "peer_access",
    "notes",
)
_FIGURES_COLUMNS: Final = ("accelerator", "figure", "value", "source", "status", "date")
_HZ_PER_MHZ: Final = 1e6
_BYTES_PER_GBIT: Final = GB / 8

# Figure in the file -> field of the noun, and the base units in one of the file's units.
_REAL: Final = {
    "clock_mhz": ("clock_hz", _HZ_PER_MHZ),
    "tensor_clock_mhz": ("tensor_clock_hz", _HZ_PER_MHZ),
    "memory_gb": ("memory_bytes", GB),
    "memory_mib": ("visible_bytes", MIB),
    "memory_gb_per_s": ("memory_bytes_per_s", GB),
    "link_gb_per_s": ("link_bytes_per_s", GB),
    "network_gbit_per_s": ("network_bytes_per_s", _BYTES_PER_GBIT),
    "power_w": ("power_w", 1.0),
    "sustained_share": ("sustained_share", 1.0),
}
_WHOLE: Final = (
    "multiprocessors",
    "fp32_flop_per_clock",
    "tensor_flop_per_clock",
    "link_devices",
    "node_devices",
    "pcie_generation",
    "mig_instances",
)
_PEAK: Final = {
    "fp32_tflops": "fp32",
    "tf32_tflops": "tf32",
    "fp16_tflops": "fp16",
    "bf16_tflops": "bf16",
    "fp8_tflops": "fp8",
    "fp4_tflops": "fp4",
    "int8_tops": "int8",
}
# Figure in the file -> its key in ``Accelerator.sources``; a peak is ``peak_flop_per_s.bf16``.
SOURCE_KEYS: Final = {
    **{figure: name for figure, (name, _) in _REAL.items()},
    **{figure: figure for figure in _WHOLE},
    **{figure: f"peak_flop_per_s.{dtype}" for figure, dtype in _PEAK.items()},
}


def read_accelerators(folder: Traversable | None = None) -> tuple[Accelerator, ...]:
    """Every accelerator of the bundled table, or of the two files in ``folder``, in the order of the file.

    Raises:
        DataError: a row is malformed; the message names the file, the line and the column.
    """
    identities: dict[str, DataRow] = {}
    for row in _rows(folder, IDENTITY_FILE, _IDENTITY_COLUMNS, _named):
        if row.cells["name"] in identities:
            first = identities[row.cells["name"]].line
            raise row.wrong("name", f"'{row.cells['name']}' is already on line {first}")
        identities[row.cells["name"]] = row
    fields: dict[str, dict[str, Any]] = {name: {"peaks": {}, "sources": {}} for name in identities}
    sources: dict[tuple[str, str, str], Source] = {}
    for row in _rows(folder, FIGURES_FILE, _FIGURES_COLUMNS, _known(fields)):
        _take_figure(row, fields[row.cells["accelerator"]], sources)
    return tuple(_accelerator(row, fields[name]) for name, row in identities.items())


def _rows(
    folder: Traversable | None, file: str, columns: tuple[str, ...], check: Callable[[DataRow], None]
) -> Iterator[DataRow]:
    """The rows of one file, each with every column, each passed by ``check``."""
    text = None if folder is None else (folder / file).read_text(encoding="utf-8")
    for row in data_rows(file, columns, text):
        check(row)
        yield row


def _named(row: DataRow) -> None:
    """Each of the first three cells says something."""
    for column in _IDENTITY_COLUMNS[:3]:
        if not row.cells[column]:
            raise row.wrong(column, "is empty")


def _known(names: dict[str, dict[str, Any]]) -> Callable[[DataRow], None]:
    """A check that a figure belongs to an accelerator of the table and is one we know."""

    def check(row: DataRow) -> None:
        if row.cells["accelerator"] not in names:
            raise row.wrong("accelerator", f"'{row.cells['accelerator']}' is not in {IDENTITY_FILE}")
        if row.cells["figure"] not in SOURCE_KEYS:
            raise row.wrong("figure", f"unknown figure '{row.cells['figure']}'")

    return check


def _take_figure(row: DataRow, fields: dict[str, Any], sources: dict[tuple[str, str, str], Source]) -> None:
    """Put one figure, in base units, and its source among the fields of its accelerator."""
    figure = row.cells["figure"]
    key = SOURCE_KEYS[figure]
    if key in fields["sources"]:
        raise row.wrong("figure", f"{figure} of {row.cells['accelerator']} is given twice")
    if figure in _PEAK:
        fields["peaks"][_PEAK[figure]] = row.number("value") * TFLOP_PER_S
    elif figure in _REAL:
        name, unit = _REAL[figure]
        fields[name] = row.number("value") * unit
    else:
        fields[figure] = row.whole("value")
    fields["sources"][key] = _source(row, sources)


def _source(row: DataRow, sources: dict[tuple[str, str, str], Source]) -> Source:
    """The source of a row; rows of one source share it, which also makes the table load faster."""
    key = (row.cells["source"], row.cells["status"], row.cells["date"])
    if key not in sources:
        try:
            sources[key] = Source(text=key[0], status=key[1], date=key[2])
        except DataError as error:
            raise row.wrong("source, status or date", error.message) from error
    return sources[key]


def _accelerator(row: DataRow, fields: dict[str, Any]) -> Accelerator:
    cells = row.cells
    for figure in ("memory_gb", "memory_gb_per_s"):
        if SOURCE_KEYS[figure] not in fields:
            raise row.wrong("name", f"{cells['name']} has no {figure} in {FIGURES_FILE}")
    peaks, sources = fields.pop("peaks"), fields.pop("sources")
    try:
        return Accelerator(
            name=cells["name"],
            vendor=cells["vendor"],
            architecture=cells["architecture"],
            nvml_names=row.several("nvml_names"),
            aliases=row.several("aliases"),
            compute_capability=cells["compute_capability"] or None,
            link=cells["link"],
            trains=cells["trains"] == "yes",
            peer_access=cells["peer_access"] == "yes",
            notes=cells["notes"],
            peak_flop_per_s=peaks,
            sources=sources,
            **fields,
        )
    except DataError as error:
        # The cells of the figures are already checked: what is left to be wrong is the link.
        raise row.wrong("link", error.message) from error
