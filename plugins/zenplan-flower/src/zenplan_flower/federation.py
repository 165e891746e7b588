"""A whole federated run: Flower's processes ask, the model answers, and the parent hears of each round."""

from __future__ import annotations

import socket
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from zenplan import ZenplanError
from zenplan.worker.measuring.memory import Memory, peak_over
from zenplan.worker.protocol import Ended, Events, Metric, Moved, Ready, Round, Steps, Train
from zenplan.worker.training.prepared import TEST, TRAIN, VALIDATION, Array, Prepared
from zenplan.worker.training.wishes import Wishes

from zenplan_flower import wire
from zenplan_flower.calls import served
from zenplan_flower.clients import Clients
from zenplan_flower.splits import drops_out

_LOOK_S = 0.2


@dataclass(slots=True, kw_only=True)
class Federation:
    """A run that goes on.

    Attributes:
        weights: the newest average.
        round: of it.
        losses, dropped, averaged, left_out: of the round that goes on, by client.
        client_s: that clients trained in it. mark: when it began, by the monotonic clock.
        loss: of the last round that had one.
        diverged_at: round whose average was no number; 0 while there was none.
        over: whether the server has said so.
    """

    job: Train
    clients: Clients
    events: Events
    weights: list[Array]
    round: int = 0
    losses: dict[int, float] = field(default_factory=dict)
    dropped: list[int] = field(default_factory=list)
    averaged: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    client_s: float = 0.0
    mark: float = field(default_factory=time.monotonic)
    mark_cpu: float = field(default_factory=time.process_time)
    loss: float = 0.0
    diverged_at: int = 0
    over: bool = False

    def answer(self, call: wire.Call) -> wire.Answer:
        """What one of Flower's processes asks."""
        if call.what == wire.BEGIN:
            wanted = self.clients.wanted
            numbers = {"clients": wanted.clients, "rounds": self.job.steps, "clip": wanted.clip, "noise": wanted.noise}
            self._begin_round()
            return wire.Answer(arrays=wire.packed(self.weights), numbers=numbers)
        if call.what == wire.TRAIN:
            return self._train(call)
        if call.what == wire.AVERAGED:
            self.averaged, self.left_out = tuple(call.averaged), tuple(call.left_out)
        elif call.what == wire.EVALUATE and call.round:
            self._round_is_over(call.round, wire.unpacked(call.arrays))
        elif call.what == wire.DONE:
            self.over = True
        return wire.Answer()

    def _train(self, call: wire.Call) -> wire.Answer:
        wanted, client = self.clients.wanted, call.client
        if drops_out(self.job.seed, client, call.round, wanted.dropout):
            self.dropped.append(client)
            return wire.Answer(dropped=True)
        start = time.monotonic()
        arrays, loss = self.clients.train(client, call.round, wire.unpacked(call.arrays))
        self.client_s += time.monotonic() - start
        self.losses[client] = loss
        # Of differential privacy each client weighs the same: what one adds is bounded so.
        weight = 1 if wanted.clip else len(self.clients.rows[client])
        return wire.Answer(arrays=wire.packed(arrays), numbers={"num-examples": weight})

    def _round_is_over(self, number: int, weights: list[Array]) -> None:
        wall_s, cpu_s = time.monotonic() - self.mark, time.process_time() - self.mark_cpu
        self.weights, self.round = weights, number
        known = {
            client: self.losses[client] for client in self.averaged if np.isfinite(self.losses.get(client, np.nan))
        }
        if known:
            rows = [len(self.clients.rows[client]) for client in known]
            self.loss = float(np.average(list(known.values()), weights=rows))
        self.events.send(
            Steps(first=number, losses=(self.loss,), wall_s=(wall_s,), wait_s=(0.0,), cpu_s=cpu_s, learning_rate=None)
        )
        self.events.send(
            Round(
                number=number,
                averaged=self.averaged,
                dropped=tuple(sorted(self.dropped)),
                left_out=self.left_out,
                wall_s=wall_s,
                client_s=self.client_s,
            )
        )
        most = self.job.evaluate_batches * self.job.micro_batch
        if not self.evaluate(VALIDATION, most):
            self.diverged_at = number
        self._begin_round()

    def evaluate(self, part: str, most: int = 0) -> bool:
        """Tell how good the average is; False where it is no number."""
        start = time.monotonic()
        found = self.clients.evaluate(part, self.weights, most)
        if found:
            self.events.send(Metric(step=self.round, part=part, values=found, wall_s=time.monotonic() - start))
        return found is None or bool(found)

    def _begin_round(self) -> None:
        self.losses, self.dropped, self.client_s = {}, [], 0.0
        self.mark, self.mark_cpu = time.monotonic(), time.process_time()


def federate(job: Train, data: Prepared, memory: Memory, wishes: Wishes, events: Events) -> None:
    """Train among clients, from the job to ``Ended``.

    Raises:
        ZenplanError: the model cannot be built, the data not be split, or Flower does not run.
    """
    from zenplan_flower.network import network

    start, before, forgotten = time.monotonic(), memory.level(), memory.forget_peak()
    clients = Clients.of(job, data, events)
    events.send(clients.trainee.machine)
    run = Federation(job=job, clients=clients, events=events, weights=clients.weights())
    with tempfile.TemporaryDirectory(prefix="zenplan-") as name, socket.socket(socket.AF_UNIX) as listener:
        path = Path(name) / "worker"
        listener.bind(str(path))
        listener.listen(len(clients.rows) + 2)
        listener.settimeout(_LOOK_S)
        events.begin("compile")
        with network(Path(name), len(clients.rows), path, wishes.look) as flower:
            if not wishes.look():
                flower.begin()
            parameters, trainable = clients.trainee.count()
            events.send(
                Ready(
                    parameters=parameters,
                    trainable=trainable,
                    setup_s=time.monotonic() - start,
                    micro_batch=job.micro_batch,
                    samples=clients.samples[TRAIN].count,
                    tokens_per_sample=clients.samples[TRAIN].length or None,
                )
            )
            events.send(clients.described(data.card.classes))
            events.begin("train")
            wishes.begin()
            reason = served(run, listener, flower.check, wishes.look)
            if run.round:
                up, down = flower.moved()
                how = "SuperLink and SuperNodes over TLS on loopback"
                events.send(Moved(up_bytes=up, down_bytes=down, engine=f"Flower {version('flwr')}", how=how))
    peak = peak_over(before, memory.level(), forgotten)
    events.send(_ended(run, reason, peak, before.how if before and peak else ""))


def _ended(run: Federation, reason: str, peak: float | None, how: str) -> Ended:
    model = ""
    if reason == "finished":
        run.evaluate(TEST)
        run.clients.settle(run.weights)
        folder = Path(run.job.folder) / "model"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            model = str(run.clients.trainee.save(folder))
        except OSError as error:
            raise ZenplanError(
                f"the trained model cannot be written: {error.strerror or error}", "make room"
            ) from error
    return Ended(
        reason=reason,
        step=run.round,
        diverged_at=run.diverged_at or None,
        peak_bytes=peak,
        how=how,
        model=model,
    )
