"""Jobs one after another in one process: to start a framework takes longer than each of them.

What a process of its own shows, as how it ends, is tested where workers are started.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from zenplan.documents import encode
from zenplan.worker.protocol import Compress, Event, Explain, Export, Score, Train, decode_event

SCRIPT = """
import sys
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from zenplan.worker.measuring.machine import prepare

prepare("cpu", 1, "fp32")
import keras
from zenplan.worker.measuring.memory import Memory
from zenplan.worker.protocol import Compress, Events, Explain, Export, Train, decode_job
from zenplan.worker.trained.explaining import explain
from zenplan.worker.trained.scoring import score
from zenplan.worker.training.keras_trainee import keras_trainee
from zenplan.worker.training.prepared import Prepared
from zenplan.worker.training.run import train
from zenplan.worker.training.wishes import Wishes

def do(job, events):
    if isinstance(job, Train):
        memory = Memory(keras.config.backend(), "cpu")
        train(job, Prepared.read(job.data), keras_trainee, memory, Wishes(SimpleQueue(), Event()), events)
    elif isinstance(job, Export):
        from zenplan.worker.trained.exporting import export
        export(job, events)
    elif isinstance(job, Compress):
        from zenplan.worker.trained.compressing import compress
        compress(job, events)
    else:
        (explain if isinstance(job, Explain) else score)(job, events)

folder = Path(sys.argv[1])
for number, line in enumerate((folder / "jobs").read_text(encoding="utf-8").splitlines()):
    with (folder / f"events-{number}").open("wb") as file, Events(file.fileno()) as events:
        do(decode_job(line), events)
"""


def together(
    folder: Path, backend: str, jobs: Sequence[Train | Score | Explain | Export | Compress]
) -> list[list[Event]]:
    """What was said of each job, in one process of that backend; builders are looked for in the folder."""
    place = Path(mkdtemp(dir=folder, prefix="jobs-"))
    (place / "jobs").write_text("".join(encode(job) + "\n" for job in jobs), encoding="utf-8")
    environ = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(place),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }
    argv = [sys.executable, "-c", SCRIPT, str(place)]
    done = subprocess.run(argv, env=environ, cwd=folder, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = []
    for number in range(len(jobs)):
        lines = (place / f"events-{number}").read_bytes().splitlines()
        found.append([event for event in map(decode_event, lines) if event is not None])
    return found
