"""A finished run's model is asked what its answers come from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenplan.adapters.corpus.preprocessing import IMAGE, LABELLED, ROWS, TEXT, Preprocessor
from zenplan.adapters.files.regular_file import read_bytes
from zenplan.adapters.files.scratch import scratch
from zenplan.adapters.workers.process import Limits, backend_of, measuring_environment, run_job
from zenplan.commands.train.finished import FinishedRun
from zenplan.domain.measured.explanation import (
    GRADIENTS,
    PERMUTATION,
    Attribution,
    Explanation,
    PartImportance,
    SampleExplanation,
)
from zenplan.errors import DataError, UsageError
from zenplan.worker import protocol

_MOST_BYTES = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked.

    Attributes:
        given: a text, a JSON value, or the path of a file of one; None for samples of the run's own data.
        part: of the data; samples: of it; 0 of ``permutation`` for all of them.
        target: class or token to explain; None for the likeliest.
        steps: of integrated gradients; repeats: of each permutation.
    """

    method: str
    given: str | None = None
    part: str = ""
    samples: int = 4
    target: str | None = None
    steps: int = 64
    repeats: int = 5
    seed: int = 0
    threads: int = 1
    time_s: float = 600.0


def explained(run: FinishedRun, wanted: Wanted, backend: str | None, tell: Callable[[str, float], None]) -> Explanation:
    """What the answers of the run's model come from.

    Args:
        run: that is finished.
        wanted: what is asked.
        backend: to explain on; None for that of the run.
        tell: the stage, and the seconds since the start.

    Raises:
        UsageError: the method does not go with the model or the samples.
        ZenplanError: the model cannot be read, or its worker failed.
    """
    reader = Preprocessor.of(Path(run.job.data))
    name = backend_of(backend or run.backend, {})
    part = _part(wanted, reader)
    job = protocol.Explain(
        what=f"run {run.id}",
        model=run.trained(),
        method=wanted.method,
        part=part,
        count=wanted.samples,
        target=_target(wanted.target, reader),
        steps=wanted.steps,
        repeats=wanted.repeats,
        seed=wanted.seed,
        threads=wanted.threads,
    )
    heard: list[protocol.Event] = []
    with ExitStack() as stack:
        if wanted.given is not None:
            if wanted.method == PERMUTATION:
                raise UsageError(
                    "permutation looks at a whole part of the data, not at one sample", "leave out --input"
                )
            folder = stack.enter_context(scratch())
            job = _with_input(job, wanted.given, reader, run, folder)
        environment = measuring_environment("cpu", wanted.threads, os.environ)
        run_job(job, name, Limits(time_s=wanted.time_s), tell, hear=heard.append, environment=environment)
    names = Names(reader)
    return Explanation(
        run=run.id,
        name=run.result.status.name,
        backend=name,
        method=wanted.method,
        part="" if wanted.given is not None else part,
        steps=wanted.steps if wanted.method == GRADIENTS else 0,
        samples=tuple(names.sample(each) for each in heard if isinstance(each, protocol.Explained)),
        importance=next((names.importance(each) for each in heard if isinstance(each, protocol.Importance)), None),
    )


def _part(wanted: Wanted, reader: Preprocessor) -> str:
    """Of the data, that is looked at; of no moment where samples are given."""
    there = reader.data.get("parts", {})
    part = wanted.part or ("test" if "test" in there else "validation")
    if wanted.given is None and there and part not in there:
        raise UsageError(f"the data of the run have no part '{part}'", f"one of {', '.join(there)}; or --input")
    return part


def _target(text: str | None, reader: Preprocessor) -> int | None:
    """The number of a class that is named, or of a token."""
    if text is None:
        return None
    if text in reader.classes:
        return reader.classes.index(text)
    if reader.what == TEXT and not text.isdigit():
        return reader.tokens(text)[0]
    if not text.isdigit() or len(text) > 9:
        raise UsageError(f"there is no class '{text}'", f"one of {', '.join(reader.classes[:12])}")
    if reader.classes and int(text) >= len(reader.classes):
        raise UsageError(f"the model has {len(reader.classes)} classes, and none is number {text}", "0 is the first")
    return int(text)


def _with_input(
    job: protocol.Explain, given: str, reader: Preprocessor, run: FinishedRun, folder: Path
) -> protocol.Explain:
    """The job for samples of the user's, which are written to a file in the folder."""
    import msgspec

    value = _value(given, reader)
    place = None
    if reader.what == TEXT:
        sample, count = reader.begun(value, _length(run))
        place = count - 1
    else:
        sample = reader.sample(value)
    path = folder / "samples.npz"
    reader.write(path, [sample])
    return msgspec.structs.replace(job, inputs=str(path), place=place)


def _length(run: FinishedRun) -> int:
    """Tokens of a sample."""
    tokens, samples = run.result.tokens, run.result.samples
    if not tokens or not samples:
        raise UsageError(f"run {run.id} does not say how long its texts are", "explain samples of its own data")
    return max(1, tokens // samples)


def _value(given: str, reader: Preprocessor) -> Any:
    """A text as it is, a JSON value, or what the file of that name holds."""
    path = Path(given) if len(given) < 1000 and "\n" not in given else None
    there = path is not None and path.is_file()
    if path is not None and there:
        content = read_bytes(path, f"the sample '{path}'", _MOST_BYTES, "a text, JSON, or an image")
        if reader.what == IMAGE and path.suffix != ".json":
            return content
        try:
            given = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"the sample '{path}' is no text", "a JSON value of its numbers") from error
    if reader.what in (TEXT, LABELLED):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        what = "an object of its columns" if reader.what == ROWS else "its numbers in lists"
        hint = f"a file, or JSON: {what}" if not there else f"JSON: {what}"
        raise DataError(f"the sample is neither a file nor JSON: '{given[:40]}'", hint) from error


@dataclass(frozen=True, slots=True)
class Names:
    """Names of classes, columns and tokens of prepared data."""

    reader: Preprocessor

    def sample(self, found: protocol.Explained) -> SampleExplanation:
        """With names in place of numbers."""
        return SampleExplanation(
            number=found.number,
            target="" if found.target is None else self._class(found.target),
            label="" if found.label is None else self._class(found.label),
            score=found.score,
            baseline_score=found.baseline_score,
            inputs=tuple(self._attribution(name, each) for name, each in found.inputs.items()),
            completeness=found.completeness,
            randomised=found.randomised,
        )

    def importance(self, found: protocol.Importance) -> PartImportance:
        """With names in place of numbers."""
        return PartImportance(
            loss=found.loss,
            samples=found.samples,
            inputs=tuple(
                self._attribution(name, each, found.deviations.get(name, ())) for name, each in found.inputs.items()
            ),
            randomised=found.randomised,
        )

    def _attribution(self, name: str, found: protocol.Attribution, deviations: Sequence[float] = ()) -> Attribution:
        labels = self._labels(name, found)
        return Attribution(
            name=name,
            values=found.values,
            shape=found.shape,
            labels=labels,
            tokens=bool(labels) and self.reader.what in (TEXT, LABELLED),
            given=found.given,
            given_shape=found.given_shape,
            deviations=tuple(deviations),
        )

    def _labels(self, name: str, found: protocol.Attribution) -> tuple[str, ...]:
        reader = self.reader
        if reader.what in (TEXT, LABELLED) and found.given:
            shift = int(reader.data.get("shift", 0))
            return tuple(self._token(int(each), shift) for each in found.given)
        features = tuple(reader.data.get("features", ()))
        if name == "x" and len(features) == len(found.values):
            return features
        return (name,) if len(found.values) == 1 else ()

    def _token(self, number: int, shift: int) -> str:
        # Token 0 of a text with a label stands for nothing.
        if self.reader.what == LABELLED and number == 0:
            return ""
        decode = self.reader.decode
        return str(number - shift) if decode is None else decode([number - shift])

    def _class(self, number: float) -> str:
        classes = self.reader.classes
        if classes and number == int(number) and int(number) < len(classes):
            return classes[int(number)]
        return self._token(int(number), 0) if self.reader.what == TEXT else f"{number:g}"
