"""Recurrent networks: stacks of LSTM, GRU and simple cells, and translation from sequence to sequence (GNMT)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Embedding, Operator, Recurrent
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.named import Builder
from zenplan.families.parts import block, convolution, dense, elementwise, loss, recurrent

# --- speech
#
# Networks that hear and speak, step by step: RNN-T writes down speech, Tacotron 2 and WaveGlow make it.

LIBRISPEECH = Usual(
    dataset="LibriSpeech, 960 hours",
    samples=281_241,
    epochs=80,
    global_batch=2048,
    optimizer="adamw",
    source="MLPerf Training v1.0, rnn_speech_recognition",
    task="speech",
)
_NVIDIA = "NVIDIA DeepLearningExamples, PyTorch/SpeechSynthesis/Tacotron2"
LJSPEECH = Usual(
    dataset="LJSpeech, 12,500 clips",
    samples=12_500,
    epochs=1501,
    global_batch=1024,
    optimizer="adamw",
    source=_NVIDIA,
    task="synthesis",
)
LJSPEECH_SEGMENTS = Usual(
    dataset="LJSpeech, 12,500 clips",
    samples=12_500,
    epochs=1001,
    global_batch=80,
    optimizer="adamw",
    source=_NVIDIA,
    task="synthesis",
)
MELS = 80  # bands of a mel spectrogram


def _rnn_t(
    *, seconds: float = 12.3, words: int = 45, vocab: int = 1024, hidden: int = 1024, prediction: int = 512
) -> Workload:
    """RNN-T as in MLPerf: frames of 10 ms, three to a step, halved again after two layers; joined with the text.

    Args:
        seconds: of speech in a sample. words: pieces of words that it says.
    """
    steps = round(seconds * 100 / 3)
    half, pairs = steps // 2, (steps // 2) * words
    early: list[Operator] = [
        *recurrent("layer 1", "lstm", steps, 3 * MELS, hidden, first=True),
        *recurrent("layer 2", "lstm", steps, hidden, hidden),
    ]
    late = recurrent("layer 3", "lstm", half, 2 * hidden, hidden)
    late += [op for n in (4, 5) for op in recurrent(f"layer {n}", "lstm", half, hidden, hidden)]
    text: list[Operator] = [Embedding(name="embedding", entries=vocab - 1, width=prediction, rows=words)]
    text += [op for n in (1, 2) for op in recurrent(f"layer {n}", "lstm", words, prediction, prediction)]
    joint: list[Operator] = [
        dense("speech", half, hidden, prediction),
        dense("text", words, prediction, prediction),
        elementwise(
            ElementwiseKind.ACTIVATION, "sum and activation", pairs * prediction, 2, kept=pairs * prediction / 2
        ),
        dense("pieces", pairs, prediction, vocab),
        loss(pairs, vocab),
    ]
    return Workload(
        name="rnn-t",
        family="recurrent",
        blocks=(
            block("encoder before stacking", early, steps * hidden),
            block("encoder after stacking", late, half * hidden),
            block("prediction", text, words * prediction),
            block("joint", joint, 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="samples",
        usual=LIBRISPEECH,
        input="audio",
        facts=(
            Fact(
                name="pieces of words",
                value=str(words),
                origin=Origin.ASSUMED,
                why="LibriSpeech has 33 words an utterance, a piece is about three quarters of a word",
            ),
        ),
    )


def _convolutions(widths: tuple[int, ...], positions: int) -> list[Operator]:
    """Convolutions of window 5 over a sequence, each with batch norm, activation and dropout."""
    operators: list[Operator] = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths), 1):
        size = positions * outputs
        operators += [
            convolution(f"convolution {number}", inputs, outputs, (5,), positions),
            elementwise(ElementwiseKind.BATCH_NORM, f"batch norm {number}", size, 3, kept=size, weights=2 * outputs),
            elementwise(
                ElementwiseKind.ACTIVATION_DROPOUT, f"activation and dropout {number}", size, 4, kept=1.5 * size
            ),
        ]
    return operators


# Kernels of a decoder step, by hand from the reference's forward pass: 40, casts and copies included, and 70 on the
# way back; the mean of both, shared out to the products that they lie around.
_CELL, _QUERY, _LOCATION, _ENERGY, _FRAME = 10, 4, 8, 16, 7


def _tacotron_decoder(frames: int, text: int) -> list[Operator]:
    """The loop over frames: attention cell, location-sensitive attention, decoder cell, the frame and its end.

    The sum over the text that the attention gives is read in full at each step; its FLOP, 0.3 %, are left out.
    """
    looked = frames * text
    return [
        dense("prenet 1", frames, MELS, 256, bias=False, first=True),
        dense("prenet 2", frames, 256, 256, bias=False),
        elementwise(ElementwiseKind.ACTIVATION, "prenet activations", 2 * 256 * frames, 4, kept=256 * frames),
        dense("attention memory", text, 512, 128, bias=False),
        # Cell and context are inputs of the same step, so that no product can be taken ahead.
        Recurrent(name="attention cell input", steps=frames, inner=256 + 512, columns=4096, kernels=1, bias=True),
        Recurrent(name="attention cell", steps=frames, inner=1024, columns=4096, kernels=_CELL - 1, bias=True),
        Recurrent(name="attention query", steps=frames, inner=1024, columns=128, kernels=_QUERY),
        Recurrent(
            name="location convolution", steps=frames, rows=text, inner=2 * 31, columns=32, kernels=_LOCATION / 2
        ),
        Recurrent(name="location product", steps=frames, rows=text, inner=32, columns=128, kernels=_LOCATION / 2),
        Recurrent(name="attention energy", steps=frames, rows=text, inner=128, columns=1, kernels=_ENERGY),
        # The sums with query and memory and their tanh; then the memory itself, read for the context.
        elementwise(ElementwiseKind.OTHER, "attention sums", looked * 128, 7, kept=looked * 128),
        # Forward it is read. Backward it is read again, its gradient of this step is written, and added to that of the steps
        # behind, as autograd does with what several operators have read: 5 more.
        elementwise(ElementwiseKind.OTHER, "attention context", looked * 512, 6 / 2.5),
        Recurrent(name="decoder cell input", steps=frames, inner=1024 + 512, columns=4096, kernels=1, bias=True),
        Recurrent(name="decoder cell", steps=frames, inner=1024, columns=4096, kernels=_CELL - 1, bias=True),
        Recurrent(name="frame and end", steps=frames, inner=1024 + 512, columns=MELS + 1, kernels=_FRAME, bias=True),
    ]


def _tacotron2(*, frames: int = 566, text: int = 100, padding: float = 1.5, symbols: int = 148) -> Workload:
    """Tacotron 2 (Shen et al. 2018) as NVIDIA trains it, on spectrograms that were computed beforehand.

    Args:
        frames: of the mel spectrogram of a clip, 86 a second. text: symbols it says.
        padding: how much longer the longest clip of a batch is, to which all are padded.
    """
    steps, letters = round(frames * padding), round(text * padding)
    encoder: list[Operator] = [
        Embedding(name="embedding", entries=symbols, width=512, rows=letters),
        *_convolutions((512, 512, 512, 512), letters),
        *recurrent("lstm", "lstm", letters, 512, 256, bidirectional=True),
    ]
    postnet: list[Operator] = [
        *_convolutions((MELS, 512, 512, 512, 512, MELS), steps),
        elementwise(ElementwiseKind.LOSS, "losses", steps * MELS, 6, kept=2 * steps * MELS),
    ]
    return Workload(
        name="tacotron2",
        family="recurrent",
        blocks=(
            block("encoder", encoder, letters * 512),
            block("decoder", _tacotron_decoder(steps, letters), steps * MELS),
            block("postnet", postnet, 0, place="last"),
        ),
        tokens_per_sample=frames,
        unit="mel-frames",
        usual=LJSPEECH,
        facts=(
            Fact(
                name="frames of a clip",
                value=str(frames),
                origin=Origin.PUBLISHED,
                why="LJSpeech: 6.57 s on average, 22,050 Hz, a frame for 256 samples",
            ),
            Fact(
                name="steps with padding",
                value=str(steps),
                origin=Origin.ASSUMED,
                why="LJSpeech's clips end at 10.1 s, and batches of 32 and more have one near it",
            ),
            Fact(
                name="kernels of a decoder step",
                value="55",
                origin=Origin.ASSUMED,
                why="counted by hand in the reference's loop, forward and backward on average",
            ),
        ),
    )


def _flow(number: int, repeat: int, left: int, channels: int, positions: int) -> Block:
    """Flows of WaveGlow: an invertible 1 × 1 convolution, then a coupling by 8 dilated convolutions."""
    size, half = positions * channels, left // 2
    operators: list[Operator] = [
        convolution("invertible", left, left, (1,), positions, bias=False, first=number == 1),
        convolution("start", half, channels, (1,), positions),
    ]
    for layer in range(1, 9):
        outputs = 2 * channels if layer < 8 else channels
        operators += [
            convolution(f"dilated {layer}", channels, 2 * channels, (3,), positions),
            convolution(f"condition {layer}", 8 * MELS, 2 * channels, (1,), positions, kept=0.0),
            # Reads both, of twice the channels, and writes their gated product.
            elementwise(ElementwiseKind.OTHER, f"gate {layer}", size, 5, kept=2 * size),
            convolution(f"residual and skip {layer}", channels, outputs, (1,), positions),
            elementwise(ElementwiseKind.OTHER, f"sums {layer}", size, 6),
        ]
    operators += [
        convolution("end", channels, left, (1,), positions),
        elementwise(ElementwiseKind.OTHER, "coupling", positions * left, 4, kept=positions * left),
    ]
    return block(f"flows from {number} on", operators, positions * left, repeat=repeat)


def _waveglow(*, channels: int = 512, segment: int = 8000) -> Workload:
    """WaveGlow (Prenger et al. 2018): 12 flows over groups of 8 audio samples, two of which leave after each 4.

    Args:
        channels: of the coupling network; 512 in NVIDIA's examples, 256 in the original.
        segment: audio samples of one sample.
    """
    frames, positions = segment // 256 + 1, segment // 8
    spectrogram: list[Operator] = [
        # A transposed convolution: its positions are those of its input. Its proxy has a square window, as long as the
        # kernel is not said.
        replace(
            convolution("upsampling", MELS, MELS, (1024,), frames, first=True),
            kernel=(),
            output_elements=segment * MELS,
        ),
        elementwise(ElementwiseKind.OTHER, "grouping", segment * MELS, 2, kept=segment * MELS),
    ]
    return Workload(
        name="waveglow",
        family="recurrent",
        blocks=(
            block("spectrogram", spectrogram, segment * MELS, place="first"),
            *(_flow(1 + 4 * n, 4, 8 - 2 * n, channels, positions) for n in range(3)),
            block("end", [elementwise(ElementwiseKind.LOSS, "loss", segment, 4, kept=segment)], 0, place="last"),
        ),
        tokens_per_sample=segment,
        unit="audio-samples",
        usual=LJSPEECH_SEGMENTS,
        input="audio",
        facts=(
            Fact(
                name="family",
                value="recurrent",
                origin=Origin.ASSUMED,
                why="it has no recurrence; it is filed with the speech networks it is measured with",
            ),
        ),
    )


# --- stacks of cells, and translation


PENN_TREEBANK = Usual(
    dataset="Penn Treebank, 929,589 tokens",
    samples=929_589 / 35,
    epochs=39,
    global_batch=20,
    optimizer="sgd",
    source="Zaremba et al. 2014, section 4.1",
    task="text",
)
PENN_TREEBANK_LONG = replace(PENN_TREEBANK, epochs=55)
WMT16 = Usual(
    dataset="WMT16 English-German, pairs of up to 50 tokens",
    samples=3_498_161,
    epochs=6,
    global_batch=1024,
    optimizer="adamw",
    source="NVIDIA DeepLearningExamples, PyTorch/Translation/GNMT",
    task="translation",
)


def _stack(
    name: str,
    cell: str,
    usual: Usual,
    /,
    *,
    layers: int = 2,
    hidden: int = 650,
    input: int = 0,
    seq_len: int = 35,
    bidirectional: bool = False,
    text: bool = True,
    vocab: int = 10_000,
    classes: int = 0,
) -> Workload:
    """A stack of recurrent layers.

    Args:
        input: features of a step; 0 for as many as ``hidden``.
        text: steps are tokens of a vocabulary of ``vocab``, looked up in a table; else they come as features.
        classes: of a classifier over the last state; 0 to predict each next step.
    """
    features, sides = input or hidden, 2 if bidirectional else 1
    width = sides * hidden
    blocks = []
    if text:
        table = Embedding(name="embedding", entries=vocab, width=features, rows=seq_len)
        blocks.append(block("embedding", [table], seq_len * features, place="first"))
    for layer in range(layers):
        inputs = features if layer == 0 else width
        operators = recurrent(
            "cell", cell, seq_len, inputs, hidden, bidirectional=bidirectional, first=layer == 0 and not text
        )
        dropped = seq_len * width
        operators.append(elementwise(ElementwiseKind.DROPOUT, "dropout", dropped, kept=dropped / 2))
        blocks.append(block(f"layer {layer + 1}", operators, dropped))
    rows, outputs = (1, classes) if classes else (seq_len, vocab if text else features)
    head: list[Operator] = [dense("head", rows, width, outputs), loss(rows, outputs)]
    blocks.append(block("head", head, 0, place="last"))
    return Workload(
        name=name,
        family="recurrent",
        blocks=tuple(blocks),
        tokens_per_sample=seq_len if text else 1,
        unit="tokens" if text else "samples",
        usual=usual if text else None,
    )


def _gnmt_attention(steps: int, hidden: int) -> list[Operator]:
    """Normalised Bahdanau attention of each target position over all source positions.

    Its sum over the positions, 0.1 % of the FLOP, is left out.
    """
    pairs = steps * steps * hidden
    return [
        dense("attention query", steps, hidden, hidden, bias=False, kept=False),
        dense("attention keys", steps, hidden, hidden, bias=False),
        # A fuser joins sum and tanh: written once, read by the product with the score's weights.
        elementwise(ElementwiseKind.OTHER, "attention scores", pairs, 2, kept=pairs, weights=2 * hidden + 1),
    ]


def _gnmt_side(side: str, steps: int, hidden: int, layers: int) -> list[Block]:
    """The encoder, whose first layer goes both ways; or the decoder, whose later layers read the attention too."""
    size, encoder = steps * hidden, side == "encoder"
    wide = 2 * hidden
    blocks = []
    for layer in range(layers):
        both = encoder and layer == 0
        joined = layer == 1 if encoder else layer > 0
        operators = recurrent("lstm", "lstm", steps, wide if joined else hidden, hidden, bidirectional=both)
        if not encoder and layer == 0:
            operators += _gnmt_attention(steps, hidden)
        operators.append(elementwise(ElementwiseKind.DROPOUT, "dropout", size, kept=size / 2))
        if layer > 1:
            operators.append(elementwise(ElementwiseKind.RESIDUAL, "residual sum", size, 3))
        blocks.append(block(f"{side} layer {layer + 1}", operators, 2 * size if both else size))
    return blocks


def _gnmt(
    *,
    hidden: int = 1024,
    layers: int = 4,
    vocab: int = 32_320,
    shared: bool = True,
    seq_len: int = 25,
    padding: float = 1.2,
) -> Workload:
    """GNMT v2, as NVIDIA trains it: source and target of ``seq_len`` tokens, padded to ``padding`` times as many.

    The attention is that of all positions at once, so that cuDNN runs every layer as a whole sequence. Its tokens are
    those of source and target, padding not counted.
    """
    steps = round(seq_len * padding)
    tables = [("embedding", 2 * steps)] if shared else [("source embedding", steps), ("target embedding", steps)]
    embeddings: list[Operator] = [Embedding(name=n, entries=vocab, width=hidden, rows=rows) for n, rows in tables]
    head: list[Operator] = [dense("classifier", steps, hidden, vocab), loss(steps, vocab)]
    why = "6 epochs at the published tokens/s and minutes have 175M tokens each, in 3.5M pairs"
    padded = "batches are drawn from 5 buckets of 10 lengths each, padded to the longest"
    return Workload(
        name="gnmt",
        family="recurrent",
        blocks=(
            block("embedding", embeddings, 2 * steps * hidden, place="first"),
            *_gnmt_side("encoder", steps, hidden, layers),
            *_gnmt_side("decoder", steps, hidden, layers),
            block("head", head, 0, place="last"),
        ),
        tokens_per_sample=2 * seq_len,
        usual=WMT16,
        facts=(
            Fact(name="tokens of a sentence", value=str(seq_len), origin=Origin.DERIVED, why=why),
            Fact(name="steps with padding", value=str(steps), origin=Origin.ASSUMED, why=padded),
        ),
    )


MODELS: dict[str, Builder] = {
    "lstm": partial(_stack, "lstm", "lstm", PENN_TREEBANK),
    "lstm-ptb-large": partial(_stack, "lstm-ptb-large", "lstm", PENN_TREEBANK_LONG, hidden=1500),
    "gru": partial(_stack, "gru", "gru", PENN_TREEBANK),
    "simple-rnn": partial(_stack, "simple-rnn", "simple", PENN_TREEBANK),
    "gnmt": _gnmt,
    "rnn-t": _rnn_t,
    "tacotron2": _tacotron2,
    "waveglow": _waveglow,
}
