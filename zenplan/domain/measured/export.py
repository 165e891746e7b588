"""A trained model that was written for others to use, or could not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from zenplan.domain import checks
from zenplan.domain.training.forms import FORMS, QUANTIZED

WRITTEN, DIFFERS, REFUSED = STATES = ("written", "differs", "refused")
# How far what is exported in floats may be from the model, as a share of the largest number that the model returns:
# float32 has seven digits, and a converter may add in another order.
TOLERANCE: Final = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """What a model is called with.

    Attributes:
        name: in the prepared data; written: in the artefact, where converters allow fewer letters.
        shape: of one sample; None for any length.
        type: of its numbers, as ``float32``.
    """

    name: str
    written: str
    shape: tuple[int | None, ...]
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a model comes to on data that it was not trained on.

    Attributes:
        values: ``loss`` and what else an evaluation tells, by name.
        one_s, batch_s: medians of calls with one sample and with a batch; None where none was timed.
    """

    values: Mapping[str, float]
    one_s: float | None = None
    batch_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An artefact of a run's model, opened again in another process and scored there.

    Attributes:
        state: ``written``; ``differs`` where it returns other numbers than the model, and ``refused`` where it cannot be
            made: then nothing is left of it. why: of these two; layer: of the model, that is at fault; empty for none.
        run: its id. form, quantize: as of ``domain.training.forms``.
        path: where it is; bytes: of all its files; sha256: of them.
        tokenizer: path of the copy beside it; empty where the data have none.
        batch: samples of a call, where the form has a fixed number of them; None for any.
        inputs, classes: what it takes, and the names of what it tells apart.
        preparing: layers within it that make numbers of the data what the others take.
        part: of the data that it was scored on; samples: of it; timed: samples of the batch that was timed.
        original, scores: of the run's own model in fp32, and of this.
        difference: the largest of any number that it returns; relative: as a share of the largest that the model returns.
        original_bytes: of the run's model.
        versions: of what wrote it. threads: that it was timed with.
    """

    state: str
    why: str = ""
    layer: str = ""
    run: str
    form: str
    quantize: str = ""
    made_at: datetime
    path: str = ""
    bytes: int | None = None
    sha256: str = ""
    tokenizer: str = ""
    batch: int | None = None
    inputs: tuple[ModelInput, ...] = ()
    classes: tuple[str, ...] = ()
    preparing: tuple[str, ...] = ()
    part: str = ""
    samples: int = 0
    timed: int = 0
    original: Scores | None = None
    scores: Scores | None = None
    difference: float | None = None
    relative: float | None = None
    original_bytes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1

    def __post_init__(self) -> None:
        checks.one_of("export", "state", self.state, STATES)
        checks.one_of("export", "form", self.form, FORMS)
        checks.one_of("export", "quantize", self.quantize, ("", *QUANTIZED))
        checks.not_negative("export", bytes=self.bytes, difference=self.difference, relative=self.relative)

    @property
    def name(self) -> str:
        """Of what was to be written, for people."""
        return f"{self.form} in {self.quantize}" if self.quantize else self.form
