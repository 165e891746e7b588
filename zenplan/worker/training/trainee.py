"""What an engine brings to a run: a model and its optimizer, ready to be stepped."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Protocol

from zenplan.worker.protocol import Events, Machine, Train
from zenplan.worker.training.checkpoints import Variable
from zenplan.worker.training.prepared import Prepared
from zenplan.worker.training.stepper import Stepper


class Trainee(Protocol):
    """A model and its optimizer, their state built: what a checkpoint holds can be put into it."""

    @property
    def stepper(self) -> Stepper:
        """Makes its steps."""

    @property
    def backend(self) -> str:
        """The engine's name, which checkpoints have; another engine's are not taken for its own."""

    @property
    def machine(self) -> Machine:
        """What it runs on, its versions among it."""

    @property
    def length(self) -> int:
        """Tokens of a sample; 0 where the data is no tokens."""

    @property
    def figures(self) -> Sequence[str]:
        """Names of what an evaluation tells besides the loss."""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All state, in its order, as ``Stepper.read`` gives it; without that of random generators."""

    @property
    def trained(self) -> Set[str]:
        """Names of the weights that are trained."""

    def count(self) -> tuple[int, int]:
        """Parameters, and those that are trained."""

    def save(self, folder: Path) -> Path:
        """Write the trained model into the folder, whole or not at all; its file. Raises OSError: there is no room."""


Build = Callable[[Train, Prepared, Events], Trainee]
