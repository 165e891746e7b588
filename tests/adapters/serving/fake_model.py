"""A worker that has no framework: its model adds up numbers, and does what its last input says."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

import numpy as np

from zenplan.worker.protocol import (
    Continue,
    Events,
    Predict,
    Predicted,
    Serve,
    Serving,
    Stepped,
    Tensor,
    decode_job,
    decode_request,
    framed,
    read_frame,
)

SLEEPS, DIES, GROWS = 1.0, 2.0, 3.0


def main() -> None:
    job = decode_job(sys.stdin.readline())
    assert isinstance(job, Serve)
    events = Events(job.events)
    if os.environ.get("FAKE_DIES_AT_ONCE"):
        sys.exit("no such thing")
    with socket.socket(fileno=job.line) as line:
        writes = bool(os.environ.get("FAKE_WRITES"))
        events.send(Serving(length=8 if writes else 0, outputs=2, setup_s=0.0))
        left = set[int]()
        while body := read_frame(line):
            request = decode_request(body)
            if isinstance(request, Predict):
                line.sendall(framed(predicted(request)))
            elif isinstance(request, Continue):
                threading.Thread(target=written, args=(request, line, left), daemon=True).start()
            else:
                left.add(request.id)


def written(request: Continue, line: socket.socket, left: set[int]) -> None:
    for place in range(request.count):
        if request.id in left:
            return
        last = place == request.count - 1
        # One call: frames of several texts do not mix.
        line.send(framed(Stepped(tokens={request.id: request.tokens[-1]}, ended=(request.id,) * last, wall_s=0.0)))
        time.sleep(0.005)


def predicted(request: Predict) -> Predicted:
    x = np.frombuffer(request.inputs["x"].data, request.inputs["x"].kind).reshape(request.inputs["x"].shape)
    wish = float(x[:, -1].max())
    if wish == SLEEPS:
        time.sleep(1.0)
    elif wish == DIES:
        os._exit(3)
    elif wish == GROWS:
        held = [np.ones(1 << 22) for _ in range(20)]
        time.sleep(5.0)
        del held
    second = x[:, :2].sum(axis=1)
    output = np.stack([1 - second, second], axis=1).astype(np.float32)
    return Predicted(id=request.id, output=Tensor("float32", output.shape, output.tobytes()), wall_s=0.0)


if __name__ == "__main__":
    main()
