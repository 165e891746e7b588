"""The clients of a federation: a model whose weights each of them changes by steps on its own rows.

On one machine they take turns with one model. What they have in common is what the server sends; the optimizer begins anew
in each round, as a client's that may not be there in the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from zenplan import UsageError
from zenplan.worker.protocol import Clients as Split
from zenplan.worker.protocol import Events, Federated, Train
from zenplan.worker.training.evaluation import evaluated
from zenplan.worker.training.keras_trainee import KerasTrainee, keras_trainee
from zenplan.worker.training.order import Order
from zenplan.worker.training.prepared import TRAIN, Array, Prepared, Samples
from zenplan.worker.training.rate import rate_at
from zenplan.worker.training.stepper import halves

from zenplan_flower.splits import split

# Their streams of random numbers are apart, of runs whose seeds are near too.
_APART = 1_000_003


@dataclass(slots=True, kw_only=True)
class Clients:
    """All of them.

    Attributes:
        wanted: of the job.
        rows: numbers of each client's samples.
        orders: in which each takes them.
        state: of model and optimizer before the first step.
        names: of the arrays that are sent: the model's floats, or with adapters those that are trained.
    """

    job: Train
    wanted: Federated
    trainee: KerasTrainee
    samples: dict[str, Samples]
    rows: list[Array]
    orders: list[Order]
    state: dict[str, Array]
    names: list[str]

    @classmethod
    def of(cls, job: Train, data: Prepared, events: Events) -> Clients:
        """The clients of that job. Raises UsageError: the model cannot be built, or the data not be split."""
        wanted = job.federated or Federated(clients=2)
        trainee = keras_trainee(job, data, events)
        every = {part: data.samples(part, trainee.length) for part in data.card.parts}
        samples = {part: found for part, found in every.items() if found is not None and (found.count or part == TRAIN)}
        labels = samples[TRAIN].y if data.card.classes is not None else None
        rows = split(samples[TRAIN].count, wanted.clients, job.seed, wanted.alpha, labels)
        orders = [
            Order(samples=len(each), batch=min(job.batch, len(each)), seed=job.seed * _APART + client)
            for client, each in enumerate(rows)
        ]
        state = {name: np.array(array) for name, array in trainee.stepper.read()}
        trained = trainee.trained
        names = [
            name
            for name, array in state.items()
            if name.startswith("model/") and array.dtype.kind == "f" and (not job.lora_rank or name in trained)
        ]
        if not names:
            raise UsageError("the model has no weights to average", "train it in one place: zenplan train")
        return cls(
            job=job,
            wanted=wanted,
            trainee=trainee,
            samples=samples,
            rows=rows,
            orders=orders,
            state=state,
            names=names,
        )

    def weights(self) -> list[Array]:
        """Those that the run begins with."""
        return [self.state[name] for name in self.names]

    def described(self, classes: int | None) -> Split:
        """How they are split, for the parent."""
        y = self.samples[TRAIN].y
        counts: tuple[tuple[int, ...], ...] = ()
        if classes is not None and y is not None:
            counts = tuple(tuple(np.bincount(y[each], minlength=classes).tolist()) for each in self.rows)
        return Split(
            samples=tuple(map(len, self.rows)),
            classes=counts,
            steps=tuple(self._steps(client) for client in range(len(self.rows))),
            bytes=sum(each.nbytes for each in self.weights()),
        )

    def train(self, client: int, round: int, weights: list[Array]) -> tuple[list[Array], float]:
        """A client's weights after its steps of a round, and the mean loss of these."""
        stepper, steps = self.trainee.stepper, self._steps(client)
        self._put(weights)
        order, rows, train = self.orders[client], self.rows[client], self.samples[TRAIN]
        losses = []
        for step in range((round - 1) * steps, round * steps):
            x, y = train.batch(rows[order.numbers(step)])
            # A client with fewer rows than a batch takes all of them at once.
            parts = halves(x, y, self.job.micro_batch if len(y) == self.job.batch else len(y))
            done = stepper.step(parts, rate_at(self.job.optimizer, step + 1, self.job.steps * steps))
            stepper.wait(done)
            losses.append(done.loss)
        found = dict(stepper.read())
        loss = float(np.mean([float(each) for each in stepper.numbers(losses)]))
        return [np.array(found[name]) for name in self.names], loss

    def evaluate(self, part: str, weights: list[Array], most: int) -> dict[str, float] | None:
        """The figures of a part with these weights; None where there is no such part, or one of them is no number."""
        if part not in self.samples:
            return None
        self._put(weights)
        figures = self.trainee.figures
        found = evaluated(self.trainee.stepper, figures, self.samples[part], self.job.micro_batch, most, lambda: "")
        return found if found is None or all(map(math.isfinite, found.values())) else {}

    def settle(self, weights: list[Array]) -> None:
        """The model has these weights, and can be saved."""
        self._put(weights)
        self.trainee.stepper.settle()

    def _steps(self, client: int) -> int:
        return self.wanted.local_epochs * self.orders[client].steps

    def _put(self, weights: list[Array]) -> None:
        self.trainee.stepper.write({**self.state, **dict(zip(self.names, weights, strict=True))})
