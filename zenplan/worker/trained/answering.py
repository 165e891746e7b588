"""A trained model that answers requests until its parent is gone: batches are predicted, texts are written."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

import keras
import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.measuring.ready import is_softmax
from zenplan.worker.protocol import (
    Continue,
    Done,
    Events,
    Forget,
    Predict,
    Predicted,
    Request,
    Serve,
    Serving,
    Stepped,
    Tensor,
    decode_request,
    framed,
    read_frame,
)
from zenplan.worker.trained.calling import Call, call_of
from zenplan.worker.trained.opened import Opened, opened
from zenplan.worker.training.prepared import TRAIN, Array, as_called
from zenplan.worker.training.writing import chosen


def answer(job: Serve, events: Events) -> None:
    """Do the job.

    Raises:
        InputFileError: the model does not load.
        UsageError: it has no samples to be warmed with.
    """
    begin = time.perf_counter()
    model = opened(job.model, events)
    events.begin("serve")
    with socket.socket(fileno=job.line) as line:
        if model.length:
            writer = Writer(call=_next_token_call(model), length=model.length, batch=job.batch, end=job.end)
            writer.warm()
            events.send(Serving(length=model.length, setup_s=time.perf_counter() - begin))
            _write_all(line, writer)
        else:
            predictor = Predictor(call=call_of(model.model), returned=_returned(model), batch=job.batch)
            outputs = predictor.warm(model)
            events.send(Serving(outputs=outputs, setup_s=time.perf_counter() - begin))
            _predict_all(line, predictor)
    events.send(Done())


def _incoming(line: socket.socket) -> SimpleQueue[Request | None]:
    """Requests as they come, read while the model is at work; None is the end."""
    found: SimpleQueue[Request | None] = SimpleQueue()

    def read() -> None:
        while body := read_frame(line):
            found.put(decode_request(body))
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    return found


def sizes_up_to(batch: int) -> tuple[int, ...]:
    """The numbers of samples that a call may have: powers of two, and the most."""
    return tuple(sorted({*(1 << power for power in range(batch.bit_length()) if 1 << power < batch), batch}))


def padded_size(count: int, batch: int) -> int:
    """What a call with so many samples is padded to. PyTorch compiles nothing here, and is called with those alone."""
    if keras.config.backend() == "torch":
        return count
    return next((size for size in sizes_up_to(batch) if size >= count), count)


# --- predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A model that is called with batches.

    Attributes:
        returned: makes of what the model returns what is answered.
        batch: samples of a call at most.
    """

    call: Call
    returned: Callable[[Array], Array]
    batch: int

    def warm(self, model: Opened) -> int:
        """Call it with each size that will come; how many numbers it returns of a sample."""
        samples = model.samples(TRAIN)
        if samples is None:
            raise UsageError("there are no training data to call the model with first", "prepare them anew")
        outputs = 1
        for size in sizes_up_to(self.batch):
            x, _ = samples.batch(np.zeros(size, np.int64))
            outputs = int(np.prod(self.returned(self.call(x)).shape[1:]))
        return outputs

    def predicted(self, request: Predict) -> Predicted:
        """The answer for a batch."""
        begin = time.perf_counter()
        arrays = {name: _array(each) for name, each in request.inputs.items()}
        count = len(next(iter(arrays.values())))
        short = padded_size(count, self.batch) - count
        if short:
            arrays = {name: np.concatenate([a, np.repeat(a[:1], short, axis=0)]) for name, a in arrays.items()}
        output = np.ascontiguousarray(self.returned(self.call(as_called(arrays)))[:count], np.float32)
        tensor = Tensor(output.dtype.name, output.shape, output.tobytes())
        return Predicted(id=request.id, output=tensor, wall_s=time.perf_counter() - begin)


def _array(tensor: Tensor) -> Array:
    return np.frombuffer(tensor.data, tensor.kind).reshape(tensor.shape)


def _predict_all(line: socket.socket, predictor: Predictor) -> None:
    requests = _incoming(line)
    while (request := requests.get()) is not None:
        if isinstance(request, Predict):
            line.sendall(framed(predictor.predicted(request)))


def _returned(model: Opened) -> Callable[[Array], Array]:
    """Of classes probabilities, whatever the model ends in; numbers as they are."""
    classes = model.data.card.classes
    outputs = getattr(model.model, "outputs", None) or [None]
    if not classes:
        return lambda found: found
    if int(outputs[0].shape[-1] if outputs[0] is not None else classes) == 1:
        layers = getattr(model.model, "layers", None) or [None]
        ends_in = getattr(layers[-1], "activation", None)
        return _two_classes if ends_in is keras.activations.sigmoid else lambda found: _two_classes(_sigmoid(found))
    return (lambda found: found) if outputs[0] is not None and is_softmax(outputs[0]) else softmax


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    found = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Array = found / found.sum(axis=-1, keepdims=True)
    return shares


def _sigmoid(logits: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-logits))
    return found


def _two_classes(second: Array) -> Array:
    flat = second.reshape(len(second), 1)
    return np.concatenate([1 - flat, flat], axis=1)


# --- texts


@dataclass(slots=True)
class Text:
    """One that is being written.

    Attributes:
        tokens: so far; left: that are still to come.
    """

    tokens: list[int]
    left: int
    temperature: float
    random: np.random.Generator


@dataclass(slots=True, kw_only=True)
class Writer:
    """A language model that writes several texts at once, a token of each at a step.

    Attributes:
        call: from rows of tokens, and the place of the last in each, to the logits of what comes next.
        texts: by the number of their requests, in the order in which they came; those over ``batch`` wait.
    """

    call: Callable[[Array, Array], Array]
    length: int
    batch: int
    end: int | None
    texts: dict[int, Text] = field(default_factory=dict)

    def warm(self) -> None:
        """Call it with each size that will come."""
        for size in sizes_up_to(self.batch):
            self.call(np.zeros((size, self.length), np.int32), np.zeros(size, np.int32))

    def take(self, request: Request) -> None:
        """Begin a text, or leave one."""
        if isinstance(request, Continue):
            random = np.random.default_rng(request.seed)
            self.texts[request.id] = Text(list(request.tokens), request.count, request.temperature, random)
        elif isinstance(request, Forget):
            self.texts.pop(request.id, None)

    def step(self) -> Stepped:
        """One token more of each text, of which there is one at least."""
        begin = time.perf_counter()
        some = list(self.texts.items())[: self.batch]
        size = padded_size(len(some), self.batch)
        rows, last = np.zeros((size, self.length), np.int32), np.zeros(size, np.int32)
        for row, (_, text) in enumerate(some):
            seen = text.tokens[-self.length :]
            rows[row, : len(seen)] = seen
            last[row] = len(seen) - 1
        logits = self.call(rows, last)
        found, ended = dict[int, int](), list[int]()
        for row, (number, text) in enumerate(some):
            token = chosen(logits[row], text.temperature, text.random)
            text.tokens.append(token)
            text.left -= 1
            found[number] = token
            if text.left <= 0 or token == self.end:
                ended.append(number)
                del self.texts[number]
        return Stepped(tokens=found, ended=tuple(ended), wall_s=time.perf_counter() - begin)


def _write_all(line: socket.socket, writer: Writer) -> None:
    requests = _incoming(line)
    while True:
        while not writer.texts or not requests.empty():
            request = requests.get()
            if request is None:
                return
            writer.take(request)
        line.sendall(framed(writer.step()))


def _next_token_call(model: Opened) -> Callable[[Array, Array], Array]:
    """The model, of which what it says of the next token alone is kept: the rest is not copied."""
    tokens = keras.Input((model.length,), dtype="int32")
    place = keras.Input((), dtype="int32")
    found = keras.ops.take_along_axis(model.model(tokens), keras.ops.reshape(place, (-1, 1, 1)), axis=1)[:, 0]
    whole = keras.Model([tokens, place], found)
    outputs = getattr(model.model, "outputs", None) or [None]
    odds = outputs[0] is not None and is_softmax(outputs[0])

    def call(rows: Array, last: Array) -> Array:
        found = np.asarray(whole.predict_on_batch([rows, last]), np.float32)
        return np.log(np.maximum(found, 1e-30)) if odds else found

    return call
