"""What zenplan's training loop costs over a loop by hand, on each backend: ``python benchmarks/training_overhead.py``.

Both drive the same Keras model and the same Keras optimizer on the same data, in turns in one process: so many steps of one,
as many of the other. Keras's own ``fit`` takes its turn too. Speeds are shares of the hand-written loop's, medians over
rounds, by the wall clock and by processor time; on a busy machine the second is the one to read.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Flag
from typing import Any

import msgspec
import numpy as np
import readme

from zenplan.worker.protocol import Events, Kind, Optimizer, Train

BACKENDS = ("jax", "torch", "tensorflow")
VOCABULARY = 1024
# Of a step of some 100 ms, and of some 2 ms, on one core: options of the decoder, batch, steps of a turn.
SIZES: dict[str, tuple[dict[str, int], int, int]] = {
    "long": ({"layers": 2, "width": 256, "heads": 4, "length": 128}, 4, 4),
    "short": ({"layers": 1, "width": 32, "heads": 2, "length": 16}, 2, 100),
}
WAYS = ("by hand", "zenplan", "fit")
BARS = {"long": 0.97, "short": 0.85}


def data_in(folder: Path) -> str:
    """Random tokens, prepared."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 200_000).astype(np.uint16)
    np.save(folder / "train.npy", tokens)
    card = {
        "schema": "zenplan.prepared/1",
        "kind": "tokens",
        "fingerprint": "0",
        "vocabulary": VOCABULARY,
        "parts": {"train": {"tokens": len(tokens), "files": {"tokens": "train.npy"}}},
    }
    (folder / "data.json").write_text(json.dumps(card), encoding="utf-8")
    return str(folder)


def job_of(folder: str, data: str, size: str) -> Train:
    """The job that zenplan's loop is given."""
    options, batch, _ = SIZES[size]
    return Train(
        what="decoder",
        folder=folder,
        data=data,
        model=Kind(name="decoder", options=options),
        optimizer=Optimizer(name="adamw", learning_rate=1e-4),
        threads=1,
        steps=10**9,
        batch=batch,
        micro_batch=batch,
    )


def zenplan_loop(job: Train) -> tuple[Any, Callable[[int], None]]:
    """The model, and a way to make steps of it."""
    import keras

    from zenplan.worker.measuring.memory import Memory
    from zenplan.worker.training.checkpoints import Checkpoints
    from zenplan.worker.training.keras_trainee import keras_trainee
    from zenplan.worker.training.prepared import Prepared
    from zenplan.worker.training.run import Run
    from zenplan.worker.training.wishes import Wishes

    checkpoints = Checkpoints(folder=Path(job.folder) / "checkpoints", keep=1)
    checkpoints.open()
    events = Events(os.open(os.devnull, os.O_WRONLY))
    data, memory = Prepared.read(job.data), Memory(keras.config.backend(), job.device)
    trainee = keras_trainee(job, data, events)
    run = Run.begun(job, data, lambda *_: trainee, memory, checkpoints, Wishes(SimpleQueue(), Flag()), events)
    loop = run.loop

    def steps(count: int) -> None:
        loop.job = msgspec.structs.replace(job, steps=loop.step + count)
        loop.train()

    return trainee.parts.model, steps


def own_batch(job: Train, length: int) -> Callable[[], tuple[Any, Any]]:
    """Random batches, as people write them (nanoGPT)."""
    tokens = np.load(Path(job.data) / "train.npy", mmap_mode="r")
    random = np.random.default_rng(1)

    def batch() -> tuple[Any, Any]:
        starts = random.integers(0, len(tokens) - length - 1, job.batch)
        x = np.stack([tokens[i : i + length].astype(np.int32) for i in starts])
        y = np.stack([tokens[i + 1 : i + 1 + length].astype(np.int32) for i in starts])
        return x, y

    return batch


def loop_by_hand(job: Train, model: Any, length: int) -> Callable[[int], None]:
    """A loop as its backend's users write it, over the same kind of model and optimizer."""
    import keras

    optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.0)
    optimizer.build(model.trainable_variables)
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    batch = own_batch(job, length)
    made = {"jax": _by_hand_jax, "torch": _by_hand_torch, "tensorflow": _by_hand_tensorflow}
    return made[keras.config.backend()](model, optimizer, entropy, batch)


def _by_hand_jax(model: Any, optimizer: Any, entropy: Any, batch: Any) -> Callable[[int], None]:
    import jax

    def loss_of(trained: Any, others: Any, x: Any, y: Any) -> Any:
        predicted, others = model.stateless_call(trained, others, x, training=True)
        return entropy(y, predicted), others

    def step(trained: Any, others: Any, moments: Any, x: Any, y: Any) -> Any:
        (loss, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained, others, x, y)
        trained, moments = optimizer.stateless_apply(moments, gradients, trained)
        return loss, trained, others, moments

    fast: Any = jax.jit(step, donate_argnums=(0, 1, 2))
    held = [
        [v.value for v in g] for g in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    ]

    def steps(count: int) -> None:
        nonlocal held
        for _ in range(count):
            loss, *held = fast(*held, *batch())
        float(loss)

    return steps


def _by_hand_torch(model: Any, optimizer: Any, entropy: Any, batch: Any) -> Callable[[int], None]:
    import torch

    variables = model.trainable_variables

    def steps(count: int) -> None:
        for _ in range(count):
            x, y = (torch.from_numpy(each) for each in batch())
            model.zero_grad()
            loss = entropy(y, model(x, training=True))
            loss.backward()
            with torch.no_grad():
                optimizer.apply([v.value.grad for v in variables], variables)
        loss.item()

    return steps


def _by_hand_tensorflow(model: Any, optimizer: Any, entropy: Any, batch: Any) -> Callable[[int], None]:
    import tensorflow as tf

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = entropy(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]), model.trainable_variables)
        return loss

    fast: Any = tf.function(step, jit_compile=True, autograph=False)

    def steps(count: int) -> None:
        for _ in range(count):
            x, y = batch()
            loss = fast(tf.constant(x), tf.constant(y))
        float(loss)

    return steps


def loop_of_fit(job: Train, model: Any, length: int) -> Callable[[int], None]:
    """Keras's own loop, on arrays in memory."""
    import keras

    model.compile(keras.optimizers.AdamW(1e-4, weight_decay=0.0), keras.losses.SparseCategoricalCrossentropy(True))
    batch = own_batch(job, length)

    def steps(count: int) -> None:
        x, y = (np.concatenate(each) for each in zip(*(batch() for _ in range(count)), strict=True))
        model.fit(x, y, batch_size=job.batch, verbose=0)

    return steps


def measured(backend: str, size: str, rounds: int) -> dict[str, Any]:
    """Seconds of a step by way, of each round, wall and processor."""
    from zenplan.worker.measuring.machine import confined, prepare

    confined(1)
    prepare("cpu", 1, "fp32")
    import keras

    with tempfile.TemporaryDirectory() as folder:
        job = job_of(f"{folder}/run", data_in(Path(folder)), size)
        model, ours = zenplan_loop(job)
        length, count = SIZES[size][0]["length"], SIZES[size][2]
        others = [keras.models.clone_model(model) for _ in range(2)]
        ways = dict(
            zip(WAYS, (loop_by_hand(job, others[0], length), ours, loop_of_fit(job, others[1], length)), strict=True)
        )
        for steps in ways.values():
            steps(3)
        found: dict[str, Any] = {way: {"wall": [], "cpu": []} for way in WAYS}
        for number in range(rounds):
            # In turns, and each first as often as the others.
            for way in WAYS[number % 3 :] + WAYS[: number % 3]:
                wall, cpu = time.perf_counter(), time.process_time()
                ways[way](count)
                found[way]["wall"].append((time.perf_counter() - wall) / count)
                found[way]["cpu"].append((time.process_time() - cpu) / count)
    return found


def share(found: dict[str, Any], way: str, clock: str) -> float:
    """Speed as a share of that of the loop by hand: the median over rounds."""
    return statistics.median(
        float(a) / float(b) for a, b in zip(found["by hand"][clock], found[way][clock], strict=True)
    )


def main() -> None:
    """Print a table; each row is a backend at a size, measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", choices=BACKENDS)
    parser.add_argument("--size", action="append", choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--readme", action="store_true", help="also write the table into docs/train.md")
    parser.add_argument("--one", action="store_true", help="measure in this process, and print JSON")
    asked = parser.parse_args()
    backends = asked.backend or [b for b in BACKENDS if find_spec(b)]
    sizes = asked.size or list(SIZES)
    if asked.one:
        print(json.dumps(measured(backends[0], sizes[0], asked.rounds)))
        return
    lines = [
        "| backend | steps | ms by hand | zenplan, wall | zenplan, processor | bar | fit, wall | fit, processor |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines))
    for backend in backends:
        for size in sizes:
            environ = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
            argv = [sys.executable, __file__, "--one", "--backend", backend, "--size", size]
            done = subprocess.run(
                [*argv, "--rounds", str(asked.rounds)], env=environ, capture_output=True, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1])
            by_hand = 1000 * statistics.median(found["by hand"]["wall"])
            ours, fit = ([f"{share(found, way, clock):.1%}" for clock in ("wall", "cpu")] for way in ("zenplan", "fit"))
            cells = [backend, size, f"{by_hand:.1f}", *ours, f"{BARS[size]:.0%}", *fit]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    if asked.readme:
        readme.write("training-overhead", "\n".join(lines))


if __name__ == "__main__":
    main()
