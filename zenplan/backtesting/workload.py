"""What a measured run trained, and whether it can have been.

A language transformer is its row's shape, a preset, or a shape of its size; any other model is a built-in one by its
name, or one of its FLOP.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

from zenplan import units
from zenplan.adapters.tables.counted import counted_by_name
from zenplan.adapters.tables.models import models_by_name
from zenplan.backtesting.packing import packed
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.measured.run import BY_NAME, MeasuredRun
from zenplan.domain.model.operators import Convolution, Embedding
from zenplan.domain.model.workload import Workload, gradients
from zenplan.domain.precision import Precision
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.software import Software
from zenplan.errors import Skipped
from zenplan.families.catalogue import named_here, names_of
from zenplan.families.images.summary import ACTIVATIONS, summary
from zenplan.families.transformer.family import TransformerFamily
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.presets import Preset, plain
from zenplan.families.transformer.shape import Experts, TransformerShape
from zenplan.families.transformer.sizing import shape_for
from zenplan.plugins.builtin import zenplan_workloads
from zenplan.protocols import WorkloadFamily

# BERT's recipe predicts the masked positions alone: 20 of 128, 80 of 512 (Devlin et al. 2019).
_MASKED = 0.15625
_T5_LAYERS = 24
# GPT-2's vocabulary, padded; and Megatron-LM's default of what it is padded to.
_USUAL_VOCABULARY, _PADDING = 50_304, 128
# ELECTRA trains a generator of a third of the width beside the model (Clark et al. 2020, table 6).
_GENERATOR = 3


class _Shape(NamedTuple):
    """What of a run says which language transformer it trained."""

    family: str
    model: str
    params: float | None
    active_params: float | None
    layers: int | None
    width: int | None
    heads: int | None
    kv_heads: int | None
    ff_width: int | None
    gated: bool | None
    vocab: int | None
    seq_len: int | None
    task: str
    padded: bool


def run_workload(run: MeasuredRun, software: Software | None) -> Workload:
    """What a run trained. Runs of one model share it, so that they can be predicted together.

    Raises:
        Skipped: the row does not say which model it is, or its cells do not go together.
    """
    if run.family in BY_NAME:
        return _named_workload(run)
    said = {name: getattr(run, name) for name in _Shape._fields if name != "padded"}
    return packed(_transformer(_Shape(**said, padded=software is Software.FUSED)), run.options)


@cache
def _transformer(cells: _Shape) -> Workload:
    if not cells.seq_len:
        raise Skipped("no seq_len")
    seq_len = cells.seq_len
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
    shape, facts = shape_for(cells.params, seq_len=seq_len)
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
    count, active = (round((n - rest) / one) for n in (cells.params, cells.active_params))
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
    layers = cells.layers or _T5_LAYERS
    # An encoder layer has 12 h^2 weights, a decoder layer with its cross-attention 16 h^2.
    width = max(1, round(math.sqrt(cells.params / (28 * layers)) / 128)) * 128
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
    width, layers = cells.width or 0, cells.layers or 0
    heads = cells.heads or max(1, width // 128)
    encoder, gated = cells.family == "encoder", bool(cells.gated)
    return TransformerShape(
        family="encoder" if encoder else "decoder",
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=cells.kv_heads or heads,
        ff_width=cells.ff_width or 4 * width,
        vocab=_vocabulary(cells),
        seq_len=seq_len,
        gated=gated,
        biases=not gated,
        norm_biases=not gated,
        tied=not gated,
        positions=0,
        head_transform=encoder,
        head_dim=max(1, width // heads),
        windows=_windows(cells),
        predicted=_predicted(cells, seq_len),
    )


def _windows(cells: _Shape) -> tuple[int | None, ...]:
    """The sliding windows of the published model of that name, if it has the row's layers."""
    preset = _preset(cells.model)
    return preset.shape.windows if preset is not None and preset.shape.layers == cells.layers else ()


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
    entries = cells.vocab or _USUAL_VOCABULARY
    return -(-entries // _PADDING) * _PADDING if cells.padded else entries


def _preset(model: str) -> Preset | None:
    """The published model of that name or alias, if there is one; what stands in brackets is no part of the name."""
    return models_by_name().get(plain(re.sub(r"\(.*\)", "", model)))


# --- other models

# A network that has two ways to stride is told by its FLOP.
_VARIANTS: Final = ("", "-v1.5")
# Beyond this share two counts of FLOP, or of parameters, are of two models.
_SAME_MODEL: Final = 0.25
# Their models take the size of an image.
_IMAGES: Final = ("convnet", "vision transformer")


class _Model(NamedTuple):
    """What of a run says which other model it trained."""

    family: str
    model: str
    params: float | None
    flop_per_sample: float | None
    activations_per_sample: float | None
    image_size: int | None


def _named_workload(run: MeasuredRun) -> Workload:
    """The workload of a run of a family of ``BY_NAME``.

    Raises:
        Skipped: no built-in model has that name, and FLOP and parameters are not both there; or the model of that
            name has other FLOP, or counts its samples in something else than the row does.
    """
    workload = _other_model(_Model(*(getattr(run, name) for name in _Model._fields)))
    if run.tokens_per_s_per_device and run.unit and workload.unit != run.unit:
        raise Skipped(f"measured in {run.unit} a second, and {workload.name} counts {workload.unit}")
    return workload


@cache
def _other_model(cells: _Model) -> Workload:
    flop, named = cells.flop_per_sample, list(_by_name(cells))
    if not named:
        return _of_counts(cells, flop)
    if flop is None:
        return named[0]
    nearest = min(named, key=lambda w: abs(w.flop_per_sample / flop - 1.0))
    if abs(nearest.flop_per_sample / flop - 1.0) > _SAME_MODEL:
        raise Skipped(
            f"flop_per_sample of {units.count(flop)}, but {nearest.name} has {units.count(nearest.flop_per_sample)}"
        )
    return nearest


def _of_counts(cells: _Model, flop: float | None) -> Workload:
    """A model of the usual form of its family that has the row's FLOP, activations and parameters; those of the
    published model of its name where the row has none."""
    counted = next((m for n in names_of(cells.model) if (m := counted_by_name().get(plain(n))) is not None), None)
    activations, params = cells.activations_per_sample, cells.params
    if counted and flop is None:
        flop, activations = counted.at(cells.image_size)
    params = params or (counted.parameters if counted else None)
    known = cells.family in ACTIVATIONS
    if not known or flop is None or not params:
        lacking = ", and flop_per_sample or params is empty" if known else ""
        raise Skipped(f"family {cells.family}: no built-in model has the name {cells.model}{lacking}")
    return summary(flop, activations, params, cells.family, cells.model)


def _by_name(cells: _Model) -> Iterator[Workload]:
    """The built-in models that the row's name can mean."""
    size = {"image_size": cells.image_size} if cells.image_size and cells.family in _IMAGES else {}
    for name in names_of(cells.model):
        published, colon, changes = named_here(name).partition(":")
        for variant in _VARIANTS:
            family = _families().get(plain(published + variant))
            if family is not None:
                yield family.lower({"model": f"{published}{variant}{colon}{changes}", **size})


@cache
def _families() -> dict[str, WorkloadFamily]:
    """Each built-in model's name, as names are compared, to its family; language models have a way of their own."""
    named = [family for family in zenplan_workloads() if not isinstance(family, TransformerFamily)]
    return {plain(name): family for family in reversed(named) for name in family.presets()}


# --- whether it can have been

# No training is that much slower than it should be: such a figure counts something else.
_SLOWEST = 300.0


def check_parameters(run: MeasuredRun, workload: Workload) -> None:
    """Find a row whose params are not those of its shape, or of the published model of its name.

    Tables count a model with its embedding or without, and a head that shares it once or twice: any of them will do.

    Args:
        run: as its row says.
        workload: made of the row's shape or name.

    Raises:
        Skipped: they lie more than 25 % apart; the message has both.
    """
    if not run.params or workload.guessed_shape:
        return
    given, found = run.params, workload.parameters
    embedding = sum(o.parameters for b in workload.blocks for o in b.operators if isinstance(o, Embedding))
    counts = (found, found - embedding, found + embedding)
    if not any(abs(given / count - 1.0) <= _SAME_MODEL for count in counts if count > 0):
        what = "the shape" if run.layers and run.width else f"the published {run.model}"
        raise Skipped(f"params of {units.count(given)}, but {what} has {units.count(found)}")


def check_speed(workload: Workload, samples_per_s: float, accelerator: Accelerator, precision: Precision) -> None:
    """Find a measurement that no device can have made.

    Args:
        workload: of which the forward and the backward pass count, and nothing computed again.
        samples_per_s: measured, of one device.
        accelerator: the device's data sheet.
        precision: of the row, or taken for it.

    Raises:
        Skipped: that is more than the dense peak.
    """
    peak = accelerator.peak(precision.matmul_dtype)
    if peak is None:
        return
    share = _least_flop(workload, precision) * samples_per_s / peak
    if share > 1.0:
        raise Skipped(
            f"faster than the device's peak: {share:.1f} times the dense {precision.name} of {accelerator.name}"
        )


def _least_flop(workload: Workload, precision: Precision) -> float:
    """Training FLOP of one sample with as few multiplications as a library can do: in fp32 convolutions of larger
    windows take a quarter of them (Lavin & Gray 2016, F(4 × 4, 3 × 3))."""
    flop = workload.training_flop_per_sample
    if precision.matmul_dtype != "fp32":
        return flop
    direct = sum(
        o.flop * block.repeat * (1.0 + gradients(o))
        for block in workload.blocks
        for o in block.operators
        if isinstance(o, Convolution) and o.window > 1
    )
    return flop - 0.75 * direct


def too_slow(predicted: float, measured: float) -> str:
    """Why a measurement is no speed of a training run; else empty. Both are samples a second of one device."""
    if measured * _SLOWEST >= predicted:
        return ""
    return f"slower than any run: {predicted / measured:,.0f} times slower than predicted"


def odd_experts(ep: int, workload: Workload) -> str:
    """A note where expert-parallel devices do not get as many experts each; else empty."""
    if workload.experts % ep:
        return f"ep = {ep} does not divide the {workload.experts} experts"
    return ""
