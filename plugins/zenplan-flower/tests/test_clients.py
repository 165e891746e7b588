"""The worker's side of a federation, asked as Flower's processes ask it, with the average made here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "src"
BACKEND = next((b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)), "")
needs_keras = pytest.mark.skipif(not (BACKEND and find_spec("safetensors")), reason="no Keras here")

# Rounds of it in a process of its own: Keras takes its backend once.
ROUNDS = """
import json, sys
import msgspec, numpy as np
from zenplan.worker.protocol import Events, Train
from zenplan.worker.training.prepared import Prepared
from zenplan_flower import wire
from zenplan_flower.clients import Clients
from zenplan_flower.federation import Federation

class Heard(Events):
    said = []
    def send(self, event):
        self.said.append(event)

job = msgspec.json.decode(sys.argv[1], type=Train)
data, events = Prepared.read(job.data), Heard(-1)
clients = Clients.of(job, data, events)
run = Federation(job=job, clients=clients, events=events, weights=clients.weights())
began = run.answer(wire.Call(what=wire.BEGIN))
arrays = wire.unpacked(began.arrays)
for number in range(1, job.steps + 1):
    came = {}
    for client in range(int(began.numbers["clients"])):
        call = wire.Call(what=wire.TRAIN, client=client, round=number, arrays=wire.packed(arrays))
        answer = run.answer(call)
        if not answer.dropped:
            came[client] = (answer.numbers["num-examples"], wire.unpacked(answer.arrays))
    good = {c: each for c, each in came.items() if all(np.isfinite(a).all() for a in each[1])}
    left = [c for c in came if c not in good]
    run.answer(wire.Call(what=wire.AVERAGED, round=number, averaged=list(good), left_out=left))
    if good:
        weights = [weight for weight, _ in good.values()]
        parts = zip(*(each for _, each in good.values()))
        arrays = [np.average(np.stack(part), axis=0, weights=weights).astype(part[0].dtype) for part in parts]
    run.answer(wire.Call(what=wire.EVALUATE, round=number, arrays=wire.packed(arrays)))
run.answer(wire.Call(what=wire.DONE))
assert run.over
split = clients.described(data.card.classes)
print(json.dumps({"split": msgspec.to_builtins(split), "said": [msgspec.to_builtins(e) for e in events.said]}))
"""


def rounds(data: str, **federated: Any) -> dict[str, Any]:
    job = {
        "job": "train",
        "what": "softmax-regression",
        "folder": "",
        "data": data,
        "model": {"kind": "kind", "name": "softmax-regression"},
        "loss": "classes",
        "optimizer": {"name": "sgd", "learning_rate": 0.5},
        "threads": 1,
        "steps": 4,
        "batch": 16,
        "micro_batch": 16,
        "seed": 1,
        "federated": {"clients": 3, "local_epochs": 2, **federated},
    }
    path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "KERAS_BACKEND": BACKEND, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS, json.dumps(job)], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def of(found: dict[str, Any], event: str) -> list[dict[str, Any]]:
    return [each for each in found["said"] if each["event"] == event]


@needs_keras
@pytest.mark.slow
def test_the_average_learns_and_each_round_is_told(rows: Callable[..., str]) -> None:
    found = rounds(rows())
    assert found["split"]["samples"] == [100, 100, 100]
    assert found["split"]["steps"] == [12, 12, 12]
    assert found["split"]["bytes"] >= 4 * (4 * 2 + 2)
    told = of(found, "round")
    assert [(each["number"], each["averaged"]) for each in told] == [(n, [0, 1, 2]) for n in (1, 2, 3, 4)]
    losses = [each["losses"][0] for each in of(found, "step")]
    assert losses == sorted(losses, reverse=True)
    assert of(found, "metric")[-1]["values"]["accuracy"] > 0.9


@needs_keras
@pytest.mark.slow
def test_who_sends_what_is_no_number_is_left_out_and_the_others_learn(rows: Callable[..., str]) -> None:
    # One sample of which the numbers are none: one client has it.
    found = rounds(rows(broken=1), alpha=1.0, dropout=0.3)
    assert sum(found["split"]["samples"]) == 300
    assert sum(map(sum, found["split"]["classes"])) == 300
    told = of(found, "round")
    left = {number for each in told for number in each["left_out"]}
    assert len(left) == 1
    assert any(each["dropped"] for each in told)
    for each in told:
        assert sorted([*each["averaged"], *each["dropped"], *each["left_out"]]) == [0, 1, 2]
    assert of(found, "metric")[-1]["values"]["accuracy"] > 0.8
