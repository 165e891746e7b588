"""A bare training loop under DistributedDataParallel, which ``many.py`` compares zenplan's step with.

    python benchmarks/many_bare.py '["prepared", {"layers": 4}, 64, 50, 250]'

With the variables that torchrun sets. It prints the processor seconds of a step, from the one to the other.
"""

from __future__ import annotations

import json
import os
import sys
import time

import keras
import numpy as np
import torch
from torch import distributed

from zenplan.worker.training.kinds import model_of
from zenplan.worker.training.kinds.facts import Facts
from zenplan.worker.training.prepared import Prepared


def main() -> None:
    """Train, and print it."""
    torch.set_num_threads(1)
    folder, options, whole, first, last = json.loads(sys.argv[1])
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    # Each with a core of its own, as zenplan has them.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, [cores[rank % len(cores)]])
    distributed.init_process_group("gloo")
    data = Prepared.read(folder)
    model = model_of("decoder", options, Facts.of(data))
    samples = data.samples("train", options["length"])
    if samples is None:
        raise SystemExit("there is nothing to train on")
    batch = whole // size
    x, _ = samples.batch(np.arange(batch))
    model(torch.from_numpy(np.array(x)))
    optimizer = keras.optimizers.AdamW(2e-3)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    shared = torch.nn.parallel.DistributedDataParallel(model)
    order = np.random.default_rng(0).permutation(samples.count)
    begin = 0.0
    for step in range(last):
        if step == first:
            begin = time.process_time()
        at = step * whole % (samples.count - whole) + rank * batch
        x, y = samples.batch(order[at : at + batch])
        for variable in model.trainable_variables:
            variable.value.grad = None
        loss = loss_of(torch.from_numpy(np.array(y)), shared(torch.from_numpy(np.array(x)), training=True))
        loss.backward()
        with torch.no_grad():
            gradients = [variable.value.grad for variable in model.trainable_variables]
            factor = torch.clamp(1.0 / torch.nn.utils.get_total_norm(gradients), max=1.0)
            gradients = [each * factor for each in gradients]
            optimizer.apply(gradients, model.trainable_variables)
        loss.item()
    print((time.process_time() - begin) / (last - first))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
