"""Towers that hear: Whisper's encoder, and encoders of the waveform itself (wav2vec 2.0 and its kin)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.errors import InputFileError
from zenplan.families.configurations.extras import few, norm, product
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields
from zenplan.families.configurations.images import Tower
from zenplan.families.parts import block, convolution, elementwise
from zenplan.families.transformer.lowering import layers_of
from zenplan.families.transformer.shape import LayerKind, TransformerShape

# Samples of a piece of speech: 15 s at 16 kHz, as wav2vec 2.0 was trained on (Baevski et al. 2020, section 4.2).
WAVEFORM = 240_000


def _shape(layers: int, width: int, heads: int, ff_width: int, tokens: int, kind: LayerKind) -> TransformerShape:
    return TransformerShape(
        family="encoder",
        layers=layers,
        width=width,
        heads=heads,
        ff_width=ff_width,
        vocab=1,
        seq_len=tokens,
        kinds=(kind,) * layers if kind != LayerKind() else (),
    )


# --- spectrograms


def spectrogram_tower(fields: Fields, name: str = "audio") -> Tower:
    """Whisper's encoder: two convolutions over a spectrogram, and layers.

    Raises:
        InputFileError: a field is missing or wrong.
    """
    width = fields.needed("d_model", "hidden_size")
    layers = fields.needed("encoder_layers", "num_hidden_layers", most=MOST_LAYERS)
    heads = fields.needed("encoder_attention_heads", "num_attention_heads", most=MOST_HEADS)
    ff_width = fields.needed("encoder_ffn_dim", "intermediate_size", most=MOST_ENTRIES)
    mels, rows = fields.needed("num_mel_bins", default=80), fields.needed("max_source_positions", default=1500)
    stem: list[Operator] = [
        convolution(f"{name} convolution 1", mels, width, (3,), 2 * rows, first=True),
        elementwise(ElementwiseKind.ACTIVATION, f"{name} activation 1", 2 * rows * width, kept=2 * rows * width),
        convolution(f"{name} convolution 2", width, width, (3,), rows, input_positions=2 * rows),
        elementwise(ElementwiseKind.ACTIVATION, f"{name} activation 2", rows * width, kept=rows * width),
        elementwise(ElementwiseKind.OTHER, f"{name} positions", rows * width, 3, weights=rows * width),
    ]
    middle = replace(layers_of(_shape(layers, width, heads, ff_width, rows, LayerKind()))[0], name=f"{name} layer")
    blocks = (
        block(f"{name} convolutions", stem, rows * width, place="first"),
        middle,
        block(f"{name} norm", [norm(f"{name} norm", rows, width)], rows * width),
    )
    return Tower(blocks=blocks, tokens=rows, width=width, heads=heads)


# --- waveforms


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveType:
    """How an encoder of waveforms differs from wav2vec 2.0.

    Attributes:
        relative: each layer has a gate for how far apart two tokens are, the first a table (WavLM).
        stacked: positions come from several narrow convolutions (data2vec).
    """

    relative: bool = False
    stacked: bool = False


WAVES: Mapping[str, WaveType] = {
    "wav2vec2": WaveType(),
    "hubert": WaveType(),
    "wavlm": WaveType(relative=True),
    "unispeech": WaveType(),
    "unispeech-sat": WaveType(),
    "data2vec-audio": WaveType(stacked=True),
}


def waveform_tower(fields: Fields, kind: WaveType, samples: int = WAVEFORM) -> Tower:
    """Convolutions over a waveform, a wide convolution for the positions, and layers.

    Raises:
        InputFileError: a field is missing or wrong.
    """
    width = fields.needed("hidden_size")
    layers = fields.needed("num_hidden_layers", most=MOST_LAYERS)
    heads = fields.needed("num_attention_heads", most=MOST_HEADS)
    ff_width = fields.needed("intermediate_size", most=MOST_ENTRIES)
    stem, tokens, last = _convolutions(fields, kind, samples)
    stem += [norm("features norm", tokens, last), product("features", tokens, last, width)]
    stem += [*_positions(fields, kind, tokens, width), norm("encoder norm", tokens, width), few("masked token", width)]
    gate = LayerKind(weights=8 * (width // heads) + 8 + heads) if kind.relative else LayerKind()
    middle = replace(layers_of(_shape(layers, width, heads, ff_width, tokens, gate))[0], name="layer")
    if kind.relative:
        stem.append(few("relative positions", fields.count("num_buckets", default=320) * heads))
    return Tower(
        blocks=(block("convolutions", stem, tokens * width, place="first"), middle),
        tokens=tokens,
        width=width,
        heads=heads,
    )


def _convolutions(fields: Fields, kind: WaveType, samples: int) -> tuple[list[Operator], int, int]:
    widths, kernels = fields.numbers("conv_dim"), fields.numbers("conv_kernel")
    strides, bias = fields.numbers("conv_stride"), fields.flag("conv_bias")
    if not len(widths) == len(kernels) == len(strides):
        raise InputFileError("the model configuration's convolutions are not as many in each list", "check 'conv_dim'")
    every = kind.stacked or fields.raw("feat_extract_norm") == "layer"
    operators: list[Operator] = []
    inputs = 1
    for number, (outputs, kernel, stride) in enumerate(zip(widths, kernels, strides, strict=True), 1):
        before, samples = samples, max(1, (samples - kernel) // stride + 1)
        name = f"convolution {number}"
        operators.append(
            convolution(name, inputs, outputs, (kernel,), samples, input_positions=before, bias=bias, first=number == 1)
        )
        if every or number == 1:
            operators.append(norm(f"norm {number}", samples, outputs))
        size = samples * outputs
        operators.append(elementwise(ElementwiseKind.ACTIVATION, f"activation {number}", size, kept=size))
        inputs = outputs
    return operators, samples, inputs


def _positions(fields: Fields, kind: WaveType, tokens: int, width: int) -> list[Operator]:
    """A convolution over many tokens; its weights are normed, which takes a scale for each step of its window."""
    groups = fields.needed("num_conv_pos_embedding_groups", default=16, most=MOST_HEADS)
    inner = max(1, width // groups)
    if kind.stacked:
        kernel, count = (
            fields.needed("conv_pos_kernel_size", default=19),
            fields.count("num_conv_pos_embeddings", default=5),
        )
        return [product(f"positions {n + 1}", tokens, inner * kernel, width) for n in range(min(count, 100))]
    kernel = fields.needed("num_conv_pos_embeddings", default=128, most=MOST_HEADS)
    return [product("positions", tokens, inner * kernel, width), few("scales of positions", kernel)]


def seconds(samples: int = WAVEFORM) -> float:
    """Of a piece of speech at 16 kHz."""
    return math.floor(samples / 16_000)
