"""A table of logits: which token follows which. It is the smallest language model there is, and all of an engine is here:
the model, its step, and what a checkpoint holds of both."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from zenplan import UnknownName, UsageError
from zenplan.worker.measuring.machine import processor
from zenplan.worker.protocol import Events, Kind, Machine, Optimizer, Train
from zenplan.worker.training.checkpoints import Variable, replacing
from zenplan.worker.training.loss_names import loss_name
from zenplan.worker.training.prepared import TOKENS, Array, Prepared
from zenplan.worker.training.rate import check_rate
from zenplan.worker.training.stepper import Done

MODEL, LENGTH = "bigram", 128
OPTIMIZERS = ("adamw", "sgd")
# Of Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980).
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class BigramStepper:
    """As of ``zenplan.worker.training.stepper.Stepper``. All state is in ``state``, float32."""

    ahead = False

    def __init__(self, vocabulary: int, wanted: Optimizer) -> None:
        self.wanted = wanted
        shape = (vocabulary, vocabulary)
        names = ("table", "first", "second") if wanted.name == "adamw" else ("table",)
        self.state: dict[str, Array] = {name: np.zeros(shape, np.float32) for name in names}
        self.state["steps"] = np.zeros((), np.int64)

    def step(self, micro_batches: Sequence[tuple[Any, Any]], rate: float) -> Done:
        """As of ``Stepper``."""
        found = [self._gradient(x, y) for x, y in micro_batches]
        loss = float(np.mean([each for each, _ in found]))
        gradient: Array = np.stack([each for _, each in found]).mean(axis=0, dtype=np.float32)
        norm = float(np.linalg.norm(gradient))
        if 0.0 < self.wanted.clip_norm < norm:
            gradient = gradient * np.float32(self.wanted.clip_norm / norm)
        self._update(gradient, np.float32(rate))
        return Done(loss, norm if self.wanted.clip_norm else None)

    def _gradient(self, x: Array, y: Array) -> tuple[float, Array]:
        """The mean loss of the samples, and its gradient."""
        log_p = _log_softmax(self.state["table"][x])
        chosen = np.take_along_axis(log_p, y[..., None], axis=-1)
        of_logits = np.exp(log_p)
        np.put_along_axis(of_logits, y[..., None], np.take_along_axis(of_logits, y[..., None], axis=-1) - 1, axis=-1)
        gradient = np.zeros_like(self.state["table"])
        np.add.at(gradient, x.ravel(), of_logits.reshape(-1, of_logits.shape[-1]) / np.float32(x.size))
        return -float(chosen.mean()), gradient

    def _update(self, gradient: Array, rate: Any) -> None:
        state = self.state
        state["steps"] += 1
        change = gradient
        if self.wanted.name == "adamw":
            state["first"] += (gradient - state["first"]) * np.float32(1 - BETA_1)
            state["second"] += (gradient * gradient - state["second"]) * np.float32(1 - BETA_2)
            steps = int(state["steps"])
            first = state["first"] / np.float32(1 - BETA_1**steps)
            change = first / (np.sqrt(state["second"] / np.float32(1 - BETA_2**steps)) + np.float32(EPSILON))
        state["table"] -= rate * (change + np.float32(self.wanted.weight_decay) * state["table"])

    def waiting(self, done: Done) -> bool:
        """As of ``Stepper``: a step is done when it returns."""
        return False

    def wait(self, done: Done) -> None:
        """As of ``Stepper``."""

    def numbers(self, values: Sequence[Any]) -> list[Any]:
        """As of ``Stepper``."""
        return list(values)

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """As of ``Stepper``."""
        log_p = _log_softmax(self.state["table"][x])
        losses = -np.take_along_axis(log_p, y[..., None], axis=-1)[..., 0].mean(axis=-1)
        right = (log_p.argmax(axis=-1) == y).mean(axis=-1)
        return np.array([(losses * weights).sum(), (right * weights).sum(), weights.sum()])

    def read(self) -> Iterator[tuple[str, Array]]:
        """As of ``Stepper``. No random generator has a state here."""
        yield from self.state.items()

    def write(self, arrays: Mapping[str, Array]) -> None:
        """As of ``Stepper``."""
        self.state = {name: np.array(arrays[name]) for name in self.state}

    def settle(self) -> None:
        """As of ``Stepper``: the state is the model's own."""


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bigram:
    """As of ``zenplan.worker.training.trainee.Trainee``."""

    stepper: BigramStepper
    machine: Machine
    length: int
    backend: str = "acme"
    figures: Sequence[str] = ("accuracy",)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """As of ``Trainee``."""
        return tuple(
            Variable(name=name, path=name, shape=tuple(array.shape), kind=str(array.dtype))
            for name, array in self.stepper.state.items()
        )

    @property
    def trained(self) -> Set[str]:
        """As of ``Trainee``."""
        return {"table"}

    def count(self) -> tuple[int, int]:
        """As of ``Trainee``."""
        size = self.stepper.state["table"].size
        return size, size

    def save(self, folder: Path) -> Path:
        """As of ``Trainee``."""
        path = folder / "model.safetensors"
        with replacing(path) as aside:
            save_file({"table": self.stepper.state["table"]}, aside)
        return path


def made(job: Train, data: Prepared, events: Events) -> Bigram:
    """What the job trains. Raises UsageError: it cannot be built, or does not go with the data."""
    events.begin("build")
    if not isinstance(job.model, Kind) or job.model.name != MODEL:
        raise UnknownName("model of acme", job.model.name if isinstance(job.model, Kind) else job.what, (MODEL,))
    if unknown := sorted(job.model.options.keys() - {"length"}):
        raise UnknownName(f"option of {MODEL}", unknown[0], ("length",))
    if data.card.kind != TOKENS or data.card.vocabulary is None:
        raise UsageError(
            f"{MODEL} is trained on tokens, the data has none", "'zenplan data prepare' makes them of text"
        )
    loss_name(job.loss, data.card)
    wanted = job.optimizer
    if wanted.name not in OPTIMIZERS:
        raise UnknownName("optimizer", wanted.name, OPTIMIZERS)
    check_rate(wanted)
    given = {
        "--precision": job.precision != "fp32",
        "--device": job.device != "cpu",
        "--weights": bool(job.weights),
        "--lora-rank": bool(job.lora_rank),
        "--quantize": bool(job.quantize),
        "momentum": bool(wanted.momentum),
    }
    for flag in (name for name, is_given in given.items() if is_given):
        raise UsageError(f"acme has no choice of {flag}", "leave it out: it trains all in fp32, on the processor")
    return Bigram(
        stepper=BigramStepper(data.card.vocabulary, wanted),
        machine=Machine(
            device=processor(),
            kind=job.device,
            threads=job.threads,
            versions={"numpy": np.__version__, "python": platform.python_version()},
            compiled=False,
        ),
        length=int(job.model.options.get("length", LENGTH)),
    )
