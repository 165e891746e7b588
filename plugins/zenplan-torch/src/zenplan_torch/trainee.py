"""A PyTorch module as what a run trains."""

from __future__ import annotations

import platform
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from zenplan import UnknownName, UsageError
from zenplan.worker.measuring.machine import processor
from zenplan.worker.protocol import Events, Machine, Train
from zenplan.worker.training.checkpoints import Variable, replacing
from zenplan.worker.training.prepared import Prepared

from zenplan_torch import optimizers
from zenplan_torch.losses import loss_of
from zenplan_torch.models import built, length_of
from zenplan_torch.stepper import TorchStepper

PRECISIONS = ("fp32", "tf32", "bf16")


def prepare(device: str, threads: int, precision: str) -> None:
    """Set what PyTorch cannot be told by the environment. Raises UsageError: it has no such device or precision."""
    if precision not in PRECISIONS:
        raise UnknownName("precision of pytorch", precision, PRECISIONS)
    torch.set_num_threads(threads)
    if device == "gpu":
        if not torch.cuda.is_available():
            raise UsageError("pytorch sees no GPU", "install its GPU build, or train on the processor: --device cpu")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchTrainee:
    """As of ``zenplan.worker.training.trainee.Trainee``."""

    model: nn.Module
    stepper: TorchStepper
    machine: Machine
    length: int
    backend: str = "pytorch"

    @property
    def figures(self) -> Sequence[str]:
        """As of ``Trainee``."""
        return (self.stepper.loss.figure,)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """As of ``Trainee``."""
        return tuple(
            Variable(name=name, path=name, shape=tuple(tensor.shape), kind=str(tensor.dtype).removeprefix("torch."))
            for name, tensor in self.stepper.tensors().items()
        )

    @property
    def trained(self) -> Set[str]:
        """As of ``Trainee``."""
        return {f"model/{name}" for name, p in self.model.named_parameters() if p.requires_grad}

    def count(self) -> tuple[int, int]:
        """As of ``Trainee``."""
        every = list(self.model.parameters())
        return sum(p.numel() for p in every), sum(p.numel() for p in every if p.requires_grad)

    def save(self, folder: Path) -> Path:
        """As of ``Trainee``: its ``state_dict`` as safetensors."""
        path = folder / "model.safetensors"
        # Each of its own: tensors that share memory are refused.
        state = {name: tensor.detach().clone().contiguous() for name, tensor in self.model.state_dict().items()}
        with replacing(path) as aside:
            save_file(state, aside)
        return path


def made(job: Train, data: Prepared, events: Events) -> TorchTrainee:
    """What the job trains. Raises UsageError: it cannot be built, or does not go with the data."""
    loss = loss_of(job.loss, data.card)
    model = built(job, data, events)
    length = length_of(job, data, model)
    model.to(torch.device("cuda" if job.device == "gpu" else "cpu"))
    compiled = bool(job.compiled)
    optimizer = optimizers.made(job.optimizer, model)
    return TorchTrainee(
        model=model,
        stepper=TorchStepper(model, optimizer, loss, job.optimizer.clip_norm, job.precision == "bf16", compiled),
        machine=Machine(
            device=torch.cuda.get_device_name(0) if job.device == "gpu" else processor(),
            kind=job.device,
            threads=job.threads,
            versions={"torch": str(torch.__version__), "python": platform.python_version()},
            compiled=compiled,
        ),
        length=length,
    )
