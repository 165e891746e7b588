"""PyTorch's optimizers, their state built before the first step: a checkpoint of step 0 has it, and can be put back."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from zenplan import UnknownName, UsageError
from zenplan.worker.protocol import Optimizer
from zenplan.worker.training.rate import check_rate

_NAMES = ("adamw", "adam", "sgd")


def made(wanted: Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the model's parameters that are trained.

    Raises:
        UsageError: a name or a figure of it is wrong.
    """
    if wanted.name not in _NAMES:
        raise UnknownName("optimizer", wanted.name, _NAMES)
    check_rate(wanted)
    if wanted.momentum and wanted.name != "sgd":
        raise UsageError(f"{wanted.name} has no momentum to set", "sgd has")
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise UsageError("the model has nothing to train", "one of its parameters must require a gradient")
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": wanted.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if wanted.name == "sgd":
        if wanted.weight_decay:
            raise UsageError("sgd of PyTorch has no decoupled weight decay", "adamw has")
        optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=wanted.learning_rate, momentum=wanted.momentum)
        if wanted.momentum:
            for p in parameters:
                optimizer.state[p] = {"momentum_buffer": torch.zeros_like(p)}
        return optimizer
    optimizer = torch.optim.AdamW(groups, lr=wanted.learning_rate)
    for p in parameters:
        moments = {name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")}
        optimizer.state[p] = {"step": torch.zeros(()), **moments}
    return optimizer


def state_of(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Its state, by the names of the parameters that it is of."""
    return {
        f"{name}/{what}": tensor
        for name, p in model.named_parameters()
        for what, tensor in sorted(optimizer.state.get(p, {}).items())
    }
