"""The head of a file of weights, GGUF or safetensors: names and shapes. No weight is read, nothing is executed."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

from zenplan.adapters.files.regular_file import decoded
from zenplan.errors import InputFileError

GGUF = b"GGUF"
# Of either header: Llama 3's tokenizer has 4 MB in it, names and shapes of a thousand tensors a tenth of that.
MOST_HEADER = 64 * 10**6
_MOST_TEXT, _MOST_ENTRIES = 10**6, 10**6
# GGUF's kinds of values (ggml-org/ggml: docs/gguf.md) to how Python's struct names them.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9


def safetensors_shapes(file: BinaryIO, what: str, hint: str) -> dict[str, Sequence[int]]:
    """Name to shape of each tensor, from the JSON that the file begins with.

    Raises:
        InputFileError: it has no such header, or one that is too large.
    """
    (length,) = struct.unpack("<Q", _exactly(file, 8, what, hint))
    if not 2 <= length <= MOST_HEADER:
        raise InputFileError(f"{what} has no header of safetensors", hint)
    try:
        text = _exactly(file, length, what, hint).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputFileError(f"{what} has no header of safetensors", hint) from error
    found = decoded(text, json.loads, f"the header of {what}", "JSON", hint)
    entries = found.items() if isinstance(found, dict) else ()
    shapes = {name: entry.get("shape") for name, entry in entries if isinstance(entry, dict)}
    return {name: shape for name, shape in shapes.items() if _is_shape(shape)}


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape)


def gguf_values(file: BinaryIO, what: str, hint: str) -> tuple[dict[str, Any], list[str], int | None]:
    """The keys of a GGUF file that are numbers or texts, the names of its tensors, and the words of its tokenizer.

    Raises:
        InputFileError: it ends early, or what it counts is too large.
    """
    reader = _Reader(file, what, hint)
    reader.take(4)
    version, tensors, pairs = reader.number("I"), reader.number("Q"), reader.number("Q")
    if version not in (2, 3) or max(tensors, pairs) > _MOST_ENTRIES:
        raise InputFileError(f"{what} is no GGUF file of version 2 or 3", hint)
    values: dict[str, Any] = {}
    words = None
    for _ in range(pairs):
        name, kind = reader.text(), reader.number("I")
        value = reader.value(kind)
        if name == "tokenizer.ggml.tokens":
            words = len(value) if isinstance(value, list) else None
        elif not isinstance(value, list) or len(value) <= 1000:
            values[name] = value
    names = []
    for _ in range(tensors):
        names.append(reader.text())
        for _ in range(min(reader.number("I"), 8)):
            reader.number("Q")
        reader.take(12)
    return values, names, words


class _Reader:
    """Reads values one after another, up to the most that a header may have."""

    def __init__(self, file: BinaryIO, what: str, hint: str) -> None:
        self._file, self._what, self._hint = file, what, hint
        self._left = MOST_HEADER

    def take(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise InputFileError(f"{self._what} has a header that is too large", self._hint)
        return _exactly(self._file, size, self._what, self._hint)

    def number(self, kind: str) -> Any:
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))[0]

    def text(self) -> str:
        length = self.number("Q")
        if length > _MOST_TEXT:
            raise InputFileError(f"{self._what} has a text of {length:,} bytes in its header", self._hint)
        return self.take(length).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            raise InputFileError(f"{self._what} has a value of unknown kind in its header", self._hint)
        inner, length = self.number("I"), self.number("Q")
        if length > _MOST_ENTRIES or inner == _ARRAY:
            raise InputFileError(f"{self._what} has a list that is too long in its header", self._hint)
        return [self.value(inner) for _ in range(length)]


def _exactly(file: BinaryIO, size: int, what: str, hint: str) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise InputFileError(f"{what} ends in the middle of its header", hint)
    return content
