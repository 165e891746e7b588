"""The model of a job: the built-in ``decoder``, or what a function of the user's returns."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from zenplan import UnknownName, UsageError
from zenplan.worker.counting.target import imported
from zenplan.worker.protocol import Events, Kind, Target, Train
from zenplan.worker.training.prepared import TOKENS, Prepared
from zenplan.worker.training.weights import drawn, read_weights

from zenplan_torch.decoder import Decoder, begin

DECODER = "decoder"


def built(job: Train, data: Prepared, events: Events) -> nn.Module:
    """The model, with the weights that it begins with.

    Raises:
        UsageError: it cannot be built, or does not go with the data.
    """
    torch.manual_seed(job.seed)
    if job.lora_rank or job.quantize:
        raise UsageError("pytorch has no adapters", "--backend torch has, of Keras models")
    wanted = job.model
    if isinstance(wanted, Kind):
        events.begin("build")
        return _decoder(wanted.name, wanted.options, job, data)
    if not isinstance(wanted, Target):
        raise UsageError(f"{wanted.path} is a Keras file", "pytorch trains package.module:build_model")
    if job.weights:
        raise UsageError("initial weights of a file are for the built-in decoder", "load them in build_model")
    return imported(wanted.target, events, wanted.arguments, nn.Module, "PyTorch module", "torch.nn.Module")


def length_of(job: Train, data: Prepared, model: nn.Module) -> int:
    """Tokens of a sample; 0 where the data is no tokens.

    Raises:
        UsageError: nothing says it.
    """
    if data.card.kind != TOKENS:
        return 0
    if isinstance(model, Decoder):
        return model.length
    shapes = job.model.input_shapes if isinstance(job.model, Target) else ()
    if len(shapes) != 1 or len(shapes[0]) != 1 or shapes[0][0] < 1:
        raise UsageError(f"{job.what} does not say how many tokens a sample has", "--input-shape 128 says it")
    return shapes[0][0]


def _decoder(name: str, options: Mapping[str, Any], job: Train, data: Prepared) -> Decoder:
    if name != DECODER:
        raise UnknownName("kind of model", name, (DECODER, "package.module:build_model"))
    if data.card.kind != TOKENS or data.card.vocabulary is None:
        raise UsageError("decoder is trained on tokens, the data has none", "'zenplan data prepare' makes them of text")
    model = Decoder(data.card.vocabulary, **_checked(options))
    named = list(model.named())
    shapes = [(path, shape) for path, shape, _ in named]
    if job.weights:
        begin(model, [torch.from_numpy(each) for each in read_weights(job.weights, shapes)])
        return model
    # Those that zenplan's own kind of that name draws: matrices and tables are, biases and norms begin at 0 and 1.
    matrices = iter(drawn(job.seed, [each for each in shapes if len(each[1]) > 1]))
    arrays = [next(matrices) if len(shape) > 1 else None for _, shape in shapes]
    start = [
        array if array is not None and not path.endswith("bias") else np.full(shape, path.endswith("gamma"), np.float32)
        for (path, shape), array in zip(shapes, arrays, strict=True)
    ]
    begin(model, [torch.from_numpy(each) for each in start])
    return model


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options; raises UsageError where one is unknown or cannot be."""
    signature = inspect.signature(Decoder.__init__).parameters.values()
    usual = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
    found = {**usual, **options}
    for name, value in found.items():
        if name not in usual:
            raise UnknownName(f"option of {DECODER}", name, usual)
        if name == "dropout":
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
        else:
            least = 0 if name == "feedforward" else 1
            good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not good:
            raise UsageError(f"{DECODER}: {name} = {value!r} cannot be", f"as in {name} = {usual[name]}")
    if found["width"] % found["heads"]:
        raise UsageError(
            f"{DECODER}: a width of {found['width']} is not divided by {found['heads']} heads",
            "as in width = 256, heads = 4",
        )
    return found
