"""Models that the calibration was not made with, of kinds as different as possible, for ``calibration_unseen.py``.

They are written as users of Keras write them: layers of their own, several inputs, shared weights, some compiled and
some not. ``depth`` is what ``--vary`` varies, whatever that means in each: blocks, levels, cells, widening stages.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops
from unseen_layers import Experts, Latents, Routed, Sampled, Scale, Sine, Tied, Tokens, Transitions

# In the order in which they are measured, so that however far it comes the kinds are spread evenly.
MODELS: dict[str, dict[str, Any]] = {
    "unet": {"depth": 5, "shallow": (1, 2, 3), "batch": 8},
    "gru_seq2seq": {"depth": 6, "shallow": (1, 2, 3), "batch": 48},
    "vit": {"depth": 12, "shallow": (1, 2, 4), "batch": 8},
    "densenet": {"depth": 12, "shallow": (2, 4, 6), "batch": 4},
    "wavenet": {"depth": 16, "shallow": (2, 4, 6), "batch": 4},
    "deepfm": {"depth": 8, "shallow": (1, 2, 4), "batch": 1024},
    "moe": {"depth": 8, "shallow": (1, 2, 3), "batch": 16},
    "video3d": {"depth": 6, "shallow": (1, 2, 3), "batch": 16},
    "bilstm_tagger": {"depth": 5, "shallow": (1, 2, 3), "batch": 48},
    "mixer": {"depth": 12, "shallow": (1, 2, 4), "batch": 16},
    "convnext": {"depth": 9, "shallow": (1, 2, 3), "batch": 32},
    "translator": {"depth": 6, "shallow": (1, 2, 3), "batch": 16},
    "gcn": {"depth": 10, "shallow": (1, 2, 4), "batch": 24},
    "vae": {"depth": 4, "shallow": (1, 2), "batch": 32},
    "crnn": {"depth": 5, "shallow": (1, 2, 3), "batch": 32},
    "swin": {"depth": 8, "shallow": (2, 4), "batch": 16},
    "nbeats": {"depth": 20, "shallow": (2, 4, 8), "batch": 512},
    "resnext": {"depth": 6, "shallow": (1, 2, 3), "batch": 24},
    "siamese": {"depth": 8, "shallow": (1, 2, 4), "batch": 32},
    "wide_mlp": {"depth": 10, "shallow": (1, 2, 4), "batch": 256},
    "efficient": {"depth": 7, "shallow": (2, 3, 4), "batch": 8},
    "tied_decoder": {"depth": 10, "shallow": (1, 2, 4), "batch": 8},
    "tcn": {"depth": 9, "shallow": (2, 4), "batch": 24},
    "perceiver": {"depth": 8, "shallow": (1, 2, 3), "batch": 12},
    "capsule": {"depth": 6, "shallow": (1, 2, 3), "batch": 64},
    "text_cnn": {"depth": 6, "shallow": (1, 2, 3), "batch": 32},
    "siren": {"depth": 12, "shallow": (1, 2, 4), "batch": 16384},
    "tab_transformer": {"depth": 8, "shallow": (1, 2, 4), "batch": 256},
    "pyramid": {"depth": 5, "shallow": (1, 2, 3), "batch": 16},
    "hyper": {"depth": 8, "shallow": (1, 2, 4), "batch": 256},
}


def _conv(x: Any, width: int, window: int = 3, stride: int = 1, activation: str | None = "relu", **more: Any) -> Any:
    x = layers.Conv2D(width, window, strides=stride, padding="same", use_bias=False, **more)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def _compiled(model: keras.Model, loss: Any, optimizer: Any = "adam") -> keras.Model:
    model.compile(optimizer, loss)
    return model


def unet(depth: int = 5) -> keras.Model:
    """Each level halves the resolution and doubles the width, and is joined on the way up."""
    image = keras.Input((128, 128, 3))
    x, kept = image, []
    for level in range(depth):
        x = _conv(_conv(x, 16 * 2**level), 16 * 2**level)
        kept.append(x)
        x = layers.MaxPooling2D()(x)
    x = _conv(_conv(x, 16 * 2**depth), 16 * 2**depth)
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(16 * 2**level, 2, strides=2)(x)
        x = layers.Concatenate()([x, kept[level]])
        x = _conv(_conv(x, 16 * 2**level), 16 * 2**level)
    mask = layers.Conv2D(1, 1, activation="sigmoid")(x)
    return _compiled(keras.Model(image, mask), "binary_crossentropy")


def gru_seq2seq(depth: int = 6, width: int = 160, vocab: int = 2000) -> keras.Model:
    """Stacked GRUs that read, stacked GRUs that write, and attention between them."""
    source, target = keras.Input((32,), dtype="int32", name="source"), keras.Input((32,), dtype="int32", name="target")
    x = layers.Embedding(vocab, width)(source)
    y = layers.Embedding(vocab, width)(target)
    for _ in range(depth):
        x, state = layers.GRU(width, return_sequences=True, return_state=True)(x)
        y = layers.GRU(width, return_sequences=True)(y, initial_state=state)
    y = layers.Concatenate()([y, layers.AdditiveAttention()([y, x])])
    y = layers.Dense(vocab)(layers.Dense(width, activation="tanh")(y))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return _compiled(keras.Model([source, target], y), loss)


def _attended(x: Any, heads: int, ratio: int = 4, rate: float = 0.0, **how: Any) -> Any:
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, x.shape[-1] // heads, dropout=rate)(y, y, **how)])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(ratio * x.shape[-1], activation="gelu")(y)
    return layers.Add()([x, layers.Dense(x.shape[-1])(y)])


def vit(depth: int = 12, width: int = 192) -> keras.Model:
    """Patches of an image as tokens; the class is read at the first."""
    image = keras.Input((96, 96, 3))
    x = layers.Conv2D(width, 8, strides=8)(layers.Rescaling(1 / 255)(image))
    x = Tokens()(layers.Reshape((-1, width))(x))
    for _ in range(depth):
        x = _attended(x, 3)
    x = layers.LayerNormalization()(x)[:, 0]
    return keras.Model(image, layers.Dense(100)(x))


def densenet(depth: int = 12, growth: int = 24) -> keras.Model:
    """Every layer reads all that were before it, in three dense blocks."""
    image = keras.Input((48, 48, 3))
    x = _conv(image, 2 * growth)
    for block in range(3):
        for _ in range(depth):
            y = layers.Activation("relu")(layers.BatchNormalization()(x))
            y = _conv(y, 4 * growth, 1)
            y = layers.Conv2D(growth, 3, padding="same", use_bias=False)(y)
            x = layers.Concatenate()([x, y])
        if block < 2:
            x = layers.AveragePooling2D(2)(_conv(x, x.shape[-1] // 2, 1))
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(layers.BatchNormalization()(x)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def wavenet(depth: int = 16, width: int = 64) -> keras.Model:
    """Gated dilated causal convolutions over raw audio, with sums that skip to the end."""
    audio = keras.Input((2048, 1))
    x = layers.Conv1D(width, 2, padding="causal")(audio)
    skips = []
    for place in range(depth):
        rate = 2 ** (place % 8)
        a = layers.Conv1D(width, 2, padding="causal", dilation_rate=rate, activation="tanh")(x)
        b = layers.Conv1D(width, 2, padding="causal", dilation_rate=rate, activation="sigmoid")(x)
        y = layers.Multiply()([a, b])
        skips.append(layers.Conv1D(2 * width, 1)(y))
        x = layers.Add()([x, layers.Conv1D(width, 1)(y)])
    y = layers.ReLU()(layers.Add()(skips) if depth > 1 else skips[0])
    y = layers.Conv1D(256, 1)(layers.Conv1D(2 * width, 1, activation="relu")(y))
    return keras.Model(audio, y)


def deepfm(depth: int = 8, width: int = 1024, fields: int = 26, factors: int = 16) -> keras.Model:
    """A factorisation machine over embedded fields beside a deep net, for clicks."""
    chosen = keras.Input((fields,), dtype="int32", name="fields")
    numbers = keras.Input((13,), name="numbers")
    table = layers.Embedding(20000, factors)(chosen)
    first = layers.Dense(1)(layers.Concatenate()([layers.Flatten()(layers.Embedding(20000, 1)(chosen)), numbers]))
    squared_sum = ops.square(ops.sum(table, axis=1))
    second = 0.5 * ops.sum(squared_sum - ops.sum(ops.square(table), axis=1), axis=-1, keepdims=True)
    x = layers.Concatenate()([layers.Flatten()(table), numbers])
    for _ in range(depth):
        x = layers.Dropout(0.2)(layers.ReLU()(layers.BatchNormalization()(layers.Dense(width)(x))))
    y = layers.Activation("sigmoid")(layers.Add()([first, second, layers.Dense(1)(x)]))
    return _compiled(keras.Model([chosen, numbers], y), "binary_crossentropy", keras.optimizers.Adagrad(0.01))


def moe(depth: int = 8, width: int = 128) -> keras.Model:
    """A decoder whose feed-forward networks are experts, all of them run."""
    tokens = keras.Input((96,), dtype="int32")
    x = layers.Embedding(1000, width)(tokens)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, width // 4)(y, y, use_causal_mask=True)
        x = x + Experts(4, 2)(layers.LayerNormalization()(x))
    return keras.Model(tokens, layers.Dense(1000)(layers.LayerNormalization()(x)))


def video3d(depth: int = 6) -> keras.Model:
    """Convolutions in space and time; a stage every two layers."""
    clip = keras.Input((16, 56, 56, 3))
    x = layers.Conv3D(24, (3, 5, 5), strides=(1, 2, 2), padding="same", activation="relu")(clip)
    for place in range(depth):
        width = 24 * 2 ** (place // 2)
        if place and place % 2 == 0:
            x = layers.MaxPooling3D()(x)
        x = layers.Conv3D(width, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dense(50, activation="softmax")(layers.Dropout(0.5)(layers.GlobalAveragePooling3D()(x)))
    return _compiled(keras.Model(clip, x), "sparse_categorical_crossentropy", keras.optimizers.SGD(0.01, momentum=0.9))


def bilstm_tagger(depth: int = 5, width: int = 128) -> keras.Model:
    """A tag for each word, of LSTMs both ways and scores of transitions."""
    words = keras.Input((40,), dtype="int32")
    x = layers.SpatialDropout1D(0.2)(layers.Embedding(10000, 100)(words))
    for _ in range(depth):
        x = layers.Bidirectional(layers.LSTM(width, return_sequences=True))(x)
    x = Transitions()(layers.TimeDistributed(layers.Dense(17))(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return _compiled(keras.Model(words, x), loss, "rmsprop")


def mixer(depth: int = 12, width: int = 256) -> keras.Model:
    """Perceptrons across patches and across channels in turn."""
    image = keras.Input((64, 64, 3))
    x = layers.Reshape((64, width))(layers.Conv2D(width, 8, strides=8)(image))
    for _ in range(depth):
        y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        y = layers.Dense(64)(layers.Dense(128, activation="gelu")(y))
        x = layers.Add()([x, layers.Permute((2, 1))(y)])
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(width)(y)])
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def convnext(depth: int = 9) -> keras.Model:
    """Depthwise 7x7 and pointwise convolutions; ``depth`` blocks in the third stage and a third of it in the others."""
    image = keras.Input((96, 96, 3))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(32, 4, strides=4)(image))
    few = max(1, depth // 3)
    for stage, blocks in enumerate((few, few, depth, few)):
        width = 32 * 2**stage
        if stage:
            x = layers.Conv2D(width, 2, strides=2)(layers.LayerNormalization(epsilon=1e-6)(x))
        for _ in range(blocks):
            y = layers.LayerNormalization(epsilon=1e-6)(layers.DepthwiseConv2D(7, padding="same")(x))
            y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(y))
            x = x + Scale()(y)
    x = layers.LayerNormalization()(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(100)(x))


def translator(depth: int = 6, width: int = 192, vocab: int = 4000) -> keras.Model:
    """Layers that read and as many that write and look at what was read."""
    source, target = keras.Input((64,), dtype="int32"), keras.Input((48,), dtype="int32")
    x, y = layers.Embedding(vocab, width)(source), layers.Embedding(vocab, width)(target)
    for _ in range(depth):
        x = _attended(x, 6, rate=0.1)
    for _ in range(depth):
        z = layers.LayerNormalization()(y)
        y = y + layers.MultiHeadAttention(6, width // 6)(z, z, use_causal_mask=True)
        z = layers.LayerNormalization()(y)
        y = y + layers.MultiHeadAttention(6, width // 6)(z, x)
        y = y + layers.Dense(width)(layers.Dense(4 * width, activation="relu")(layers.LayerNormalization()(y)))
    return keras.Model([source, target], layers.Dense(vocab)(y))


def gcn(depth: int = 10, width: int = 192, nodes: int = 256) -> keras.Model:
    """Products with a dense adjacency, for properties of whole graphs."""
    features, edges = keras.Input((nodes, 16), name="features"), keras.Input((nodes, nodes), name="edges")
    edges_ = edges / (ops.sum(ops.abs(edges), axis=-1, keepdims=True) + 1e-6)
    x = layers.Dense(width)(features)
    for _ in range(depth):
        y = layers.ReLU()(layers.Dense(width)(ops.matmul(edges_, x)) + layers.Dense(width)(x))
        x = x + layers.LayerNormalization()(y)
    y = layers.Dense(1)(layers.GlobalMaxPooling1D()(x))
    return _compiled(keras.Model([features, edges], y), "mse", keras.optimizers.AdamW(1e-3))


def vae(depth: int = 4) -> keras.Model:
    """A variational autoencoder of images, a level deeper for each."""
    image = keras.Input((64, 64, 3))
    x = image
    for level in range(depth):
        x = layers.LeakyReLU()(layers.Conv2D(32 * 2**level, 4, strides=2, padding="same")(x))
    shape = x.shape[1:]
    x = layers.Flatten()(x)
    z = Sampled()(layers.Dense(64)(x), layers.Dense(64)(x))
    x = layers.Reshape(shape)(layers.Dense(math.prod(shape))(z))
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(32 * 2**level, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(3, 3, padding="same", activation="sigmoid")(x)
    return _compiled(keras.Model(image, x), "mse")


def crnn(depth: int = 5) -> keras.Model:
    """Convolutions over a spectrogram, then as many GRUs both ways over its time."""
    sound = keras.Input((128, 64, 1))
    x = sound
    for place in range(depth):
        x = _conv(x, 24 + 8 * place)
        x = layers.MaxPooling2D((2, 2) if place == 0 else (1, 2) if place < 4 else (1, 1))(x)
    x = layers.Reshape((64, -1))(x)
    for _ in range(max(1, depth // 2)):
        x = layers.Bidirectional(layers.GRU(96, return_sequences=True))(x)
    return keras.Model(sound, layers.Dense(30, activation="softmax")(x))


def _windows(x: Any, size: int, shift: int, heads: int) -> Any:
    height, width, channels = x.shape[1:]
    y = ops.roll(x, (-shift, -shift), axis=(1, 2)) if shift else x
    y = ops.reshape(y, (-1, height // size, size, width // size, size, channels))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, size * size, channels))
    y = layers.MultiHeadAttention(heads, channels // heads)(y, y)
    y = ops.reshape(y, (-1, height // size, width // size, size, size, channels))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, height, width, channels))
    return ops.roll(y, (shift, shift), axis=(1, 2)) if shift else y


def swin(depth: int = 8, width: int = 48) -> keras.Model:
    """Attention in windows that shift; half way, four patches become one."""
    image = keras.Input((128, 128, 3))
    x = layers.Conv2D(width, 4, strides=4)(image)
    for place in range(depth):
        if place and place == depth // 2:
            x = layers.Conv2D(2 * width, 2, strides=2, use_bias=False)(layers.LayerNormalization()(x))
        x = x + _windows(layers.LayerNormalization()(x), 8, 4 if place % 2 else 0, 3)
        y = layers.Dense(4 * x.shape[-1], activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(x.shape[-1])(y)
    return keras.Model(image, layers.Dense(100)(layers.GlobalAveragePooling2D()(x)))


def nbeats(depth: int = 20, width: int = 384, back: int = 120, ahead: int = 24) -> keras.Model:
    """Blocks that take what they explain out of a series and add to its forecast."""
    series = keras.Input((back,))
    rest, forecast = series, None
    for _ in range(depth):
        x = rest
        for _ in range(4):
            x = layers.Dense(width, activation="relu")(x)
        rest = layers.Subtract()([rest, layers.Dense(back)(x)])
        part = layers.Dense(ahead)(x)
        forecast = part if forecast is None else layers.Add()([forecast, part])
    return _compiled(keras.Model(series, forecast), "mae")


def resnext(depth: int = 6) -> keras.Model:
    """Bottlenecks whose middle convolution is in groups, in three stages."""
    image = keras.Input((64, 64, 3))
    x = _conv(image, 32, 5, 2)
    for stage in range(3):
        inner = 32 * 2**stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            y = _conv(_conv(x, inner, 1), inner, 3, stride, groups=8)
            y = _conv(y, 2 * inner, 1, activation=None)
            if x.shape != y.shape:
                x = _conv(x, 2 * inner, 1, stride, activation=None)
            x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def siamese(depth: int = 8) -> keras.Model:
    """One tower over two images, and how far they are from each other."""
    shape = (48, 48, 3)
    tower_in = keras.Input(shape)
    x = tower_in
    for place in range(depth):
        x = layers.Conv2D(32 + 8 * place, 3, padding="same", activation="relu")(x)
        if place in (1, 3):
            x = layers.MaxPooling2D()(x)
    x = layers.Dense(64)(layers.GlobalAveragePooling2D()(x))
    tower = keras.Model(tower_in, layers.UnitNormalization()(x), name="tower")
    left, right = keras.Input(shape, name="left"), keras.Input(shape, name="right")
    far = ops.abs(tower(left) - tower(right))
    return _compiled(keras.Model([left, right], layers.Dense(1, activation="sigmoid")(far)), "binary_crossentropy")


def wide_mlp(depth: int = 10) -> keras.Model:
    """A sequential model of wide layers with dropout and SELU."""
    stack = [layers.Dense(1536, activation="selu", kernel_initializer="lecun_normal") for _ in range(depth)]
    dropped = [each for layer in stack for each in (layer, layers.AlphaDropout(0.1))]
    model = keras.Sequential([keras.Input((784,)), *dropped, layers.Dense(10, activation="softmax")])
    return _compiled(model, "categorical_crossentropy", keras.optimizers.SGD(0.01))


def _squeezed(x: Any, ratio: int) -> Any:
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(max(4, x.shape[-1] // ratio), 1, activation="silu")(y)
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(y)])


def efficient(depth: int = 7) -> keras.Model:
    """Inverted residuals with squeeze and excitation, wider with each block, at half the resolution every second."""
    image = keras.Input((96, 96, 3))
    x = _conv(image, 16, 3, 2, "silu")
    for place in range(depth):
        outer, stride = 16 + 12 * place, 2 if place in (2, 4) else 1
        for again in range(2):
            y = _conv(x, 6 * x.shape[-1], 1, 1, "silu")
            y = layers.DepthwiseConv2D(5 if place % 2 else 3, stride if not again else 1, "same", use_bias=False)(y)
            y = _squeezed(layers.Activation("silu")(layers.BatchNormalization()(y)), 24)
            y = _conv(y, outer, 1, 1, None)
            x = layers.Add()([x, y]) if x.shape == y.shape else y
    x = layers.GlobalAveragePooling2D()(_conv(x, 256, 1, 1, "silu"))
    return keras.Model(image, layers.Dense(10)(layers.Dropout(0.2)(x)))


def tied_decoder(depth: int = 10, width: int = 192, vocab: int = 8000) -> keras.Model:
    """A decoder whose head is the table of its embedding, large beside its layers."""
    tokens = keras.Input((128,), dtype="int32")
    table = layers.Embedding(vocab, width)
    x = table(tokens)
    for _ in range(depth):
        x = _attended(x, 6, use_causal_mask=True)
    return keras.Model(tokens, Tied(table)(layers.LayerNormalization()(x)))


def tcn(depth: int = 9, width: int = 64) -> keras.Model:
    """Residual pairs of dilated causal convolutions, each twice as far apart."""
    series = keras.Input((768, 12))
    x = series
    for place in range(depth):
        y = x
        for _ in range(2):
            y = layers.Conv1D(width, 3, padding="causal", dilation_rate=2**place, activation="relu")(y)
            y = layers.SpatialDropout1D(0.1)(layers.LayerNormalization()(y))
        x = layers.ReLU()(layers.Add()([layers.Conv1D(width, 1)(x) if x.shape[-1] != width else x, y]))
    return _compiled(keras.Model(series, layers.Dense(1)(x[:, -1])), "huber")


def perceiver(depth: int = 8) -> keras.Model:
    """A few latents that look at many inputs again and again."""
    points = keras.Input((1024, 32))
    x = Latents()(points)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(1, 64)(y, layers.LayerNormalization()(points))
        x = _attended(_attended(x, 4), 4)
    return keras.Model(points, layers.Dense(40)(layers.GlobalAveragePooling1D()(x)))


def capsule(depth: int = 6) -> keras.Model:
    """A convolution, then layers of capsules with routing."""
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(64, 9, activation="relu")(image)
    x = layers.Reshape((-1, 8))(layers.Conv2D(64, 9, strides=2)(x))
    for _ in range(depth):
        x = Routed(64, 8)(x)
    x = Routed(10, 16)(x)
    return keras.Model(image, ops.sqrt(ops.sum(ops.square(x), axis=-1) + 1e-7))


def text_cnn(depth: int = 6) -> keras.Model:
    """Windows of several widths over words, side by side, the longest of each."""
    words = keras.Input((200,), dtype="int32")
    x = layers.Embedding(20000, 128)(words)
    for _ in range(depth):
        wide = [layers.Conv1D(64, window, padding="same", activation="relu")(x) for window in (2, 3, 5, 7)]
        x = layers.Dropout(0.3)(layers.Concatenate()(wide))
    x = layers.GlobalMaxPooling1D()(x)
    return _compiled(keras.Model(words, layers.Dense(1, activation="sigmoid")(x)), "binary_crossentropy")


def siren(depth: int = 12) -> keras.Model:
    """Coordinates to colours, through sines."""
    place = keras.Input((2,))
    x = place
    for _ in range(depth):
        x = Sine(192)(x)
    return _compiled(keras.Model(place, layers.Dense(3)(x)), "mse", keras.optimizers.Adam(1e-4))


def tab_transformer(depth: int = 8, width: int = 32) -> keras.Model:
    """Attention between columns of a table, then a perceptron over them all."""
    columns = [keras.Input((1,), dtype="int32", name=f"column_{n}") for n in range(30)]
    numbers = keras.Input((10,), name="numbers")
    x = layers.Concatenate(axis=1)([layers.Embedding(50 + 10 * n, width)(c) for n, c in enumerate(columns)])
    for _ in range(depth):
        x = _attended(x, 8, rate=0.1)
    x = layers.Concatenate()([layers.Flatten()(x), layers.LayerNormalization()(numbers)])
    x = layers.Dense(128, activation="relu")(layers.Dense(512, activation="relu")(x))
    return _compiled(keras.Model([*columns, numbers], layers.Dense(1, activation="sigmoid")(x)), "binary_crossentropy")


def pyramid(depth: int = 5) -> keras.Model:
    """Branches at three resolutions that exchange what they see, as in HRNet; three outputs."""
    image = keras.Input((64, 64, 3))
    branches = [_conv(image, 16)]
    branches += [_conv(branches[0], 32, 3, 2)]
    branches += [_conv(branches[1], 64, 3, 2)]
    for _ in range(depth):
        high, mid, low = (layers.Add()([b, _conv(_conv(b, b.shape[-1]), b.shape[-1])]) for b in branches)
        up = layers.UpSampling2D(2)(_conv(mid, 16, 1)) + layers.UpSampling2D(4)(_conv(low, 16, 1))
        across = _conv(high, 32, 3, 2) + layers.UpSampling2D(2)(_conv(low, 32, 1))
        down = _conv(_conv(high, 32, 3, 2), 64, 3, 2) + _conv(mid, 64, 3, 2)
        branches = [layers.ReLU()(high + up), layers.ReLU()(mid + across), layers.ReLU()(low + down)]
    return keras.Model(image, [layers.Conv2D(8, 1)(each) for each in branches])


def hyper(depth: int = 8, width: int = 96) -> keras.Model:
    """A net that writes the weights of another, for each sample its own."""
    context, series = keras.Input((32,), name="context"), keras.Input((64, width), name="series")
    told = layers.Dense(64, activation="relu")(context)
    x = series
    for _ in range(depth):
        kernel = layers.Reshape((width, width))(layers.Dense(width * width, kernel_initializer="he_normal")(told))
        x = layers.LayerNormalization()(x + ops.tanh(ops.matmul(x, kernel)))
    return keras.Model([context, series], layers.Dense(8)(x))
