"""Prepared data: what ``data.json`` of its folder says."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from zenplan import documents
from zenplan.adapters.files.regular_file import read_text
from zenplan.errors import InputFileError

DATA: Final = "data.json"
_MOST_BYTES: Final = 50_000_000


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``train``, ``validation`` and ``test``: samples, or tokens."""

    samples: int | None = None
    tokens: int | None = None
    files: dict[str, str] = {}


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of prepared data.

    Attributes:
        kind: one flat file of tokens, or arrays of which each has samples along its first axis.
        fingerprint: of what is in it.
        vocabulary: of tokens, a count; end: the one after each document; tokenizer: its file in the folder.
        inputs, target: arrays; classes: a count; None where the target is of numbers.
        folder: where it lies.
    """

    schema: Literal["zenplan.prepared/1"]
    kind: Literal["tokens", "arrays"]
    fingerprint: str
    vocabulary: int | None = None
    end: int | None = None
    tokenizer: str = ""
    inputs: tuple[str, ...] = ()
    target: str = ""
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    parts: dict[str, Part]
    folder: str = ""

    def targets(self) -> dict[str, str]:
        """The files that hold what is to be predicted, by part."""
        name = "tokens" if self.kind == "tokens" else self.target
        return {part: found.files[name] for part, found in self.parts.items() if name in found.files}

    def samples(self, part: str, seq_len: int | None) -> int:
        """Of a part; of tokens in samples of that length, each of which is followed by one token more."""
        found = self.parts.get(part)
        if found is None:
            return 0
        if self.kind == "tokens":
            return max(0, ((found.tokens or 0) - 1) // (seq_len or 1))
        return found.samples or 0


def is_prepared(path: Path) -> bool:
    """Whether it is a folder of prepared data."""
    return (path / DATA).is_file()


def read_prepared(path: Path) -> Prepared:
    """What a folder of prepared data says of itself.

    Raises:
        InputFileError: it is none, or there is nothing to train on in it.
    """
    what = f"prepared data {path}"
    text = read_text(path / DATA, what, _MOST_BYTES, "'zenplan data prepare' makes such a folder")
    found = documents.decode(text, Prepared, what)
    if "train" not in found.parts:
        raise InputFileError(f"{what} have no part to train on", "prepare them anew")
    for name, part in found.parts.items():
        for file in part.files.values():
            if Path(file).name != file:
                raise InputFileError(f"{what}: the file of {name} is not in its folder", "prepare them anew")
            if not (path / file).is_file():
                raise InputFileError(f"{what}: {file} is not there", "prepare them anew")
    return msgspec.structs.replace(found, folder=str(path.absolute()))
