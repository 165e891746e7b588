"""A server of that model, as a process: signals are sent to it. Its first line is its port."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from zenplan.adapters.corpus.bpe import Encoder
from zenplan.adapters.corpus.preprocessing import NUMBERS, TEXT, Preprocessor
from zenplan.adapters.serving.app import Gate, app_of
from zenplan.adapters.serving.batching import Batcher
from zenplan.adapters.serving.connections import listening
from zenplan.adapters.serving.drift import Monitor
from zenplan.adapters.serving.metrics import Metrics
from zenplan.adapters.serving.schema import Bounds
from zenplan.adapters.serving.server import Told, serve
from zenplan.adapters.serving.service import Service
from zenplan.adapters.serving.worker import ModelWorker
from zenplan.errors import ZenplanError
from zenplan.worker.protocol import Optimizer, Serve, Target, Train, Trained

FOLDER = Path(sys.argv[1])
WISHES = json.loads(sys.argv[2])


def reader() -> Preprocessor:
    if os.environ.get("FAKE_WRITES"):
        encoder = Encoder(lambda texts: [np.frombuffer(t.encode(), np.uint8) for t in texts], 256, None, False)
        return Preprocessor(folder=FOLDER, data={"kind": "tokens"}, what=TEXT, shapes={}, kinds={}, encoder=encoder)
    np.save(FOLDER / "x.npy", np.zeros((16, 4), np.float32))
    data = {"inputs": ["x"], "classes": 2, "class_names": ["no", "yes"], "parts": {"train": {"files": {"x": "x.npy"}}}}
    return Preprocessor(folder=FOLDER, data=data, what=NUMBERS, shapes={"x": (4,)}, kinds={"x": "float32"})


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    made, bound = reader(), listening("127.0.0.1", 0)
    train = Train(
        what="",
        folder="",
        data="",
        model=Target(target="a:b"),
        optimizer=Optimizer(learning_rate=1.0),
        threads=1,
        steps=1,
        batch=1,
        micro_batch=1,
    )
    worker = ModelWorker(
        job=Serve(what="a model", model=Trained(path="", job=train), line=-1),
        backend="torch",
        memory_bytes=WISHES.get("memory_bytes", 400e6),
        time_s=WISHES.get("time_s", 20.0),
        tell=say,
        command=(sys.executable, str(Path(__file__).with_name("fake_model.py"))),
    )
    batcher = Batcher(
        worker=worker,
        batch=4,
        wait_s=0.002,
        most_waiting=WISHES.get("queue", 64),
        seen=lambda inputs, output, wall_s: None,
    )
    service = Service(
        name="a model",
        reader=made,
        decode=(lambda tokens: bytes(tokens).decode("utf-8", "replace")) if made.encoder else None,
        worker=worker,
        batcher=batcher,
        metrics=Metrics(36.0),
        monitor=Monitor((), 100, 0.2),
        bounds=Bounds(samples=64, tokens=2000),
        time_s=WISHES.get("time_s", 20.0),
        most_texts=2,
        example={},
    )
    batcher.seen = service.saw
    gate = Gate(body_bytes=20_000, body_s=0.5, token=WISHES.get("token", ""))
    told = Told(ready=lambda: say(str(bound.getsockname()[1])), line=say, status=lambda: say("status"), every_s=0.0)
    tls = tuple(WISHES["tls"]) if "tls" in WISHES else None
    try:
        cut = serve(app_of(service, gate, say), service, bound, WISHES.get("drain_s", 10.0), told, tls)
    except ZenplanError as error:
        sys.exit(error.message)
    say(f"cut {cut}")


if __name__ == "__main__":
    main()
