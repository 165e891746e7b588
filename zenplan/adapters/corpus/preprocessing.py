"""New samples made ready for a trained model, as the data that it was trained on were."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.corpus import bpe
from zenplan.adapters.corpus.cleaning import normalised
from zenplan.adapters.corpus.images import check_installed, pixels_of
from zenplan.adapters.corpus.prepared import read_data
from zenplan.adapters.corpus.values import name_in, number_in
from zenplan.adapters.data import tokenizer
from zenplan.adapters.data.records import BadFile
from zenplan.adapters.files.regular_file import read_text
from zenplan.errors import DataError, InputFileError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Read = Callable[[Any], Array]

TEXT, LABELLED, ROWS, IMAGE, NUMBERS = "text", "labelled text", "rows", "images", "arrays"
_MOST_NAMES_BYTES: Final = 100 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessor:
    """What makes arrays of a sample.

    Attributes:
        folder: of the prepared data.
        data: of its ``data.json``.
        what: samples are: ``text``, ``labelled text``, ``rows``, ``images`` or ``arrays``.
        shapes, kinds: of each input: of one sample, and the type of its numbers.
        encoder: of texts, and decode: of tokens; None where the data have no tokenizer.
        names: of inputs of names: the number of each.
    """

    folder: Path
    data: Mapping[str, Any]
    what: str
    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, str]
    encoder: bpe.Encoder | None = None
    decode: Callable[[Sequence[int]], str] | None = None
    names: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Preprocessor:
        """That of a folder of prepared data.

        Raises:
            InputFileError, DataError: it is not what it says.
        """
        data = read_data(folder)
        heads = {name: _head(folder, data, name) for name in data.get("inputs", ())}
        encoder, decode = None, None
        if file := data.get("tokenizer"):
            tokenizer.check_installed()
            text = tokenizer.read_tokenizer(folder / Path(file).name)
            encoder, decode = bpe.encoder(text, None, ends=False), bpe.decoder(text)
        return cls(
            folder=folder,
            data=data,
            what=_what(data, heads),
            shapes={name: head.shape[1:] for name, head in heads.items()},
            kinds={name: head.dtype.name for name, head in heads.items()},
            encoder=encoder,
            decode=decode,
            names={name: _names(folder, file) for name, file in data.get("names", {}).items()},
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names; empty where the target is a number, or the next token."""
        return tuple(data) if (data := self.data.get("class_names")) else ()

    @property
    def end(self) -> int | None:
        """The token that ends a document; None without one."""
        end = self.data.get("end")
        return end if isinstance(end, int) else None

    def tokens(self, text: Any) -> list[int]:
        """Those of a text.

        Raises:
            DataError: it is no text, or has no token.
        """
        if not isinstance(text, str):
            raise DataError(f"a text is wanted, not {_called(text)}")
        if self.encoder is None:
            raise DataError("the data have no tokenizer, so no text is read", "give arrays of tokens")
        found = [int(token) for token in self.encoder.encode([normalised(text)])[0]]
        if not found:
            raise DataError("the text is empty")
        return found

    def sample(self, value: Any) -> dict[str, Array]:
        """The inputs of one sample by name, without the axis of samples.

        Args:
            value: a text; the bytes of an image's file; columns by name, or an array's numbers in lists; by the name of
                the input where there are several.

        Raises:
            DataError: it is none of these, or not of the model's shape; the message says what is wrong.
        """
        if self.what == LABELLED:
            return {"x": self._row(value)}
        if self.what == IMAGE and isinstance(value, bytes):
            return {"x": self._image(value)}
        if self.what == ROWS:
            return self._columns(value)
        if len(self.shapes) == 1:
            (name,) = self.shapes
            inner = value[name] if isinstance(value, Mapping) and set(value) == {name} else value
            return {name: self._numbers(name, inner)}
        if not isinstance(value, Mapping) or set(value) != set(self.shapes):
            raise DataError(f"a sample has {', '.join(self.shapes)}, by name")
        return {name: self._numbers(name, value[name]) for name in self.shapes}

    def begun(self, text: Any, length: int) -> tuple[dict[str, Array], int]:
        """A text that a language model goes on from, as the input of ``length`` tokens, and how many of them are the text's:
        its last ones, where it is longer. What stands behind them has no part in what comes next.

        Raises:
            DataError: as of ``tokens``.
        """
        tokens = self.tokens(text)[-length:]
        return {"tokens": np.array([*tokens, *[0] * (length - len(tokens))], np.int32)}, len(tokens)

    def write(self, path: Path, samples: Sequence[Mapping[str, Array]]) -> None:
        """Write samples to a ``.npz`` file, for a worker: an array for each input, with an axis of samples first."""
        arrays: dict[str, Any] = {name: np.stack([each[name] for each in samples]) for name in samples[0]}
        np.savez(path, **arrays)

    def _row(self, value: Any) -> Array:
        (length,) = self.shapes["x"]
        tokens = np.array(self.tokens(value)[:length], np.int32) + int(self.data.get("shift", 0))
        return np.pad(tokens, (0, length - len(tokens)))

    def _image(self, value: bytes) -> Array:
        check_installed()
        size, _, channels = self.shapes["x"]
        try:
            return pixels_of(io.BytesIO(value), size, channels)
        except BadFile as error:
            raise DataError(str(error), "a JPEG, PNG, GIF, BMP, WebP or TIFF is read") from error

    def _columns(self, value: Any) -> dict[str, Array]:
        features = list(self.data.get("features", ()))
        wanted = {name: name for name in self.names}
        if not isinstance(value, Mapping):
            raise DataError(f"a row has its columns by name: {', '.join([*features, *wanted])}"[:200])
        given = {str(key): each for key, each in value.items()}
        if missing := [name for name in (*features, *wanted) if name not in given]:
            raise DataError(f"a row lacks {', '.join(missing[:6])}")
        found: dict[str, Array] = {}
        if features:
            found["x"] = np.array([_number(given[name], name) for name in features], np.float32)
        for name, numbers in self.names.items():
            called, problem = name_in(given[name], name)
            if problem or called not in numbers:
                raise DataError(problem or f"'{called[:60]}' is no {name} that the model was trained on")
            found[name] = np.array(numbers[called], np.int32)
        return found

    def _numbers(self, name: str, value: Any) -> Array:
        shape, kind = self.shapes[name], np.dtype(self.kinds[name])
        try:
            found = np.array(value, np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(f"{name} is not of numbers alone, in lists of one length") from error
        if found.shape != shape:
            raise DataError(f"{name} is of shape {shape}, not {found.shape}")
        if not np.isfinite(found).all():
            raise DataError(f"{name} has a number that is not finite")
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            if (found != np.floor(found)).any() or found.min() < limits.min or found.max() > limits.max:
                raise DataError(f"{name} is of whole numbers from {limits.min} to {limits.max}")
        return found.astype(kind)


def _number(value: Any, column: str) -> float:
    found, problem = number_in(value, column)
    if problem or isinstance(value, bool):
        raise DataError(problem or f"no number in {column}")
    return found


def _called(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _what(data: Mapping[str, Any], heads: Mapping[str, Array]) -> str:
    if data.get("kind") == "tokens":
        return TEXT
    if "tokenizer" in data:
        return LABELLED
    if "features" in data or "sizes" in data:
        return ROWS
    x = heads.get("x")
    square = x is not None and x.ndim == 4 and x.dtype == np.uint8 and x.shape[1] == x.shape[2] and x.shape[3] in (1, 3)
    return IMAGE if square and len(heads) == 1 else NUMBERS


def _head(folder: Path, data: Mapping[str, Any], name: str) -> Array:
    """The array of an input in the training data, mapped."""
    try:
        file = Path(data["parts"]["train"]["files"][name]).name
        found: Array = np.load(folder / file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputFileError(f"the prepared data '{folder}' have no array of {name}", "prepare them anew") from error
    return found


def _names(folder: Path, file: str) -> dict[str, int]:
    what = f"the names in '{folder / Path(file).name}'"
    try:
        found = json.loads(read_text(folder / Path(file).name, what, _MOST_NAMES_BYTES, "prepare the data anew"))
    except ValueError as error:
        raise DataError(f"{what} are no JSON") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise DataError(f"{what} are no list of names")
    return {name: number for number, name in enumerate(found)}
