"""What the answers of a trained model come from, with what shows whether that can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from zenplan.domain.measured.explanation import GRADIENTS, METHODS, OCCLUSION, PERMUTATION
from zenplan.errors import InputFileError, UnknownName, UsageError
from zenplan.worker.protocol import Attribution, Done, Events, Explain, Explained, Importance
from zenplan.worker.trained.gradients import integrated
from zenplan.worker.trained.opened import Opened, opened
from zenplan.worker.trained.places import Places, places_of, rank_correlation
from zenplan.worker.trained.real_inputs import RealInputs, real_inputs
from zenplan.worker.training.prepared import TOKENS, TRAIN, Array, Samples, as_called

# Samples that a baseline is the mean of; rows of a call.
_OF_MEAN, _ROWS = 1000, 64
Sample = Mapping[str, Array]


def explain(job: Explain, events: Events) -> None:
    """Do the job.

    Raises:
        UsageError: the method does not go with the model, or there are no such data.
    """
    if job.method not in METHODS:
        raise UnknownName("method", job.method, METHODS)
    model = opened(job.model, events)
    events.begin("explain")
    explainer = Explainer(job, model)
    if job.method == PERMUTATION:
        events.send(explainer.importance())
    else:
        for number, sample, label in explainer.samples():
            events.send(explainer.explained(number, sample, label))
    events.send(Done())


class Explainer:
    """A trained model, and samples that its answers are explained of."""

    def __init__(self, job: Explain, model: Opened) -> None:
        """Of a job."""
        self.job, self.opened, self.model = job, model, model.model
        self.base = _baseline(model)

    @property
    def part(self) -> Samples:
        """Of the prepared data, the one that the job names."""
        return _part(self.opened, self.job.part)

    def samples(self) -> Iterator[tuple[int, Sample, float | None]]:
        """Each with its number, and its label where one is known."""
        if self.job.inputs:
            try:
                with np.load(self.job.inputs, allow_pickle=False) as file:
                    arrays = {name: file[name] for name in file.files}
            except (OSError, ValueError, EOFError) as error:
                raise InputFileError(f"the samples {self.job.inputs} cannot be read: {error}") from error
            for number in range(len(next(iter(arrays.values())))):
                yield number, {name: array[number] for name, array in arrays.items()}, None
            return
        for number in _spread(self.part, self.job.count).tolist():
            x, y = self.part.batch(np.array([number]))
            yield number, _sample(_named(x, self.base)), float(y[0]) if y.ndim == 1 else None

    def explained(self, number: int, sample: Sample, label: float | None) -> Explained:
        """What the answer for that sample comes from."""
        place, target = self._target(sample)
        found, ends = self._attributions(sample, place, target)
        with _shuffled(self.model, self.job.seed):
            shuffled, _ = self._attributions(sample, place, target)
        total = sum(float(each.sum()) for each in found.values())
        gap = ends[1] - ends[0]
        return Explained(
            number=number,
            target=target if self.model.output_shape[-1] > 1 else None,
            label=label,
            score=ends[1],
            baseline_score=ends[0],
            inputs={name: self._told(name, found[name], sample[name]) for name in found},
            completeness=abs(total - gap) / max(abs(gap), 1e-12) if self.job.method == GRADIENTS else None,
            randomised=rank_correlation(
                *(np.abs(np.concatenate([e.ravel() for e in each.values()])) for each in (found, shuffled))
            ),
        )

    def importance(self) -> Importance:
        """Of each place of the inputs, over the whole part."""
        samples = self.part
        if samples.length:
            raise UsageError("tokens of one text are not shuffled among others", "--method gradients, or occlusion")
        chosen = _spread(samples, self.job.count)
        x, y = samples.batch(chosen)
        arrays = _named(x, self.base)
        base = self._loss(arrays, y)
        means, deviations = self._shuffled_losses(arrays, y, base, self.job.repeats)
        with _shuffled(self.model, self.job.seed):
            other, _ = self._shuffled_losses(arrays, y, self._loss(arrays, y), 1)
        return Importance(
            loss=base,
            samples=len(y),
            inputs={
                name: Attribution(values=tuple(each.tolist()), shape=self._places(name).shape)
                for name, each in means.items()
            },
            deviations={name: tuple(each.tolist()) for name, each in deviations.items()},
            randomised=rank_correlation(_flat(means), _flat(other)),
        )

    # --- what a sample is explained by

    def _attributions(
        self, sample: Sample, place: int | None, target: int
    ) -> tuple[dict[str, Array], tuple[float, float]]:
        """By input and place what each adds, and the scores of the baseline and of the sample."""
        if self.job.method == OCCLUSION:
            return self._occluded(sample, place, target)
        real = real_inputs(self.model, sample)
        base = {name: self._real(real, name, each) for name, each in self.base.items()}
        if any(name in real.tables for name in base):
            # No token is the middle of others: the baseline of a table's rows is nothing.
            base |= {name: np.zeros_like(base[name]) for name in real.tables}
        end = {name: self._real(real, name, each) for name, each in sample.items()}

        def scores(given: Mapping[str, Any]) -> Any:
            return _of_target(real.returned(given, sample), place, target)

        found = integrated(scores, base, end, max(1, self.job.steps))
        ends = keras.ops.convert_to_numpy(scores({n: np.stack([base[n], end[n]]).astype(np.float32) for n in end}))
        # What a table's row or a pixel's channels add is that of the token, or the pixel.
        summed = {
            name: each.sum(axis=-1) if name in real.tables or self._image(name) else each
            for name, each in found.items()
        }
        return summed, (float(ends[0]), float(ends[1]))

    def _occluded(self, sample: Sample, place: int | None, target: int) -> tuple[dict[str, Array], tuple[float, float]]:
        """How much lower the score is where one place is the baseline's."""
        own, base = (self._scores(_rows(each), place, target)[0] for each in (sample, self.base))
        found = {}
        for name in sample:
            places = self._places(name)
            scores = []
            for first in range(0, places.count, _ROWS):
                some = range(first, min(first + _ROWS, places.count))
                rows = {n: np.repeat(each[None], len(some), axis=0) for n, each in sample.items()}
                for row, number in zip(rows[name], some, strict=True):
                    at = places.at(number)
                    row[at] = self.base[name][at]
                scores.append(self._scores(rows, place, target))
            found[name] = (own - np.concatenate(scores)).reshape(places.shape)
        return found, (float(base), float(own))

    def _scores(self, rows: Sample, place: int | None, target: int) -> Array:
        return np.asarray(keras.ops.convert_to_numpy(_of_target(self._called(rows), place, target)))

    def _called(self, rows: Sample) -> Any:
        return self.model(as_called(rows), training=False)

    def _target(self, sample: Sample) -> tuple[int | None, int]:
        """The position whose answer is explained, None where there is one, and the class or token."""
        found = np.asarray(keras.ops.convert_to_numpy(self._called(_rows(sample))))[0]
        place = None
        if found.ndim == 2:
            place = len(found) - 1 if self.job.place is None else min(self.job.place, len(found) - 1)
            found = found[place]
        classes = found.shape[-1]
        target = self.job.target
        if target is not None and target >= classes:
            raise UsageError(f"the model has {classes} classes, and none is number {target}", "0 is the first")
        return place, int(found.argmax()) if target is None else target

    def _real(self, real: RealInputs, name: str, values: Array) -> Array:
        return real.looked_up(name, values) if name in real.tables else np.asarray(values, np.float32)

    def _told(self, name: str, values: Array, given: Array) -> Attribution:
        return Attribution(
            values=tuple(values.ravel().tolist()),
            shape=values.shape or (1,),
            given=tuple(np.asarray(given, np.float64).ravel().tolist()),
            given_shape=np.shape(given) or (1,),
        )

    # --- what a whole part is explained by

    def _shuffled_losses(
        self, arrays: dict[str, Array], y: Array, base: float, repeats: int
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Of each place, the loss over ``base`` when it is shuffled among samples: its mean and deviation."""
        random = np.random.default_rng(self.job.seed)
        means, deviations = {}, {}
        for name, array in arrays.items():
            places, found = self._places(name), []
            for number in range(places.count):
                at, own = places.at(number), []
                for _ in range(max(1, repeats)):
                    other = array.copy()
                    other[:, at] = array[random.permutation(len(array))][:, at]
                    own.append(self._loss({**arrays, name: other}, y) - base)
                found.append(own)
            means[name], deviations[name] = np.mean(found, axis=1), np.std(found, axis=1)
        return means, deviations

    def _loss(self, arrays: Sample, y: Array) -> float:
        total = 0.0
        for first in range(0, len(y), _ROWS):
            rows = {name: array[first : first + _ROWS] for name, array in arrays.items()}
            some = y[first : first + _ROWS]
            each = self.opened.loss.of_samples(some, self._called(rows))
            total += float(np.sum(keras.ops.convert_to_numpy(each)))
        return total / len(y)

    def _places(self, name: str) -> Places:
        return places_of(self.base[name].shape, self._image(name))

    def _image(self, name: str) -> bool:
        base = self.base[name]
        return base.ndim == 3 and base.shape[2] in (1, 3)


def _baseline(model: Opened) -> dict[str, Array]:
    """What stands for nothing: the mean of the training data, of whole numbers that are no pixels 0."""
    samples = _part(model, TRAIN)
    if samples.length:
        return {TOKENS: np.zeros(samples.length, np.int32)}
    chosen = _spread(samples, _OF_MEAN)
    found = {}
    for name, array in samples.x.items():
        pixels = array.dtype == np.uint8
        mean = np.mean(array[chosen], axis=0, dtype=np.float64)
        found[name] = np.zeros_like(array[0]) if array.dtype.kind in "iub" and not pixels else mean.astype(array.dtype)
    return found


def _part(model: Opened, name: str) -> Samples:
    found = model.samples(name)
    if found is None:
        raise UsageError(f"the data of the run have no part '{name}'", "give samples of your own: --input")
    return found


def _flat(found: Sample) -> Array:
    return np.concatenate([each.ravel() for each in found.values()])


def _spread(samples: Samples, most: int) -> Array:
    wanted = min(samples.count, most) if most else samples.count
    return np.arange(wanted) * samples.count // wanted


def _named(x: Any, names: Sample) -> dict[str, Array]:
    return dict(x) if isinstance(x, Mapping) else {next(iter(names)): x}


def _sample(rows: Sample) -> dict[str, Array]:
    return {name: np.asarray(array[0]) for name, array in rows.items()}


def _rows(sample: Sample) -> dict[str, Array]:
    return {name: array[None] for name, array in sample.items()}


def _of_target(returned: Any, place: int | None, target: int) -> Any:
    """One number for each row."""
    found = returned if place is None else returned[:, place]
    return keras.ops.cast(found[:, target], "float32")


@contextmanager
def _shuffled(model: keras.Model, seed: int) -> Iterator[None]:
    """Within it the numbers of each weight stand in another order: a model that has learned nothing."""
    random, kept = np.random.default_rng(seed), model.get_weights()
    try:
        model.set_weights([random.permutation(each.ravel()).reshape(each.shape) for each in kept])
        yield
    finally:
        model.set_weights(kept)
