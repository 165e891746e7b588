"""A row of a table of measured runs under the project's column names, every cell of it checked.

Tables name things their own way: ``d_model`` is ``width``, ``network`` is a text, ``gated`` is missing. What comes
out has every column, and a cell in it is a plain number, a known word, or empty, which is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zenplan.adapters.runs import words
from zenplan.adapters.runs.accelerator import accelerator_of
from zenplan.adapters.runs.checks import check_layout, odd_cells
from zenplan.adapters.runs.dialects import in_our_words
from zenplan.adapters.runs.network import network_of, says_something
from zenplan.adapters.runs.shapes import BY_NAME, FAMILIES, gated, shape_by_name
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import DataError, Skipped

TEXTS: Final = (
    "id",
    "source",
    "model",
    "family",
    "task",
    "accelerator",
    "precision",
    "attention",
    "framework",
    "compiled",
    "recompute",
    "gated",
    "unit",
    "layout",
)
# Whole numbers, and the most that any run can have of them: beyond it is a slip of the pen.
WHOLE: Final = {
    "layers": 1e5,
    "width": 1e7,
    "heads": 1e6,
    "kv_heads": 1e6,
    "ff_width": 1e8,
    "vocab": 1e8,
    "seq_len": 1e8,
    "devices": 1e7,
    "node_devices": 1e6,
    "nodes": 1e7,
    "global_batch": 1e9,
    "micro_batch": 1e9,
    "dp": 1e7,
    "tp": 1e5,
    "pp": 1e5,
    "cp": 1e5,
    "ep": 1e5,
    "vp": 1e5,
    "image_size": 1e5,
}
NUMBERS: Final = {
    "params": 1e16,
    "active_params": 1e16,
    "flop_per_sample": 1e24,
    "activations_per_sample": 1e18,
    "network_gbit_per_s_per_device": 1e6,
    "tokens_per_s_per_device": 1e12,
    "samples_per_s_per_device": 1e12,
}
# The project's name of a column to what other tables call it.
OTHER_NAMES: Final = {
    "width": ("d_model",),
    "ff_width": ("d_ff",),
    "accelerator": ("gpu",),
    "devices": ("n_gpus",),
    "unit": ("sample_unit",),
    "flop_per_sample": ("flop_per_sample_fwd",),
}
MEASURED: Final = ("tokens_per_s_per_device", "samples_per_s_per_device")
# A model needs no name to be predicted.
UNNAMED: Final = "unnamed"
# A source may end in the line of the document.
_LINE: Final = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCells:
    """A row as the planner takes it.

    Attributes:
        row: text by column; every column is there.
        assumed: what the row does not say, and what was taken.
        notes: what is odd in the row.
    """

    row: Mapping[str, str]
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def run_cells(cells: Mapping[str, str], catalogue: Catalogue) -> RunCells:
    """The row under the project's names.

    Args:
        cells: text by column, as the table has them.
        catalogue: the accelerators that a row may name.

    Raises:
        Skipped: the family cannot be predicted yet, or there is no measurement.
        DataError: a cell is no figure, or the layout is impossible.
        UnknownName: no accelerator has that name.
    """
    cells, told = in_our_words(cells, catalogue)
    texts = {name: _cell(cells, name) for name in TEXTS}
    assumed = list(told)
    row = texts | {"family": _family(cells, texts, assumed)}
    sheet, form = accelerator_of(cells, catalogue)
    assumed += form
    row |= _numbers(cells)
    if length := words.tokens(_cell(cells, "seq_len"))[1]:
        assumed.append(length)
    attention, odd_attention = words.attention(texts["attention"])
    task, odd_task = words.task(texts["task"])
    row |= {
        "accelerator": sheet.name,
        "zero_stage": words.zero_stage(_cell(cells, "zero_stage")),
        "recompute": words.recompute(texts["recompute"]),
        "attention": attention,
        "task": task,
        "source": _LINE.sub("", texts["source"]),
    }
    printed = {name: int(row[name]) if row[name] else None for name in ("nodes", "node_devices")}
    network = _cell(cells, "network")
    row |= _nodes(row, network, sheet)
    if not row["seq_len"]:
        row["seq_len"] = _sequence(_cell(cells, "input"))
    if row["family"] in BY_NAME:
        row |= _by_part(row, cells)
    elif texts["family"].lower() == "transformer":
        row |= shape_by_name(row)
    row["gated"] = words.yes_or_no("gated", texts["gated"]) or gated(row)
    row["model"] = row["model"] or UNNAMED
    counts = {name: int(row[name]) for name in WHOLE if row[name]}
    check_layout(row, counts, **printed)
    notes = (odd_attention, odd_task, _odd_network(row, network, sheet), *odd_cells(row, counts))
    return RunCells(row=row, assumed=tuple(assumed), notes=tuple(filter(None, notes)))


def _cell(cells: Mapping[str, str], name: str) -> str:
    """What the cell says, under the first of the column's names that says anything; empty is unknown."""
    found = (words.known(name, cells.get(n, "")) for n in (name, *OTHER_NAMES.get(name, ())))
    return next((text for text in found if text), "")


def _family(cells: Mapping[str, str], texts: Mapping[str, str], assumed: list[str]) -> str:
    """The kind of transformer; a bare ``transformer`` stands until its model is looked up."""
    given = texts["family"].lower()
    unit = _cell(cells, "sample_unit").lower()
    if given == "transformer" and unit == "images":
        return "vision transformer"
    if given == "transformer" and unit not in ("", "sequences"):
        raise Skipped(f"family transformer of {unit} cannot be predicted yet")
    if not given:
        assumed.append("family is empty: decoder")
    if given not in FAMILIES:
        raise Skipped(f"family {given} cannot be predicted yet")
    return FAMILIES[given]


def _by_part(row: Mapping[str, str], cells: Mapping[str, str]) -> dict[str, str]:
    """The cells of a model that is no language transformer; a speed in parts of a sample is one of tokens."""
    unit, notes = words.unit(row["unit"]), cells.get("notes", "")
    found = {
        "unit": unit,
        "layout": words.layout(row["layout"], notes, row["framework"]),
        "recompute": row["recompute"] or ("full" if "gradient_checkpointing=1" in notes else ""),
        "image_size": words.image_size(row["image_size"], _cell(cells, "input")),
    }
    if unit in words.PARTS and not row["tokens_per_s_per_device"]:
        # FLOP beside such a speed are those of a part.
        found |= {
            "tokens_per_s_per_device": row["samples_per_s_per_device"],
            "samples_per_s_per_device": "",
            "flop_per_sample": "",
        }
    return found


def _numbers(cells: Mapping[str, str]) -> dict[str, str]:
    """The cells of figures, of which some have to be there."""
    row = {name: _number(cells, name, most) for name, most in NUMBERS.items()}
    row |= {name: _number(cells, name, most, whole=True) for name, most in WHOLE.items()}
    if not any(row[name] for name in MEASURED):
        raise Skipped("no measurement: tokens_per_s_per_device and samples_per_s_per_device are empty")
    if not row["devices"]:
        raise DataError("devices is empty")
    return row


def _number(cells: Mapping[str, str], name: str, most: float, whole: bool = False) -> str:
    """The cell as a plain number, or empty."""
    text = _cell(cells, name)
    if not text:
        return ""
    value = words.number(name, words.tokens(text)[0] if name == "seq_len" else text)
    if value > most:
        raise DataError(f"{name} of {words.short(text)} is beyond any run")
    if whole and value != int(value):
        raise DataError(f"{name} must be a whole number, not {words.short(text)}")
    return str(int(value)) if whole else repr(value)


def _sequence(text: str) -> str:
    """Tokens of a sequence from words like ``seq512``."""
    length = text.lower().removeprefix("seq")
    usable = length != text.lower() and length.isdecimal() and len(length) <= 8 and int(length) > 0
    return str(int(length)) if usable else ""


def _nodes(row: Mapping[str, str], text: str, sheet: Accelerator) -> dict[str, str]:
    """Devices of a node and Gbit/s of each: as the row says, else as the words on the network do."""
    network = network_of(text)
    printed, nodes = row["node_devices"], row["nodes"]
    if not printed and nodes:
        printed = str(-(-int(row["devices"]) // int(nodes)))
    printed = printed or str(network.node_devices or "")
    each = network.each_gbit_per_s(int(printed or sheet.node_devices))
    speed = row["network_gbit_per_s_per_device"] or (repr(each) if each else "")
    return {"node_devices": printed, "network_gbit_per_s_per_device": speed}


def _odd_network(row: Mapping[str, str], text: str, sheet: Accelerator) -> str:
    """A note where words on the network tell nothing, and there is one to cross."""
    used = int(row["devices"]) > int(row["node_devices"] or sheet.node_devices)
    if not text or not used or row["network_gbit_per_s_per_device"] or says_something(text):
        return ""
    return f"network '{words.short(text)}' tells no speed: the usual one of {sheet.name} is taken"
