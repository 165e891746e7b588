"""Training from Python: a run that is predicted, watched and stopped in time. Arguments are as in ``zenplan.api``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zenplan.arguments import flags
from zenplan.results import SearchedRun, TrainedRun, result

Number = float | str
Names = str | Sequence[str]
File = str | os.PathLike[str]


def train(
    request: File | None = None,
    *,
    data: File | None = None,
    text_column: str | None = None,
    tokenizer: File | None = None,
    label: str | None = None,
    features: Names | None = None,
    ids: Names | None = None,
    vocabulary: Number | None = None,
    epochs: Number | None = None,
    seq_len: Number | None = None,
    image_size: Number | None = None,
    batch: Number | None = None,
    precision: str | None = None,
    optimizer: str | None = None,
    usd_per_hour: Number | None = None,
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
    backend: str | None = None,
    device: str | None = None,
    threads: Number | None = None,
    workers: Number | None = None,
    devices: Number | None = None,
    tensor_parallel: Number | None = None,
    zero: Number | None = None,
    max_restarts: Number | None = None,
    rendezvous_timeout: str | None = None,
    compiled: bool | None = None,
    steps: Number | None = None,
    micro_batch: Number | None = None,
    learning_rate: Number | None = None,
    schedule: str | None = None,
    warmup_steps: Number | None = None,
    final_share: Number | None = None,
    momentum: Number | None = None,
    weight_decay: Number | None = None,
    clip_norm: Number | None = None,
    loss: str | None = None,
    seed: Number | None = None,
    weights: File | None = None,
    lora_rank: Number | None = None,
    quantize: str | None = None,
    evaluate_every: Number | None = None,
    evaluate_batches: Number | None = None,
    checkpoint_every: Number | None = None,
    mtbf: str | None = None,
    until_loss: Number | None = None,
    patience: Number | None = None,
    max_usd: Number | None = None,
    max_hours: Number | None = None,
    usd_per_kwh: Number | None = None,
    power: Number | None = None,
    endpoint: str | int | None = None,
    endpoint_cert: File | None = None,
    endpoint_key: File | None = None,
    tracker: str | None = None,
    resume: File | None = None,
    out: File | None = None,
    autoresume: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> TrainedRun:
    """Train a model, and return what came out beside what was predicted. As ``zenplan train``.

    With ``[search]`` in the file it does several runs, and returns the best as a ``SearchedRun``, which has all ``trials``.

    A run that is stopped by ``max_usd`` or ``max_hours`` is returned as it is then; Ctrl-C ends it with a checkpoint and
    raises KeyboardInterrupt.

    Args:
        request: a TOML file of these arguments, in its tables; those given beside it come first. ``[search]`` in it asks
            for several runs.
        data: a file or a folder; a prepared one is taken as it is.
        text_column, tokenizer, label, features, ids, vocabulary: how data are prepared, as for ``prepare_data``.
        epochs: passes over the data; or ``steps`` of the run.
        seq_len, image_size: sizes of a sample.
        batch: samples of a step.
        precision: fp32, tf32, bf16 or fp16.
        optimizer: adamw, lion, sgd, sgd-momentum or adafactor.
        usd_per_hour: what an hour of this machine costs.
        model: a kind such as "decoder", "package.module:function", or a .keras file.
        options: of the kind of model, or arguments of the function.
        backend: jax, torch, tensorflow, or a plugin's.
        device: cpu or gpu; None for a GPU where there is one.
        threads: of the host; None for all cores.
        workers: processes that train together, each on its share of a batch.
        devices: of this machine that train together.
        tensor_parallel: devices that each matrix is divided over.
        zero: ZeRO stage: 3 divides weights, gradients and optimizer states over the workers, 0 nothing.
        max_restarts: times that workers of which one is lost begin again.
        rendezvous_timeout: after which a worker that has not come is missing, as in "5min".
        compiled: by XLA or torch.compile, or not; None as is usual for the backend.
        steps: of the run, instead of ``epochs``.
        micro_batch: samples that go through the model at once.
        learning_rate, schedule, warmup_steps, final_share: how fast weights are changed.
        momentum, weight_decay, clip_norm: of the optimizer and its gradient.
        loss: next token, classes or numbers.
        seed: of weights, dropout and the order of samples.
        weights: a file of initial weights.
        lora_rank: of adapters, all else frozen.
        quantize: "int8" for what is frozen in eight bits.
        evaluate_every, evaluate_batches: steps between evaluations, and their length.
        checkpoint_every: steps between checkpoints; None for what costs and loses least.
        mtbf: mean time between interruptions, as in "24h".
        until_loss, patience: the run ends once it is good enough, or gets no better.
        max_usd, max_hours: the run ends, with a checkpoint, before it costs more or takes longer.
        usd_per_kwh, power: what the machine's electricity costs, and the watts that it draws.
        endpoint, endpoint_cert, endpoint_key: where ``zenplan watch`` can follow the run, as "127.0.0.1:8090", with the
            certificate and key that others need.
        tracker: what follows the run: tensorboard, mlflow, trackio, wandb or a plugin's; several with commas.
        resume: a run to go on with, by its id or folder.
        out: the run's folder, or the search's; None for one of its own.
        autoresume: go on with the run at ``out``, where one was begun there.
        progress: called with the share that is done, 0 to 1, and a line.

    Raises:
        UsageError: an argument is wrong, or two contradict.
        DataError: there is nothing to train on.
        ZenplanError: the run failed; what it has done is kept, and ``resume`` goes on with it.
    """
    given = flags({name: value for name, value in locals().items() if name not in ("options", "request", "progress")})
    from zenplan.commands.train.from_python import trained

    came = trained(given, request, options or {}, compiled, progress, autoresume)
    if came.trials is None:
        return result(TrainedRun, came.result, folder=came.folder)
    return result(SearchedRun, came.result, folder=came.folder, trials=came.trials, search_folder=came.search_folder)
