"""A trained language model writes: token after token, each drawn from what the model thinks comes next."""

from __future__ import annotations

import keras
import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.counting.load import trained_model
from zenplan.worker.protocol import Events, Write, Written
from zenplan.worker.training.prepared import Array


def write(job: Write, events: Events) -> None:
    """Do the job, and tell the tokens.

    Raises:
        InputFileError: the model does not load; UsageError: it does not predict tokens.
    """
    events.begin("read")
    model = trained_model(read_keras_config(job.model), job.model, events, "train it anew")
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or not shape[1] or len(model.output_shape) != 3:
        raise UsageError(f"model {model.name} writes no text", "it takes tokens, and predicts the next of each")
    events.begin("write")
    events.send(Written(tokens=tuple(drawn(model, job, int(shape[1])))))


def drawn(model: keras.Model, job: Write, length: int) -> list[int]:
    """The tokens after those that are given."""
    random = np.random.default_rng(job.seed)
    tokens = list(job.tokens)
    for _ in range(job.count):
        seen = tokens[-length:]
        batch = np.zeros((1, length), np.int32)
        batch[0, : len(seen)] = seen
        # What comes after a token has no part in its prediction: the rest of the row may be anything.
        found = keras.ops.convert_to_numpy(model(batch, training=False))[0, len(seen) - 1]
        tokens.append(chosen(found, job.temperature, random))
    return tokens[len(job.tokens) :]


def chosen(logits: Array, temperature: float, random: np.random.Generator) -> int:
    """The next token: drawn, or at temperature 0 the likeliest."""
    if not temperature:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / temperature
    odds = np.exp(scaled - scaled.max())
    return int(random.choice(len(odds), p=odds / odds.sum()))
