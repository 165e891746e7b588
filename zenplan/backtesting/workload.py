"""What a measured run trained: its row's shape, or a preset, or a shape of its size."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from zenplan.adapters.tables.models import models_by_name
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.software import Software
from zenplan.errors import Skipped
from zenplan.families.transformer.lowering import Experts, TransformerShape, lower
from zenplan.families.transformer.presets import Preset, plain
from zenplan.families.transformer.sizing import shape_for

# BERT's recipe predicts the masked positions alone: 20 of 128, 80 of 512 (Devlin et al. 2019).
_MASKED = 0.15625
_T5_LAYERS = 24
# GPT-2's vocabulary, padded; and Megatron-LM's default of what it is padded to.
_USUAL_VOCABULARY, _PADDING = 50_304, 128
# ELECTRA trains a generator of a third of the width beside the model (Clark et al. 2020, table 6).
_GENERATOR = 3


class _Shape(NamedTuple):
    """The cells of a row that say what is trained."""

    family: str
    model: str
    params: str
    active_params: str
    layers: str
    width: str
    heads: str
    kv_heads: str
    ff_width: str
    gated: str
    vocab: str
    seq_len: str
    task: str
    padded: bool


def run_workload(row: Mapping[str, str], software: Software | None) -> Workload:
    """The workload of a row. Rows of one model share it, so that they can be predicted together."""
    cells = {name: row[name] for name in _Shape._fields if name != "padded"}
    return _workload(_Shape(**cells, padded=software is Software.FUSED))


@cache
def _workload(cells: _Shape) -> Workload:
    if not cells.seq_len:
        raise Skipped("no seq_len")
    seq_len = int(float(cells.seq_len))
    if cells.layers and cells.width and cells.family != "encoder-decoder":
        return _mixture(cells, seq_len) if cells.family == "moe-decoder" else _of_shape(cells, seq_len)
    preset = _preset(cells.model)
    if cells.family == "encoder-decoder":
        return _encoder_decoder(cells, seq_len, preset.shape if preset else None)
    if preset is not None:
        shape = replace(preset.shape, seq_len=seq_len)
        return lower(replace(shape, predicted=_predicted(cells, seq_len)), cells.model)
    if cells.family == "moe-decoder":
        raise Skipped(f"the experts of {cells.model} are not in the table")
    if not cells.params:
        raise Skipped("neither a shape nor params")
    shape, facts = shape_for(float(cells.params), seq_len=seq_len)
    return lower(replace(shape, family=cells.family), cells.model, tuple(facts))


def _mixture(cells: _Shape, seq_len: int) -> Workload:
    """A mixture of experts: the preset of that name, or as many experts as its two parameter counts leave."""
    preset = _preset(cells.model)
    if preset is not None:
        return lower(replace(preset.shape, seq_len=seq_len), cells.model)
    if not (cells.ff_width and cells.params and cells.active_params):
        raise Skipped(f"the experts of {cells.model} are not in the table")
    dense = _shape_of(cells, seq_len)
    one = dense.layers * dense.width * dense.ff_width * (3 if dense.gated else 2)
    rest = lower(dense, cells.model).parameters - one
    count, active = (round((float(n) - rest) / one) for n in (cells.params, cells.active_params))
    if not 1 <= active <= count:
        raise Skipped(f"{cells.params} parameters, {cells.active_params} active, do not make whole experts")
    return lower(replace(dense, experts=Experts(count=count, active=active, width=dense.ff_width)), cells.model)


def _encoder_decoder(cells: _Shape, seq_len: int, shape: TransformerShape | None) -> Workload:
    """A preset, or T5's 24 layers on each side in the width that its size leaves. ``seq_len`` is the encoder's."""
    # T5 predicts the 15 % of its input that is cut out, and marks: 114 tokens of 512 (Raffel et al. 2020).
    target = max(1, seq_len // 4) if "t5" in cells.model.lower() else seq_len
    if shape is not None:
        return lower(replace(shape, seq_len=target, encoder_seq_len=seq_len), cells.model)
    if not cells.params:
        raise Skipped("neither a shape nor params")
    layers = int(float(cells.layers)) if cells.layers else _T5_LAYERS
    # An encoder layer has 12 h^2 weights, a decoder layer with its cross-attention 16 h^2.
    width = max(1, round(math.sqrt(float(cells.params) / (28 * layers)) / 128)) * 128
    guess = TransformerShape(
        family="encoder-decoder",
        layers=layers,
        encoder_layers=layers,
        width=width,
        heads=max(1, width // 64),
        ff_width=4 * width,
        vocab=_vocabulary(cells),
        seq_len=target,
        encoder_seq_len=seq_len,
        dropout=True,
        guessed=True,
    )
    why = f"the row has no shape; T5's {layers} layers on each side"
    fact = Fact(name="shape", value=f"{layers} + {layers} layers × {width}", origin=Origin.ASSUMED, why=why)
    return lower(guess, cells.model, (fact,))


def _shape_of(cells: _Shape, seq_len: int) -> TransformerShape:
    width, layers = int(float(cells.width)), int(float(cells.layers))
    heads = int(float(cells.heads)) if cells.heads else max(1, width // 128)
    encoder, gated = cells.family == "encoder", cells.gated == "yes"
    return TransformerShape(
        family="encoder" if encoder else "decoder",
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=int(float(cells.kv_heads)) if cells.kv_heads else heads,
        ff_width=int(float(cells.ff_width)) if cells.ff_width else 4 * width,
        vocab=_vocabulary(cells),
        seq_len=seq_len,
        gated=gated,
        tied=not gated,
        positions=0,
        head_transform=encoder,
        head_dim=max(1, width // heads),
        predicted=_predicted(cells, seq_len),
    )


def _of_shape(cells: _Shape, seq_len: int) -> Workload:
    shape = _shape_of(cells, seq_len)
    if "electra" not in cells.model.lower():
        return lower(shape, cells.model)
    # The model says of each position whether it was replaced: its head is as good as none.
    workload = lower(replace(shape, predicted=1.0 / seq_len), cells.model)
    heads = max(1, shape.heads // _GENERATOR)
    small = replace(
        shape, width=shape.width // _GENERATOR, heads=heads, kv_heads=heads, ff_width=shape.ff_width // _GENERATOR
    )
    generator = lower(small, "generator")
    return replace(workload, blocks=(*generator.blocks, *workload.blocks))


def _predicted(cells: _Shape, seq_len: int) -> float:
    """Share of the positions that reach the head. Fine-tuning puts one of a few outputs on an encoder: none."""
    if cells.family != "encoder":
        return 1.0
    return _MASKED if cells.task in ("pretrain", "") else 1.0 / seq_len


def _vocabulary(cells: _Shape) -> int:
    """Entries of the vocabulary; Megatron-class software pads it, so that products with it stay fast."""
    entries = int(float(cells.vocab)) if cells.vocab else _USUAL_VOCABULARY
    return -(-entries // _PADDING) * _PADDING if cells.padded else entries


def _preset(model: str) -> Preset | None:
    """The published model of that name or alias, if there is one; what stands in brackets is no part of the name."""
    return models_by_name().get(plain(re.sub(r"\(.*\)", "", model)))
