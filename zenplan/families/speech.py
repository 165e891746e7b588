"""Speech transformers: Whisper, which writes down half a minute of speech."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.families.named import Builder
from zenplan.families.parts import block, check_heads, convolution, elementwise
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import TransformerShape

# 680,000 hours in pieces of 30 s; 1,048,576 steps of 256 of them.
WHISPER = Usual(
    dataset="680,000 hours of speech with text",
    samples=81_600_000,
    epochs=3.3,
    global_batch=256,
    optimizer="adamw",
    source="Radford et al. 2022, appendix F",
    task="speech",
)
# Its batch is not published.
WHISPER_V3 = replace(
    WHISPER,
    dataset="5 million hours of speech, four of them labelled by Whisper",
    samples=600_000_000,
    epochs=2,
    source="OpenAI, model card of whisper-large-v3; the batch of Radford et al. 2022, appendix F",
)
_FRAMES_PER_S = 100  # of the spectrogram; every second one becomes a token of the encoder


def _whisper(
    name: str,
    usual: Usual,
    /,
    *,
    layers: int = 4,
    width: int = 384,
    heads: int = 6,
    mels: int = 80,
    vocab: int = 51_865,
    seq_len: int = 448,
    seconds: int = 30,
) -> Workload:
    """Two convolutions over the spectrogram, an encoder, and a decoder that attends to it.

    Args:
        layers: of the encoder, and as many of the decoder.
        seq_len: tokens of the text, padded. seconds: of speech, padded.
    """
    check_heads(heads, width)
    frames = seconds * _FRAMES_PER_S
    rows = frames // 2
    shape = TransformerShape(
        family="encoder-decoder",
        layers=layers,
        encoder_layers=layers,
        width=width,
        heads=heads,
        ff_width=4 * width,
        vocab=vocab,
        seq_len=seq_len,
        encoder_seq_len=rows,
        positions=seq_len,
    )
    embedding, encoder, *decoder = lower(shape, name).blocks
    return Workload(
        name=name,
        family="speech transformer",
        blocks=(_ears(mels, width, frames, rows), encoder, _encoder_norm(rows * width, width), embedding, *decoder),
        tokens_per_sample=1,
        unit="samples",
        heads=heads,
        usual=usual,
        input="audio",
    )


def _ears(mels: int, width: int, frames: int, rows: int) -> Block:
    """Two convolutions over ``frames`` of the spectrogram to ``rows`` tokens, and their positions."""
    operators: list[Operator] = [
        convolution("convolution 1", mels, width, (3,), frames, first=True),
        elementwise(ElementwiseKind.ACTIVATION, "activation 1", frames * width, kept=frames * width),
        convolution("convolution 2", width, width, (3,), rows, input_positions=frames),
        elementwise(ElementwiseKind.ACTIVATION, "activation 2", rows * width, kept=rows * width),
        elementwise(ElementwiseKind.OTHER, "positions", rows * width, 3, weights=rows * width),
    ]
    return block("ears", operators, rows * width, place="first")


def _encoder_norm(elements: int, width: int) -> Block:
    """The decoder's norm is that of the shape's head; this is the encoder's."""
    norm = elementwise(ElementwiseKind.NORM, "encoder norm", elements, 3, kept=elements, weights=2 * width)
    return block("encoder norm", [norm], elements)


MODELS: dict[str, Builder] = {
    "whisper-tiny": partial(_whisper, "whisper-tiny", WHISPER),
    "whisper-base": partial(_whisper, "whisper-base", WHISPER, layers=6, width=512, heads=8),
    "whisper-small": partial(_whisper, "whisper-small", WHISPER, layers=12, width=768, heads=12),
    "whisper-medium": partial(_whisper, "whisper-medium", WHISPER, layers=24, width=1024, heads=16),
    "whisper-large": partial(_whisper, "whisper-large", WHISPER, layers=32, width=1280, heads=20),
    "whisper-large-v3": partial(
        _whisper, "whisper-large-v3", WHISPER_V3, layers=32, width=1280, heads=20, mels=128, vocab=51_866
    ),
}
