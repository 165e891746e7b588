"""Rows of a table of measured runs, read once: a row's cells become a noun, every figure of it checked.

Tables name things their own way: ``d_model`` is ``width``, ``network`` is a text, ``gated`` is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from zenplan.adapters.runs import cells as read
from zenplan.adapters.runs.dialects import in_our_words
from zenplan.adapters.runs.shapes import (
    FAMILIES,
    check_layout,
    family_by_name,
    gated,
    odd_cells,
    shape_by_name,
    usual_length,
)
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import BY_NAME, UNNAMED, MeasuredOperator, MeasuredRun, MeasuredWholeRun
from zenplan.domain.model.operators import Convolution, MatMul, Recurrent, Split
from zenplan.errors import Skipped

Cells = Mapping[str, str]
Known = dict[str, Any]

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
    "lora_rank": 1e5,
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
MEASURED: Final = ("tokens_per_s_per_device", "samples_per_s_per_device")
# Of a whole run: the largest have 1e14 tokens, 1e5 devices, 1e7 tokens in a sequence.
_MOST, _MOST_WHOLE = 1e24, 1e9
_FAMILIES_OF_WHOLE_RUNS: Final = ("decoder", "encoder", "encoder-decoder", "moe-decoder")
# Fields of a run's speed that stand as they are written.
_TEXTS: Final = ("id", "publisher", "framework", "release", "attention_kernel", "compiled", "lora_targets")
# What is measured of an operator, by column.
PASSES: Final = {
    "fwd_ms": "forward_ms",
    "bwd_inputs_ms": "input_gradient_ms",
    "bwd_weights_ms": "weight_gradient_ms",
}
# Gates of a cell.
_GATES: Final = {"rnn-vanilla": 1, "rnn-gru": 3, "rnn-lstm": 4}
_SPEC: Final = re.compile(r"(\w+)=(\d{1,6})(?:/(\d{1,6}))?")
_MOST_SIZE: Final = 1e9
# The project's name of a column to what other tables call it.
OTHER_NAMES: Final = {
    "width": ("d_model",),
    "ff_width": ("d_ff",),
    "accelerator": ("gpu",),
    "devices": ("n_gpus",),
    "days": ("wall_days",),
    "lora_rank": ("lora_r", "rank"),
    "lora_targets": ("lora_target", "lora_target_modules", "target_modules"),
    "unit": ("sample_unit",),
    "flop_per_sample": ("flop_per_sample_fwd",),
}
_NAMES: Final = {name: (name, *others) for name, others in OTHER_NAMES.items()}
# A source may end in the line of the document.
_LINE: Final = re.compile(r":\d+$")


# --- a run's speed


def measured_run(cells: Cells, catalogue: Catalogue) -> MeasuredRun:
    """The training run of a row.

    Args:
        cells: text by column, as the table has them.
        catalogue: the accelerators that a row may name.

    Raises:
        Skipped: the family cannot be predicted yet, there is no measurement, a cell is no figure, the layout is
            impossible, or no accelerator has that name.
    """
    written, (cells, figures, taken) = cells, in_our_words(cells, catalogue)
    assumed = list(taken)
    family = _family(cells, assumed)
    accelerator, form = read.accelerator_of(cells, catalogue)
    assumed += form
    known = _figures(cells, figures) | {"family": family, "model": _text(cells, "model")}
    if length := read.tokens(_text(cells, "seq_len"))[1]:
        assumed.append(length)
    notes = _say(known, cells)
    printed = {name: known[name] for name in ("nodes", "node_devices")}
    network = _text(cells, "network")
    _complete_nodes(known, network, accelerator)
    if known["seq_len"] is None:
        known["seq_len"] = _sequence(_text(cells, "input"))
    if known["seq_len"] is None and not _text(cells, "family") and (usual := usual_length(known["model"])):
        known["seq_len"] = usual
        assumed.append(f"seq_len is empty: {usual:,}, as {known['model']} is trained with")
    if family in BY_NAME:
        _complete_by_name(known, cells)
    elif family == "transformer":
        known |= shape_by_name(known)
    said = read.yes_or_no("gated", _text(cells, "gated"))
    known["gated"] = gated(known) if said is None else said
    check_layout(known, **printed)
    known |= {name: _text(cells, name) for name in _TEXTS}
    notes += [_odd_network(known, network, accelerator), *odd_cells(known)]
    known["model"] = known["model"] or UNNAMED
    return MeasuredRun(
        accelerator=accelerator,
        precision=read.precision_of(_text(cells, "precision"), accelerator),
        source=_LINE.sub("", _text(cells, "source")),
        options=frozenset(filter(None, (word.strip() for word in _text(cells, "options").split(";")))),
        written_precision=_text(cells, "precision"),
        written_task=_text(written, "task"),
        assumed=tuple(assumed),
        notes=tuple(filter(None, notes)),
        **{name: value for name, value in known.items() if name not in ("nodes", "network_gbit_per_s_per_device")},
    )


def _text(cells: Cells, name: str) -> str:
    """What the cell says, under the first of the column's names that says anything; empty is unknown."""
    for each in _NAMES.get(name) or (name,):
        cell = cells.get(each)
        if cell and (text := read.known(each, cell.strip())):
            return text
    return ""


def _family(cells: Cells, assumed: list[str]) -> str:
    """The kind of model; a bare ``transformer`` stands until its model is looked up."""
    given, unit = _text(cells, "family").lower(), _text(cells, "sample_unit").lower()
    if given == "transformer" and unit == "images":
        return "vision transformer"
    if given == "transformer" and unit not in ("", "sequences"):
        raise Skipped(f"family transformer of {unit} cannot be predicted yet")
    if not given:
        family, why = family_by_name(_text(cells, "model"), _has_shape(cells, unit))
        assumed.append(f"family is empty: {family}, {why}")
        return family
    if given not in FAMILIES:
        raise Skipped(f"family {given} cannot be predicted yet")
    return FAMILIES[given]


def _has_shape(cells: Cells, unit: str) -> bool:
    """Whether the row says how large a transformer over tokens is, whatever its name."""
    if unit not in ("", "sequences", "tokens", "samples"):
        return False
    return bool(
        _text(cells, "seq_len") and (_text(cells, "params") or (_text(cells, "layers") and _text(cells, "width")))
    )


def _figures(cells: Cells, figures: Mapping[str, float]) -> Known:
    """The cells of figures, of which some have to be there; ``figures`` come before what a cell says."""
    known = {name: _number(cells, figures, name, most) for name, most in NUMBERS.items()}
    known |= {name: _whole(cells, figures, name, most) for name, most in WHOLE.items()}
    if not any(known[name] for name in MEASURED):
        raise Skipped("no measurement: tokens_per_s_per_device and samples_per_s_per_device are empty")
    if not known["devices"]:
        raise Skipped("devices is empty")
    return known


def _number(cells: Cells, figures: Mapping[str, float], name: str, most: float) -> float | None:
    text = _shown(cells, figures, name)
    if not text:
        return None
    value = read.positive(name, figures[name], text) if name in figures else _figure(name, text)
    if value is not None and value > most:
        raise Skipped(f"{name} of {read.short(text)} is beyond any run")
    return value


def _whole(cells: Cells, figures: Mapping[str, float], name: str, most: float) -> int | None:
    value = _number(cells, figures, name, most)
    if value is not None and value != int(value):
        raise Skipped(f"{name} must be a whole number, not {read.short(_shown(cells, figures, name))}")
    return None if value is None else int(value)


def _shown(cells: Cells, figures: Mapping[str, float], name: str) -> str:
    return repr(figures[name]) if name in figures else _text(cells, name)


def _figure(name: str, text: str) -> float:
    """A finite number above zero."""
    return read.number(name, read.tokens(text)[0] if name == "seq_len" else text)


def _say(known: Known, cells: Cells) -> list[str]:
    """What cells of words say, into ``known``; and notes on words that nobody knows."""
    known["fused_attention"], odd_attention = read.fused_attention(_text(cells, "attention"))
    known["task"], odd_task = read.task(_text(cells, "task"))
    known["zero_stage"] = read.zero_stage(_text(cells, "zero_stage"))
    known["recompute"] = read.recompute(_text(cells, "recompute"))
    return [odd_attention, odd_task]


def _complete_by_name(known: Known, cells: Cells) -> None:
    """The cells of a model that is no language transformer; a speed in parts of a sample is one of tokens."""
    unit, notes = read.unit(_text(cells, "unit")), cells.get("notes", "")
    known["unit"] = unit
    known["channels_last"] = read.channels_last(_text(cells, "layout"), notes, _text(cells, "framework"))
    if known["recompute"] is None and "gradient_checkpointing=1" in notes:
        known["recompute"] = read.recompute("full")
    known["image_size"] = known["image_size"] or read.image_size(_text(cells, "input"))
    if unit in read.PARTS and not known["tokens_per_s_per_device"]:
        known["tokens_per_s_per_device"] = known["samples_per_s_per_device"]
        # FLOP beside such a speed are those of a part.
        known["samples_per_s_per_device"] = known["flop_per_sample"] = None


def _sequence(text: str) -> int | None:
    """Tokens of a sequence from words like ``seq512``."""
    length = text.lower().removeprefix("seq")
    usable = length != text.lower() and length.isdecimal() and len(length) <= 8
    return int(length) or None if usable else None


def _complete_nodes(known: Known, text: str, accelerator: Accelerator) -> None:
    """Devices of a node and bytes/s of each: as the row says, else as the words on the network do."""
    network = read.network_of(text)
    if not known["node_devices"] and known["nodes"]:
        known["node_devices"] = -(-known["devices"] // known["nodes"])
    known["node_devices"] = known["node_devices"] or network.node_devices
    each = network.each_gbit_per_s(known["node_devices"] or accelerator.node_devices)
    gbit_per_s = known["network_gbit_per_s_per_device"] or each
    known["network_bytes_per_s"] = gbit_per_s * 1e9 / 8 if gbit_per_s else None


def _odd_network(known: Known, text: str, accelerator: Accelerator) -> str:
    """A note where words on the network tell nothing, and there is one to cross."""
    used = known["devices"] > (known["node_devices"] or accelerator.node_devices)
    if not text or not used or known["network_bytes_per_s"] or read.says_something(text):
        return ""
    return f"network '{read.short(text)}' tells no speed: the usual one of {accelerator.name} is taken"


# --- a run from start to end


def measured_whole_run(cells: Cells, catalogue: Catalogue) -> MeasuredWholeRun:
    """The whole run of a row: ``model``, ``params``, ``tokens``, ``accelerator``; ``gpu_hours``, or ``devices`` and
    ``days``; what else is known of it.

    Raises:
        Skipped: a cell is missing or no figure, the family is no language transformer, or no accelerator has that
            name.
    """
    accelerator, assumed = read.accelerator_of(cells, catalogue)
    tokens = _needed(cells, "tokens")
    gpu_hours, days, devices = (_bounded(cells, name) for name in ("gpu_hours", "days", "devices"))
    if gpu_hours is None and (days is None or devices is None):
        raise Skipped("gpu_hours is missing, and there are no devices and days to work it out")
    family, written_family, why = _family_of_whole(cells)
    params, seq_len, model = _needed(cells, "params"), _bounded_whole(cells, "seq_len"), _text(cells, "model")
    if not model:
        raise Skipped("model is missing")
    return MeasuredWholeRun(
        accelerator=accelerator,
        tokens=tokens,
        gpu_hours=gpu_hours,
        days=days,
        family=family,
        params=params,
        seq_len=seq_len,
        model=model,
        active_params=_bounded(cells, "active_params") if family == "moe-decoder" else None,
        precision=read.precision_of(_text(cells, "precision"), accelerator),
        devices=_bounded_whole(cells, "devices"),
        global_batch=_bounded_whole(cells, "global_batch"),
        id=_text(cells, "id"),
        source=_text(cells, "source"),
        framework=_text(cells, "framework"),
        written_family=written_family,
        written_task=_text(cells, "task"),
        written_precision=_text(cells, "precision"),
        assumed=(*assumed, *filter(None, [why, read.tokens(_text(cells, "seq_len"))[1]])),
    )


def _family_of_whole(cells: Cells) -> tuple[str, str, str]:
    """The family, as the row has it, and what was taken where it has none."""
    # Tables that have ``arch`` mean the publisher's by ``family``.
    written, why = _text(cells, "arch") or _text(cells, "family"), ""
    family = FAMILIES.get(written.lower(), "")
    if not written:
        family, why = family_by_name(_text(cells, "model"), has_shape=True)
        why = f"family is empty: {family}, {why}"
    if family not in _FAMILIES_OF_WHOLE_RUNS:
        accepted = (name for name, kind in FAMILIES.items() if kind in _FAMILIES_OF_WHOLE_RUNS)
        raise Skipped(f"family {written or family} is not one of {', '.join(accepted)}")
    return family, written, why


def _bounded(cells: Cells, name: str) -> float | None:
    text = _text(cells, name)
    value = _figure(name, text) if text else None
    if value is not None and value > _MOST:
        raise Skipped(f"{name} must be at most {_MOST:g}, not {read.short(text)}")
    return value


def _needed(cells: Cells, name: str) -> float:
    value = _bounded(cells, name)
    if value is None:
        raise Skipped(f"{name} is missing")
    return value


def _bounded_whole(cells: Cells, name: str) -> int | None:
    value = _bounded(cells, name)
    if value is not None and (value > _MOST_WHOLE or value != int(value)):
        raise Skipped(f"{name} is not a whole number up to {_MOST_WHOLE:g}: {_text(cells, name)}")
    return None if value is None else int(value)


# --- an operator


def measured_operator(cells: Cells, catalogue: Catalogue) -> MeasuredOperator:
    """The operator of a row.

    Args:
        cells: ``op`` (GEMM, CONV, RNN-LSTM, RNN-GRU, RNN-Vanilla), ``accelerator``, ``precision``, the sizes ``m``,
            ``n``, ``k``, or ``spec`` and ``batch``, or ``hidden``, ``timesteps`` and ``batch``; and ``PASSES``.
        catalogue: the accelerators that rows may name.

    Raises:
        Skipped: a cell is missing or no figure, no such operator can be predicted, or nothing is measured.
    """
    accelerator, assumed = read.accelerator_of(cells, catalogue)
    precision = read.precision_of(_text(cells, "precision"), accelerator)
    operator, batch = operator_of(cells)
    passes = {name: read.number(name, _text(cells, name)) for name in PASSES if _text(cells, name)}
    if not passes:
        raise Skipped(f"no measurement: {', '.join(PASSES)} are empty")
    return MeasuredOperator(
        accelerator=accelerator,
        precision=precision,
        operator=operator,
        batch=batch,
        id=_text(cells, "id"),
        source=_text(cells, "source"),
        written_kind=cells["op"],
        written_precision=_text(cells, "precision"),
        assumed=assumed,
        **{PASSES[name]: ms for name, ms in passes.items()},
    )


def operator_of(cells: Cells) -> tuple[MatMul | Convolution | Recurrent, int]:
    """The operator of one sample, and samples in the batch.

    Raises:
        Skipped: a size is missing or no figure, or the operator is none of those that can be predicted.
    """
    kind = _text(cells, "op").lower()
    if kind == "gemm":
        # A column of the result is a sample: that is how a layer multiplies its weight with a batch.
        return MatMul(
            name="product", rows=1, inner=_size(cells, "k"), columns=_size(cells, "m"), split=Split.NONE
        ), _size(cells, "n")
    if kind == "conv":
        return _convolution(_text(cells, "spec")), _size(cells, "batch")
    if kind in _GATES:
        hidden = _size(cells, "hidden")
        return Recurrent(
            name=kind, steps=_size(cells, "timesteps"), inner=hidden, columns=_GATES[kind] * hidden
        ), _size(cells, "batch")
    raise Skipped(f"operator '{read.short(_text(cells, 'op'))}' cannot be predicted")


def _convolution(spec: str) -> Convolution:
    """Of ``W=56,H=56,C=64,K=64,S=3,R=3,pad=1/1,stride=1/1``: input, channels, window (S along W), both ways."""
    found = {name: (int(first), int(second or first)) for name, first, second in _SPEC.findall(spec)}
    missing = [name for name in ("W", "H", "C", "K", "S", "R", "pad", "stride") if name not in found]
    if missing:
        raise Skipped(f"spec has no {missing[0]}: '{read.short(spec)}'")
    width, height, inputs, outputs, wide, high = (found[name][0] for name in ("W", "H", "C", "K", "S", "R"))
    sides = zip((width, height), (wide, high), found["pad"], found["stride"], strict=True)
    if not min(found["stride"]):
        raise Skipped(f"spec has a stride of 0: '{read.short(spec)}'")
    across, down = ((side + 2 * pad - window) // stride + 1 for side, window, pad, stride in sides)
    return Convolution(
        name="convolution",
        positions=across * down,
        window=wide * high,
        inputs=inputs,
        outputs=outputs,
        input_elements=width * height * inputs,
        output_elements=across * down * outputs,
    )


def _size(cells: Cells, name: str) -> int:
    text = _text(cells, name)
    if not text:
        raise Skipped(f"{name} is empty")
    value = read.number(name, text)
    if value != int(value) or value > _MOST_SIZE:
        raise Skipped(f"{name} is not a whole number up to {_MOST_SIZE:g}: {read.short(text)}")
    return int(value)
