"""A row of a table of measured runs under the project's column names, every cell of it checked.

Tables name things their own way: ``d_model`` is ``width``, ``network`` is a text, ``gated`` is missing. What comes
out has every column, and a cell in it is a plain number, a known word, or empty, which is unknown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zenplan.adapters.run_network import network_of
from zenplan.adapters.run_shapes import FAMILIES, gated, shape_by_name
from zenplan.domain.accelerator import Accelerator
from zenplan.domain.catalogue import Catalogue
from zenplan.domain.layout import Recompute
from zenplan.errors import DataError, Skipped, UnknownName

TEXTS: Final = ("id", "source", "model", "family", "task", "accelerator", "precision", "attention", "framework",
                "compiled", "recompute", "gated")  # fmt: skip
# Whole numbers, and the most that any run can have of them: beyond it is a slip of the pen.
WHOLE: Final = {
    "layers": 1e5, "width": 1e7, "heads": 1e6, "kv_heads": 1e6, "ff_width": 1e8, "vocab": 1e8, "seq_len": 1e8,
    "devices": 1e7, "node_devices": 1e6, "nodes": 1e7, "global_batch": 1e9, "micro_batch": 1e6,
    "dp": 1e7, "tp": 1e5, "pp": 1e5, "cp": 1e5, "ep": 1e5, "vp": 1e5,
}  # fmt: skip
NUMBERS: Final = {"params": 1e16, "active_params": 1e16, "network_gbit_per_s_per_device": 1e6,
                  "tokens_per_s_per_device": 1e12, "samples_per_s_per_device": 1e12}  # fmt: skip
# The project's name of a column to what other tables call it.
OTHER_NAMES: Final = {
    "width": ("d_model",),
    "ff_width": ("d_ff",),
    "accelerator": ("gpu",),
    "devices": ("n_gpus",),
}
MEASURED: Final = ("tokens_per_s_per_device", "samples_per_s_per_device")
# How tables end a name whose form factor the source does not say.
_NO_FORM: Final = "-?"
# A model needs no name to be predicted.
_UNNAMED: Final = "unnamed"
# Two printed figures that differ by no more than this are one, rounded.
_AGREE: Final = 0.02
# A source may end in the line of the document.
_LINE: Final = re.compile(r":\d+$")
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")


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
    texts = {name: _cell(cells, name) for name in TEXTS}
    assumed: list[str] = []
    row = texts | {"family": _family(cells, texts, assumed)}
    sheet, form = accelerator_of(cells, catalogue)
    assumed += form
    row |= {name: _number(cells, name, most) for name, most in NUMBERS.items()}
    row |= {name: _number(cells, name, most, whole=True) for name, most in WHOLE.items()}
    if not any(row[name] for name in MEASURED):
        raise Skipped("no measurement: tokens_per_s_per_device and samples_per_s_per_device are empty")
    if not row["devices"]:
        raise DataError("devices is empty")
    row |= {"accelerator": sheet.name, "zero_stage": _zero_stage(cells), "recompute": _recompute(texts["recompute"]),
            "attention": texts["attention"].lower(), "task": texts["task"].lower(),
            "source": _LINE.sub("", texts["source"])}  # fmt: skip
    row |= _nodes(row, _cell(cells, "network"), sheet)
    if not row["seq_len"]:
        row["seq_len"] = _sequence(_cell(cells, "input"))
    if texts["family"].lower() == "transformer":
        row |= shape_by_name(row)
    row["gated"] = _yes_or_no("gated", texts["gated"]) or gated(row)
    row["model"] = row["model"] or _UNNAMED
    _check_layout(row)
    return RunCells(row=row, assumed=tuple(assumed), notes=_notes(row))


def _cell(cells: Mapping[str, str], name: str) -> str:
    return next((v for n in (name, *OTHER_NAMES.get(name, ())) if (v := cells.get(n, ""))), "")


def _family(cells: Mapping[str, str], texts: Mapping[str, str], assumed: list[str]) -> str:
    """The kind of transformer; a bare ``transformer`` stands until its model is looked up."""
    given = texts["family"].lower()
    unit = _cell(cells, "sample_unit").lower()
    if given == "transformer" and unit not in ("", "sequences"):
        raise Skipped(f"family transformer of {unit} cannot be predicted yet")
    if not given:
        assumed.append("family is empty: decoder")
    if given not in FAMILIES:
        raise Skipped(f"family {given} cannot be predicted yet")
    return FAMILIES[given]


def accelerator_of(cells: Mapping[str, str], catalogue: Catalogue) -> tuple[Accelerator, tuple[str, ...]]:
    """The data sheet of a row's accelerator, and what was taken to find it.

    Raises:
        DataError: the cell is empty, or nothing has that name; the message has the nearest names.
    """
    text = _cell(cells, "accelerator")
    if not text:
        raise DataError("accelerator is empty")
    name = text.removesuffix(_NO_FORM)
    try:
        sheet = catalogue.by_name(name)
    except UnknownName as error:
        raise DataError(f"{error.message}; {error.hint}") from error
    return sheet, (f"{text}: the form factor is not stated: {sheet.name}",) if name != text else ()


def _number(cells: Mapping[str, str], name: str, most: float, whole: bool = False) -> str:
    """The cell as a plain number, or empty."""
    text = _cell(cells, name)
    if not text:
        return ""
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{name} is not a number: '{_short(text)}'") from None
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"{name} must be above zero and finite, not {_short(text)}")
    if value > most:
        raise DataError(f"{name} of {_short(text)} is beyond any run")
    if whole and value != int(value):
        raise DataError(f"{name} must be a whole number, not {_short(text)}")
    return str(int(value)) if whole else repr(value)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _zero_stage(cells: Mapping[str, str]) -> str:
    text = _cell(cells, "zero_stage")
    stage = text.removesuffix(".0")
    if stage not in ("", "0", "1", "2", "3"):
        raise DataError(f"zero_stage must be 0, 1, 2 or 3, not '{_short(text)}'")
    return stage


def _recompute(text: str) -> str:
    word = text.lower()
    word = "none" if word in _NO else "full" if word in _YES else word
    if word not in ("", *Recompute):
        raise DataError(f"recompute must be none, selective, half or full, not '{_short(text)}'")
    return word


def _yes_or_no(name: str, text: str) -> str:
    word = text.lower()
    if word not in ("", *_YES, *_NO):
        raise DataError(f"{name} must be yes or no, not '{_short(text)}'")
    return "" if not word else "yes" if word in _YES else "no"


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


def _check_layout(row: Mapping[str, str]) -> None:
    """Raise DataError for a layout that no run can have had."""
    n = {name: int(row[name]) for name in WHOLE if row[name]}
    if n.get("pp", 1) * n.get("vp", 1) > n.get("layers", math.inf):
        raise DataError(
            f"{n.get('pp', 1)} pipeline stages of {n.get('vp', 1)} parts need more than {n['layers']} layers"
        )
    for name, whole in (
        ("tp", "heads"),
        ("kv_heads", "heads"),
        ("micro_batch", "global_batch"),
        ("ep", "devices"),
    ):
        if n.get(name, 1) > n.get(whole, math.inf):
            raise DataError(f"{name} = {n[name]} is more than {whole} = {n[whole]}")
    degrees = {name: n[name] for name in ("tp", "pp", "dp", "cp") if name in n}
    product = math.prod(degrees.values())
    if n["devices"] % product or (len({"tp", "pp", "dp"} & degrees.keys()) == 3 and product != n["devices"]):
        raise DataError(f"{'·'.join(degrees)} = {product}, not {n['devices']} devices")


def _notes(row: Mapping[str, str]) -> tuple[str, ...]:
    tokens, samples = (row[name] for name in MEASURED)
    if not (tokens and samples and row["seq_len"]):
        return ()
    ratio = float(tokens) / (float(samples) * int(row["seq_len"]))
    if abs(ratio - 1.0) <= _AGREE:
        return ()
    return (f"tokens_per_s_per_device is {ratio:.2f} times samples_per_s_per_device · seq_len",)
