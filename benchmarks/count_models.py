"""Models of many kinds, to count: each a function without arguments that builds it. Keras is imported when one is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops


def mlp() -> Any:
    """Dense layers over the last of three dimensions, then over all."""
    return keras.Sequential(
        [
            keras.Input((7, 20)),
            layers.Dense(64, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def application(name: str) -> Callable[[], Any]:
    """One of ``keras.applications``, without weights."""
    return lambda: getattr(keras.applications, name)(weights=None)


def transformer() -> Any:
    """Two blocks of multi-head attention, causal, with grouped queries in the second."""
    tokens = keras.Input((32,), dtype="int32")
    x = layers.Embedding(100, 48)(tokens)
    for attention in (
        layers.MultiHeadAttention(4, 12, dropout=0.1),
        layers.GroupQueryAttention(head_dim=12, num_query_heads=4, num_key_value_heads=2),
    ):
        normed = layers.LayerNormalization()(x)
        x = x + attention(normed, normed, use_causal_mask=True)
        normed = layers.LayerNormalization()(x)
        x = x + layers.Dense(48)(layers.Dense(192, activation="gelu")(normed))
    return keras.Model(tokens, layers.Dense(100)(x))


def lstm_stack() -> Any:
    """Two LSTMs, the second with only its last output; a masked embedding before them."""
    return keras.Sequential(
        [
            keras.Input((20,), dtype="int32"),
            layers.Embedding(50, 24, mask_zero=True),
            layers.LSTM(32, return_sequences=True),
            layers.LSTM(16),
            layers.Dense(3),
        ]
    )


def bidirectional_gru() -> Any:
    """GRUs from both ends, and a dense layer at every step."""
    return keras.Sequential(
        [
            keras.Input((15, 8)),
            layers.Bidirectional(layers.GRU(24, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(5)),
            layers.SimpleRNN(6),
        ]
    )


def stacked_cells() -> Any:
    """A loop over cells."""
    return keras.Sequential([keras.Input((9, 8)), layers.RNN([layers.LSTMCell(12), layers.GRUCell(10)])])


def unet() -> Any:
    """Down and up again, with what was on the way down joined on the way up."""
    image = keras.Input((32, 32, 3))
    down = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D()(down)
    x = layers.Conv2D(32, 3, padding="same", activation="swish")(x)
    x = layers.Conv2DTranspose(16, 2, strides=2)(x)
    x = layers.Concatenate()([x, down])
    x = layers.SeparableConv2D(16, 3, padding="same")(x)
    x = layers.Conv2D(16, 3, padding="same", dilation_rate=2, groups=4)(x)
    x = layers.DepthwiseConv2D(5, padding="same", depth_multiplier=2)(x)
    return keras.Model(image, layers.Conv2D(1, 1)(x))


class Mixing(layers.Layer):  # type: ignore[misc,unused-ignore]
    """Two products of its own, one with a weight, one of two tensors."""

    def build(self, input_shape: Any) -> None:
        """A weight of (width, 2, width)."""
        self.kernel = self.add_weight(shape=(input_shape[-1], 2, input_shape[-1]), name="kernel")

    def call(self, inputs: Any) -> Any:
        """(batch, steps, width) to the same."""
        left, right = ops.unstack(ops.einsum("bsd,dke->kbse", inputs, self.kernel))
        scores = ops.softmax(ops.matmul(left, ops.transpose(right, (0, 2, 1))))
        return ops.matmul(scores, inputs)


class Subclassed(keras.Model):  # type: ignore[misc,unused-ignore]
    """A model with a ``call`` of its own, a custom layer, and a loop over one layer."""

    def __init__(self) -> None:
        """Its layers, one of them custom."""
        super().__init__(name="subclassed")
        self.first, self.mixing, self.last = layers.Dense(24), Mixing(), layers.Dense(24, activation="tanh")

    def call(self, inputs: Any) -> Any:
        """(batch, steps, 12) to (batch, 24)."""
        x = self.mixing(self.first(inputs))
        for _ in range(3):
            x = self.last(x)
        return ops.mean(x, axis=1)


def subclassed() -> Any:
    """Built for sequences of ten."""
    model = Subclassed()
    model(keras.Input((10, 12)))
    return model


def siamese() -> Any:
    """One encoder for two images, nested in the model."""
    encoder = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, padding="same", strides=2),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(12),
        ],
        name="encoder",
    )
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    near = layers.Dot(axes=-1)([encoder(left), encoder(right)])
    return keras.Model([left, right], layers.Dense(1)(near))


def frozen() -> Any:
    """A frozen backbone below a head that is trained."""
    backbone = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, padding="same", strides=2),
            layers.GlobalAveragePooling2D(),
        ]
    )
    backbone.trainable = False
    return keras.Sequential([keras.Input((16, 16, 3)), backbone, layers.Dense(32, activation="relu"), layers.Dense(2)])


def conv_lstm() -> Any:
    """A recurrence over maps, then convolutions of three dimensions."""
    return keras.Sequential(
        [
            keras.Input((4, 12, 12, 2)),
            layers.ConvLSTM2D(5, 3, padding="same", return_sequences=True),
            layers.Conv3D(6, 3, padding="same"),
            layers.Conv3DTranspose(2, 2, strides=2),
            layers.GlobalMaxPooling3D(),
        ]
    )


def attention_layers() -> Any:
    """The plain attention layers, and one of windows folded into the batch."""
    query, value = keras.Input((6, 16)), keras.Input((9, 16))
    x = layers.Attention()([layers.Dense(16)(query), layers.Dense(16)(value)])
    x = layers.AdditiveAttention()([x, layers.Dense(16)(value)])
    windows = ops.reshape(x, (-1, 3, 16))
    x = ops.reshape(layers.MultiHeadAttention(2, 8, value_dim=4, dropout=0.1)(windows, windows), (-1, 6, 16))
    return keras.Model([query, value], layers.EinsumDense("abc,cd->abd", output_shape=(None, 5))(x))


def mixed_precision() -> Any:
    """A convolutional net under a policy of two precisions."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(8, 3, padding="same", dtype="mixed_bfloat16"),
            layers.Dense(6, dtype="mixed_bfloat16"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


MODELS: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        mlp,
        transformer,
        lstm_stack,
        bidirectional_gru,
        stacked_cells,
        unet,
        subclassed,
        siamese,
        frozen,
        conv_lstm,
        attention_layers,
        mixed_precision,
    )
}
MODELS |= {name: application(name) for name in ("ResNet50", "EfficientNetB0", "ConvNeXtTiny")}
