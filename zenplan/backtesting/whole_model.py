"""The model of a published whole run: a preset by its name, or usual proportions of its size."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zenplan.adapters.tables.models import models_by_name
from zenplan.backtesting.cells import Cells
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import DataError
from zenplan.families.transformer.lowering import TransformerShape, lower
from zenplan.families.transformer.presets import plain
from zenplan.families.transformer.sizing import shape_for

# How far a row's parameters may lie from those of the preset that has its name.
_SAME_MODEL = 0.1
# Span corruption leaves 114 tokens to the decoder for 512 of the encoder (Raffel et al. 2020, section 3.1.4).
_DECODER_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a row trains.

    Attributes:
        tokens_per_sample: as the row's tokens are counted; of an encoder-decoder, the encoder's.
    """

    workload: Workload
    tokens_per_sample: int


def model_of(cells: Cells) -> Model:
    """The row's model.

    Raises:
        DataError: a cell is missing or no figure.
        UsageError: no transformer has the row's parameters.
    """
    shape, facts = _shape(cells)
    length = shape.seq_len
    if shape.family == "encoder-decoder":
        decoder = max(1, round(length * _DECODER_SHARE))
        shape = replace(shape, seq_len=decoder, encoder_seq_len=length)
        facts += (
            Fact(
                name="decoder",
                value=f"{decoder} tokens for {length} of the encoder",
                origin=Origin.ASSUMED,
                why="what span corruption leaves (Raffel et al. 2020)",
            ),
        )
    return Model(workload=lower(shape, cells.text("model"), facts), tokens_per_sample=length)


def _shape(cells: Cells) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The preset of the row's name, if its parameters are about those, or usual proportions of that size."""
    family, params, seq_len = cells.family(), cells.number("params"), cells.whole_or_none("seq_len")
    preset = models_by_name().get(plain(cells.bare_name()))
    if preset is not None and abs(preset.parameters / params - 1.0) <= _SAME_MODEL:
        fact = Fact(name="shape", value=f"that of {preset.name}", origin=Origin.PUBLISHED, why=preset.source)
        return replace(preset.shape, seq_len=seq_len or preset.shape.seq_len), (fact,)
    if family != "moe-decoder":
        shape, facts = shape_for(params, None, seq_len)
        if family == "encoder-decoder":
            paired = _paired(shape, params)
            fact = Fact(
                name="layers",
                value=f"{paired.layers} of the encoder, as many of the decoder",
                origin=Origin.ASSUMED,
                why="half of the parameters each, cross-attention counted",
            )
            return paired, (*facts, fact)
        return replace(shape, family=family), facts
    active = cells.number_or_none("active_params")
    if active is None:
        raise DataError(f"active_params of the mixture of experts {cells.text('model')} is missing")
    return shape_for(params, active, seq_len)


def _paired(shape: TransformerShape, params: float) -> TransformerShape:
    """An encoder and a decoder as deep, of the same widths, with about that many parameters in all."""

    def pair(layers: int) -> TransformerShape:
        return replace(shape, family="encoder-decoder", layers=layers, encoder_layers=layers)

    return min((pair(n) for n in range(1, shape.layers + 1)), key=lambda s: abs(lower(s, "pair").parameters - params))
