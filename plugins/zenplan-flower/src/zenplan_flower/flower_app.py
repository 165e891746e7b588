"""What runs within Flower: its server's strategy, and its clients. Both ask the worker for all that needs the model.

Flower starts each as a process, and a client's anew for every message; so neither imports Keras.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.app.error import Error
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg, Strategy

from zenplan_flower import wire

server, client = ServerApp(), ClientApp()
# Of the reply of a client that fails: Flower's own codes are below.
_DROPPED = 1000
_TIMEOUT_S = 3600.0


def _ask(call: wire.Call) -> wire.Answer:
    return wire.ask(os.environ[wire.VARIABLE], call)


@client.train()
def _train(message: Message, context: Context) -> Message:
    number, round = int(context.node_config["partition-id"]), int(message.content["config"]["server-round"])
    arrays = wire.packed(message.content["arrays"].to_numpy_ndarrays())
    found = _ask(wire.Call(what=wire.TRAIN, client=number, round=round, arrays=arrays))
    if found.dropped:
        return Message(Error(_DROPPED, f"client {number} dropped out"), reply_to=message)
    metrics = MetricRecord({"client": number, **found.numbers})
    content = {"arrays": ArrayRecord(wire.unpacked(found.arrays)), "metrics": metrics}
    return Message(content=RecordDict(content), reply_to=message)


class _Finite(Strategy):
    """Another strategy, which is given the weights that are numbers alone: one NaN would be in every average."""

    def __init__(self, inner: Any, private: bool) -> None:
        self.inner, self.private = inner, private

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Any:
        return self.inner.configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
        came = [each for each in replies if not each.has_error()]
        good = [each for each in came if _is_finite(each)]
        wrong = [_number(each) for each in came if not any(each is other for other in good)]
        _ask(
            wire.Call(
                what=wire.AVERAGED, round=server_round, averaged=sorted(map(_number, good)), left_out=sorted(wrong)
            )
        )
        if not good:
            return None, None
        if self.private:
            # Its noise is of an average of so many.
            self.inner.num_sampled_clients = len(good)
        return self.inner.aggregate_train(server_round, good)

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Any:
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> None:
        return None

    def summary(self) -> None:
        self.inner.summary()


def _number(reply: Message) -> int:
    return int(reply.content["metrics"]["client"])


def _is_finite(reply: Message) -> bool:
    return all(bool(np.isfinite(each).all()) for each in reply.content["arrays"].to_numpy_ndarrays())


@server.main()
def _main(grid: Grid, context: Context) -> None:
    with wire.being_here(os.environ[wire.VARIABLE]):
        _run(grid)


def _run(grid: Grid) -> None:
    began = _ask(wire.Call(what=wire.BEGIN))
    clients, clip = int(began.numbers["clients"]), began.numbers["clip"]
    # Evaluated is where the validation data are: in the worker, after each round.
    average: Any = FedAvg(fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)
    if clip:
        average = DifferentialPrivacyServerSideFixedClipping(average, began.numbers["noise"], clip, clients)

    def evaluate(round: int, arrays: ArrayRecord) -> None:
        _ask(wire.Call(what=wire.EVALUATE, round=round, arrays=wire.packed(arrays.to_numpy_ndarrays())))

    _Finite(average, bool(clip)).start(
        grid=grid,
        initial_arrays=ArrayRecord(wire.unpacked(began.arrays)),
        num_rounds=int(began.numbers["rounds"]),
        timeout=_TIMEOUT_S,
        evaluate_fn=evaluate,
    )
    _ask(wire.Call(what=wire.DONE))
