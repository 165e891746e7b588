"""Prepared data: a folder with ``data.json`` and plain NumPy arrays, which are mapped, not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from zenplan import documents
from zenplan.errors import DataError, InputFileError
from zenplan.unions import Whole

Array = npt.NDArray[Any]
TRAIN, VALIDATION, TEST = "train", "validation", "test"
TOKENS, ARRAYS = "tokens", "arrays"

_MOST_CARD_BYTES = 16_000_000
# That are read at once: an array may be larger than memory.
_ROWS = 100_000
_HINT = "'zenplan data prepare' writes such a folder"


class Part(msgspec.Struct, kw_only=True):
    """Training, validation or test data.

    Attributes:
        files: of each input and of the target, or of ``tokens``.
    """

    samples: Whole | None = None
    tokens: Whole | None = None
    files: dict[str, str]


class Card(msgspec.Struct, kw_only=True, tag_field="schema", tag="zenplan.prepared/1"):
    """What stands in ``data.json``.

    Attributes:
        kind: ``tokens`` or ``arrays``.
        fingerprint: SHA-256 of what is in the folder.
        vocabulary: of tokens. end: token after each document.
        inputs, target: names of arrays.
        classes: None where the target is a number.
    """

    kind: str
    fingerprint: str
    vocabulary: Whole | None = None
    end: Whole | None = None
    inputs: list[str] = []
    target: str = ""
    classes: Whole | None = None
    class_names: list[str] = []
    parts: dict[str, Part]


def as_called(inputs: Mapping[str, Any]) -> Any:
    """Inputs by name as a model is called with them: the only one stands for itself."""
    return inputs if len(inputs) > 1 else next(iter(inputs.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Samples of one part, found by their numbers.

    Attributes:
        x: of arrays, the inputs by name; of tokens, the flat array by the name ``tokens``.
        y: the target; None of tokens.
        length: tokens of a sample; 0 of arrays.
    """

    x: Mapping[str, Array]
    y: Array | None
    length: int
    vocabulary: int

    @property
    def count(self) -> int:
        """How many there are; of tokens, without a rest that is shorter than a sample."""
        first = next(iter(self.x.values()))
        return max(0, (len(first) - 1) // self.length) if self.length else len(first)

    def batch(self, numbers: Array) -> tuple[Any, Array]:
        """Inputs and targets of these samples. Inputs are one array, or several by name.

        Raises:
            DataError: a token is not of the vocabulary.
        """
        if self.y is None:
            places = numbers[:, None].astype(np.int64) * self.length + np.arange(self.length + 1)
            tokens = self.x[TOKENS][places].astype(np.int32)
            if tokens.max() >= self.vocabulary:
                raise DataError(f"the training data has token {tokens.max()}, the vocabulary {self.vocabulary}", _HINT)
            return tokens[:, :-1], tokens[:, 1:]
        inputs = {name: array[numbers] for name, array in self.x.items()}
        return as_called(inputs), self.y[numbers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A folder of prepared data.

    Attributes:
        arrays: by part, its files as mapped arrays.
    """

    card: Card
    arrays: Mapping[str, Mapping[str, Array]]

    @classmethod
    def read(cls, folder: str) -> Prepared:
        """The data in that folder; what does not agree with its card is refused.

        Raises:
            InputFileError: there is no such folder, or it is not what it says.
        """
        what = f"prepared data {folder}"
        card = _card(Path(folder), what)
        if card.kind not in (TOKENS, ARRAYS):
            raise InputFileError(f"{what} is of kind '{card.kind}'", f"known: {TOKENS}, {ARRAYS}")
        if TRAIN not in card.parts:
            raise InputFileError(f"{what} has no part '{TRAIN}'", _HINT)
        names = [TOKENS] if card.kind == TOKENS else [*card.inputs, card.target]
        arrays = {
            part: {name: _mapped(Path(folder), each.files, name, what) for name in names}
            for part, each in card.parts.items()
        }
        found = cls(card=card, arrays=arrays)
        for part, each in arrays.items():
            found._check(part, each, what)
        return found

    def samples(self, part: str, length: int) -> Samples | None:
        """Those of a part; None where there is no such part.

        Args:
            length: tokens of a sample, where the data is tokens.
        """
        if part not in self.arrays:
            return None
        arrays = dict(self.arrays[part])
        if self.card.kind == TOKENS:
            return Samples(x=arrays, y=None, length=length, vocabulary=self.card.vocabulary or 0)
        y = arrays.pop(self.card.target)
        return Samples(x=arrays, y=y, length=0, vocabulary=0)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of one sample, by input; of tokens, whose length a model chooses, none."""
        train = self.arrays[TRAIN]
        return {} if self.card.kind == TOKENS else {name: train[name].shape[1:] for name in self.card.inputs}

    def kinds(self) -> dict[str, str]:
        """The types of the inputs' numbers, as ``float32``."""
        return {name: self.arrays[TRAIN][name].dtype.name for name in self.card.inputs}

    def sizes(self) -> dict[str, int]:
        """Of each input that is of whole numbers and no image, its largest number in any part, and 1."""
        names = [
            n for n in self.card.inputs if self.kinds()[n] != "uint8" and self.kinds()[n].startswith(("int", "uint"))
        ]
        return {n: 1 + max(int(each[n].max()) for each in self.arrays.values() if each[n].size) for n in names}

    def moments(self, name: str) -> tuple[Array, Array]:
        """Of an input whose samples are rows of numbers, the mean and the variance of each column over the training data, of
        what is no number not; a column of one value alone has a variance of 1."""
        rows = self.arrays[TRAIN][name]
        parts = [rows[i : i + _ROWS] for i in range(0, len(rows), _ROWS)]
        count = np.maximum(sum(np.isfinite(each).sum(axis=0) for each in parts), 1)
        mean = sum(_numbers(each).sum(axis=0, dtype=np.float64) for each in parts) / count
        variance = sum(np.square(_numbers(each - mean)).sum(axis=0) for each in parts) / count
        # What the mean of one value is off by is no variance.
        least = np.square(np.finfo(np.float32).eps * mean)
        return mean, np.where(variance > least, variance, 1.0)

    def _check(self, part: str, arrays: Mapping[str, Array], what: str) -> None:
        if self.card.kind == TOKENS:
            tokens = arrays[TOKENS]
            if not self.card.vocabulary:
                raise InputFileError(f"{what} has no vocabulary", _HINT)
            if tokens.ndim != 1 or tokens.dtype.kind != "u":
                raise InputFileError(f"{what}: the tokens of '{part}' are no flat array of whole numbers", _HINT)
            return
        lengths = {len(each) if each.ndim else 0 for each in arrays.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise InputFileError(f"{what}: the arrays of '{part}' are empty, or not of one length", _HINT)
        y = arrays[self.card.target]
        if self.card.classes is None:
            return
        if y.dtype.kind not in "iu":
            raise InputFileError(f"{what}: the labels of '{part}' are no whole numbers", _HINT)
        lowest, highest = int(y.min()), int(y.max())
        if lowest < 0 or highest >= self.card.classes:
            wrong = lowest if lowest < 0 else highest
            raise InputFileError(
                f"{what}: '{part}' has label {wrong}, outside of 0 to {self.card.classes - 1}", "check the labels"
            )


def _card(folder: Path, what: str) -> Card:
    path = folder / "data.json"
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_CARD_BYTES + 1)
    except OSError as error:
        raise InputFileError(f"{what} cannot be read: data.json: {error.strerror}", _HINT) from error
    if len(text) > _MOST_CARD_BYTES:
        raise InputFileError(f"{what}: data.json is too large", _HINT)
    try:
        return documents.decode(text, Card, f"{what}: data.json", foreign=True)
    except DataError as error:
        raise InputFileError(error.message, _HINT) from error


def _mapped(folder: Path, files: Mapping[str, str], name: str, what: str) -> Array:
    """The array of that name, which lies in the folder itself."""
    file = files.get(name, "")
    if not file or Path(file).name != file:
        raise InputFileError(f"{what} names no file in it for '{name}'", _HINT)
    try:
        mapped = np.load(folder / file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputFileError(f"{what}: {file} is no NumPy array: {error}", _HINT) from error
    if not isinstance(mapped, np.ndarray) or mapped.dtype.kind not in "iufb":
        raise InputFileError(f"{what}: {file} holds no numbers", _HINT)
    # As a plain array, which is indexed faster than a mapped one, and is mapped all the same.
    return np.asarray(mapped)


def _numbers(rows: Array) -> Array:
    """The rows, with 0 for what is no number."""
    return np.where(np.isfinite(rows), rows, 0.0)
