"""FollowUp: what is done with a model once it is trained, as far as a plan prices it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks

EXPORT, COMPRESS, EXPLAIN, SERVE = "export", "compress", "explain", "serve"
FOLLOW_UPS: Final = (EXPORT, COMPRESS, EXPLAIN, SERVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """One thing that follows the training.

    Attributes:
        name: one of ``FOLLOW_UPS``.
        amount: samples that an export is scored on, or that are explained; of ``compress``, a share of the steps of the
            training; of ``serve``, seconds. None for what is usual; serving has none.
    """

    name: str
    amount: float | None = None

    def __post_init__(self) -> None:
        checks.one_of("follow-up", "name", self.name, FOLLOW_UPS)
        checks.positive(f"follow-up {self.name}", amount=self.amount)
