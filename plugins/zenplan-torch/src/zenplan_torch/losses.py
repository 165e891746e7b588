"""What a model is trained to make small, and what an evaluation tells besides: of each sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional
from zenplan.worker.training.loss_names import NUMBERS, loss_name
from zenplan.worker.training.prepared import Card

_OfSamples = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss of samples.

    Attributes:
        of_samples: from what the model returns and the targets, the loss of each sample.
        figure, other: name of what an evaluation tells besides, and that of each sample.
    """

    of_samples: _OfSamples
    figure: str
    other: _OfSamples


def loss_of(wanted: str, card: Card) -> Loss:
    """The loss that is asked for, or that the data has.

    Raises:
        UsageError: there is no such loss, or it does not go with the data.
    """
    return (
        Loss(_squared, "rmse", _squared) if loss_name(wanted, card) == NUMBERS else Loss(_entropy, "accuracy", _right)
    )


def _entropy(predicted: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of logits; of tokens, the mean over a sample's."""
    flat = predicted.float().reshape(-1, predicted.shape[-1])
    each = functional.cross_entropy(flat, y.reshape(-1).long(), reduction="none")
    return each.reshape(y.shape[0], -1).mean(dim=1)


def _right(predicted: Tensor, y: Tensor) -> Tensor:
    """Whether the likeliest class is the right one; of tokens, the share of those."""
    return (predicted.argmax(dim=-1) == y).float().reshape(y.shape[0], -1).mean(dim=1)


def _squared(predicted: Tensor, y: Tensor) -> Tensor:
    found, wanted = predicted.float().reshape(y.shape[0], -1), y.float().reshape(y.shape[0], -1)
    return (found - wanted).square().mean(dim=1)
