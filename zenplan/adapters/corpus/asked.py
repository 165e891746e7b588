"""Asked: what is to be prepared and how, and the key that says whether an interrupted preparation was of the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.data.tokenizer import read_tokenizer
from zenplan.adapters.data.walk import DataFile
from zenplan.errors import UsageError

# Of what is written: a preparation that was begun by another one is not gone on with.
_FORMAT: Final = 2
# What the bytes that come out depend on, beside zenplan.
_LIBRARIES: Final = ("tokenizers", "rensa", "pillow", "pyarrow", "numpy")

# Of a side of an image, and tokens of a labelled text.
_MOST_PIXELS: Final = 4_096
_MOST_LENGTH: Final = 1_000_000
# That is set aside to validate on, and to test on.
_SHARE: Final = 0.05
# As a label: the name of the folder that a file is in.
FOLDER: Final = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be prepared, and how.

    Attributes:
        source: a file or a folder, or the name of a built-in source.
        out: the folder that is written.
        text_column: of records; None to find it.
        tokenizer: a ``tokenizer.json``; None to train one of ``vocabulary`` tokens.
        end_token: of a given tokenizer, what ends a document; None to find it by its usual names.
        label: the column that is to be predicted, or ``folder``; None for a language model.
        label_kind: ``class`` or ``number``; None to see by the labels.
        classes: labels are whole numbers from 0 to below this; None for those that are there.
        features: columns of a table that are learned from, as numbers; empty for all that are numbers.
        ids: columns of a table that name things, each an input of its own: users, items.
        seq_len: tokens of a sample of labelled text.
        image_size, channels: of a side in pixels, and 3 for colour or 1 for grey.
        validation, test: shares that are set aside; None for 0.05, and for what lies there of a split that data come with.
        split_by: what is never parted; None for the usual of such data, and for a split that they come with.
        same: whether exact duplicates are dropped; None for the usual of such data.
        near: whether near duplicates are dropped, kept in one part, or not looked for.
        similarity: from which on texts are near duplicates, the Jaccard similarity of their runs of five words.
        min_chars, max_chars: of a text; None for no limit.
        include: patterns of names of files that are read as text, whatever their suffix.
        encoding: of texts; None to find it file by file.
        quality: ``prose`` drops what is no running text.
        seed: of the split and of the sample that a tokenizer is trained on.
        parameters: of the model that the data are for; None where that was not said.
        needed_tokens: of the plan that the data are for; None without one.
        overwrite: prepared data that are there, or an unfinished preparation of something else.
        shard_bytes: of text that is worked on at a time; what an interruption costs.
        sample_bytes: of text that a tokenizer is trained on at most; where no word is there twice, training takes some
            13 bytes of memory for each.
    """

    source: Path | str
    out: Path
    text_column: str | None = None
    tokenizer: Path | None = None
    end_token: str | None = None
    vocabulary: int = 8192
    label: str | None = None
    label_kind: str | None = None
    classes: int | None = None
    features: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    seq_len: int = 256
    image_size: int = 32
    channels: int = 3
    validation: float | None = None
    test: float | None = None
    split_by: str | None = None
    same: str | None = None
    near: str = "drop"
    similarity: float = 0.8
    min_chars: int = 1
    max_chars: int | None = None
    include: tuple[str, ...] = ()
    encoding: str | None = None
    quality: str = "any"
    seed: int = 0
    parameters: float | None = None
    needed_tokens: float | None = None
    overwrite: bool = False
    shard_bytes: int = 32_000_000
    sample_bytes: int = 30_000_000

    def __post_init__(self) -> None:
        if sum(self.shares) >= 1.0:
            raise UsageError("--validation and --test leave nothing to train on", "together they must be below 100%")
        if self.split_by == FOLDER == self.label:
            raise UsageError(
                "--split-by folder and --label folder contradict: a part would not have the classes of another",
                "give --split-by file",
            )
        if self.max_chars is not None and self.max_chars < self.min_chars:
            raise UsageError(f"--max-chars {self.max_chars} is below --min-chars {self.min_chars}")
        if self.label is not None and self.label in (*self.features, *self.ids):
            raise UsageError(f"'{self.label}' cannot be learned from and be the label", "name it once")
        for flag, value, most in (
            ("image-size", self.image_size, _MOST_PIXELS),
            ("seq-len", self.seq_len, _MOST_LENGTH),
        ):
            if value > most:
                raise UsageError(f"--{flag} {value:,} is more than {most:,}", "memory holds a sample whole")

    @property
    def shares(self) -> tuple[float, float]:
        """Of validation and test, where they are drawn."""
        return _SHARE if self.validation is None else self.validation, _SHARE if self.test is None else self.test

    @property
    def table(self) -> bool:
        """Whether columns of a table were named."""
        return bool(self.features or self.ids)


# What says where and for whom, and not which bytes.
_NOT_BYTES: Final = ("source", "out", "overwrite", "parameters", "needed_tokens", "tokenizer")


def key_of(asked: Asked, root: Path, files: Sequence[DataFile]) -> str:
    """A hash of all that decides what comes out: settings, versions, and which files these are, by size and time."""
    settings: dict[str, Any] = {name: value for name, value in asdict(asked).items() if name not in _NOT_BYTES}
    given = None if asked.tokenizer is None else read_tokenizer(asked.tokenizer)
    tokenizer = None if given is None else hashlib.sha256(given.encode("utf-8")).hexdigest()
    told = {"format": _FORMAT, "settings": settings, "tokenizer": tokenizer, "libraries": versions()}
    whole = hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass"))
    # One by one: there may be millions.
    for file in files:
        each = os.path.relpath(file.path, root), file.size_bytes, file.encoding, _changed(file.path)
        whole.update(json.dumps(each).encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def versions() -> dict[str, str]:
    """Of the libraries that decide which bytes come out; those that are installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
