"""What a request asks of a model, from decoded bodies to answers: the same whatever brought it here."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zenplan.adapters.corpus.preprocessing import IMAGE, TEXT, Preprocessor
from zenplan.adapters.serving.batching import Batcher, Sample
from zenplan.adapters.serving.drift import PREDICTION, Monitor
from zenplan.adapters.serving.metrics import Metrics
from zenplan.adapters.serving.refusal import Refusal, late, overloaded
from zenplan.adapters.serving.schema import Bounds
from zenplan.adapters.serving.worker import Array, ModelWorker
from zenplan.errors import DataError

# What a byte-level tokenizer shows for the first bytes of a letter whose last have not come.
_HALF = "\N{REPLACEMENT CHARACTER}"
_MOST_TEMPERATURE, _MOST_SEED = 10.0, 2**32 - 1
_UNPROCESSABLE = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """A text that is asked for."""

    prompt: str
    max_tokens: int
    temperature: float
    seed: int
    stream: bool


@dataclass(slots=True, kw_only=True)
class Service:
    """A run's model, and all that answers with it.

    Attributes:
        name: of the run, for people.
        decode: of tokens; None where the data have no tokenizer.
        bounds: of a request; time_s: that it has.
        most_texts: that are written or wait, over which more are refused.
        example: a request that is answered.
    """

    name: str
    reader: Preprocessor
    decode: Callable[[Sequence[int]], str] | None
    worker: ModelWorker
    batcher: Batcher
    metrics: Metrics
    monitor: Monitor
    bounds: Bounds
    time_s: float
    most_texts: int
    example: dict[str, Any]

    @property
    def writes(self) -> bool:
        """Whether it is a language model."""
        return self.reader.what == TEXT

    # --- predictions

    async def predict(self, body: Any) -> dict[str, Any]:
        """The answer to a decoded body.

        Raises:
            Refusal: it cannot be answered, and why.
        """
        fields = _fields(body, {"sample", "samples", "top"})
        if ("sample" in fields) == ("samples" in fields):
            raise Refusal(
                _UNPROCESSABLE, "a request has either 'sample' or 'samples'", "GET /schema says what is in it"
            )
        values = fields["samples"] if "samples" in fields else [fields["sample"]]
        if not isinstance(values, list) or not values:
            raise Refusal(_UNPROCESSABLE, "'samples' is no list of samples", "GET /schema says what is in it")
        if len(values) > self.bounds.samples:
            raise Refusal(_UNPROCESSABLE, f"{len(values)} samples are more than {self.bounds.samples}", "ask in parts")
        top = _whole(fields, "top", self.bounds.top, 1, 10**6)
        # Pictures take long to decode: meanwhile others are answered.
        made = await asyncio.to_thread(self._samples, values) if self.reader.what == IMAGE else self._samples(values)
        return await self.predicted(made, top)

    async def predicted(self, samples: Sequence[Sample], top: int) -> dict[str, Any]:
        """The answer for samples that are ready. Raises as ``predict``."""
        try:
            rows = await asyncio.wait_for(self.batcher.predict(samples), self.time_s)
        except TimeoutError as error:
            raise late(self.time_s) from error
        return {"predictions": [self._told(row, top) for row in rows]}

    def image(self, content: bytes) -> Sample:
        """The sample of an image's file. Raises as ``predict``."""
        if self.reader.what != IMAGE:
            raise Refusal(415, "this model takes no images", "GET /schema says what it takes")
        return self._sample(content, "the image")

    def _samples(self, values: Sequence[Any]) -> list[Sample]:
        return [
            self._sample(value, f"sample {i}" if len(values) > 1 else "the sample") for i, value in enumerate(values)
        ]

    def _sample(self, value: Any, what: str) -> Sample:
        try:
            if self.reader.what == IMAGE and isinstance(value, str):
                value = base64.b64decode(value, validate=True)
            return self.reader.sample(value)
        except binascii.Error as error:
            raise Refusal(_UNPROCESSABLE, f"{what}: the image is no base64") from error
        except DataError as error:
            raise Refusal(_UNPROCESSABLE, f"{what}: {error.message}", error.hint) from error

    def _told(self, row: Array, top: int) -> dict[str, Any]:
        flat = row.ravel()
        if not (self.reader.classes or self.reader.data.get("classes")):
            return {"value": float(flat[0]) if flat.size == 1 else row.tolist()}
        order = np.argsort(-flat, kind="stable")[:top].tolist()
        shares = {self._class(place): float(flat[place]) for place in order}
        first = next(iter(shares))
        return {"class": first, "probability": shares[first], "probabilities": shares}

    def _class(self, place: int) -> str:
        names = self.reader.classes
        return names[place] if place < len(names) else str(place)

    # --- texts

    def writing(self, body: Any) -> tuple[Writing, list[int]]:
        """What a decoded body asks to be written, and the tokens of its prompt. Raises as ``predict``."""
        fields = _fields(body, {"prompt", "max_tokens", "temperature", "seed", "stream"})
        if "prompt" not in fields:
            raise Refusal(_UNPROCESSABLE, "a request has a 'prompt'", "GET /schema says what is in it")
        temperature, stream = fields.get("temperature", 0.8), fields.get("stream", False)
        if isinstance(temperature, bool) or not isinstance(temperature, int | float):
            raise Refusal(_UNPROCESSABLE, "'temperature' is no number")
        if not 0 <= temperature <= _MOST_TEMPERATURE:
            raise Refusal(_UNPROCESSABLE, f"'temperature' is from 0 to {_MOST_TEMPERATURE:g}")
        if not isinstance(stream, bool):
            raise Refusal(_UNPROCESSABLE, "'stream' is true or false")
        try:
            tokens = self.reader.tokens(fields["prompt"])
        except DataError as error:
            raise Refusal(_UNPROCESSABLE, f"the prompt: {error.message}", error.hint) from error
        most = self.bounds.tokens
        wanted = Writing(
            prompt=fields["prompt"],
            max_tokens=_whole(fields, "max_tokens", min(64, most), 1, most),
            # So cold that only the likeliest is drawn, and hot enough to be divided by.
            temperature=float(temperature) if temperature > 1e-3 else 0.0,
            seed=_whole(fields, "seed", 0, 0, _MOST_SEED),
            stream=stream,
        )
        if self.worker.writing >= self.most_texts:
            raise overloaded(self.worker.writing)
        return wanted, tokens

    async def pieces(self, wanted: Writing, tokens: Sequence[int]) -> AsyncIterator[tuple[str, dict[str, Any] | None]]:
        """The text in pieces as they are written, whole letters each; with the last one what it came to.

        Raises:
            Refusal: the model is not there, or takes too long for a token.
        """
        written, shown = list[int](), ""
        steps = self.worker.write(tokens, wanted.max_tokens, wanted.temperature, wanted.seed)
        try:
            while True:
                token, last = await asyncio.wait_for(anext(steps), self.time_s)
                self.metrics.token()
                end = token == self.reader.end
                if not end:
                    written.append(token)
                text = self.decode(written) if self.decode is not None else " ".join(map(str, written))
                if last:
                    self.monitor.add({"tokens": np.array([list(tokens)])})
                    yield text[len(shown) :], {"tokens": len(written), "ended": "end" if end else "length"}
                    return
                if not text.endswith(_HALF) and len(text) > len(shown):
                    piece, shown = text[len(shown) :], text
                    yield piece, None
        except TimeoutError as error:
            raise late(self.time_s) from error
        finally:
            await steps.aclose()

    # --- what was seen

    def saw(self, inputs: Mapping[str, Array], output: Array, wall_s: float) -> None:
        """A batch was predicted."""
        self.metrics.batch(len(output), wall_s)
        self.monitor.add({**inputs, PREDICTION: output})


def _fields(body: Any, known: set[str]) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refusal(_UNPROCESSABLE, "the body is no JSON object", "GET /schema says what is in it")
    if unknown := sorted(set(body) - known):
        raise Refusal(_UNPROCESSABLE, f"a request has no '{unknown[0][:60]}'", f"it has {', '.join(sorted(known))}")
    return body


def _whole(fields: Mapping[str, Any], name: str, usual: int, least: int, most: int) -> int:
    value = fields.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(_UNPROCESSABLE, f"'{name}' is a whole number from {least} to {most}")
    return value
