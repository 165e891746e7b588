"""The data of a run: a prepared folder as its ``data.json`` says; anything else is prepared first, and kept for the next
run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from zenplan import documents
from zenplan.adapters.corpus.prepared import read_card
from zenplan.adapters.corpus.sources import PYTHON
from zenplan.adapters.files.regular_file import read_text
from zenplan.commands.train.kinds import KINDS
from zenplan.errors import DataError, InputFileError, UsageError

DATA: Final = "data.json"
_LOOK_S: Final = 0.5
_MOST_BYTES: Final = 50_000_000
# Of what a preparation is given, what changes none of its bytes.
_NOT_OF_DATA: Final = ("data", "params", "tokens")


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


def prepared_data(
    given: Mapping[str, Any], settings: Mapping[str, Any], tell: Callable[[float, str], None]
) -> Prepared:
    """The data of a run, prepared.

    Args:
        given: flags of the run, ``data`` and ``model`` among them.
        settings: flags with which they are prepared, as texts.
        tell: told the share that is done of preparing them, and what is being done.

    Raises:
        UsageError: nothing says what to train on, or they cannot be prepared; DataError: there is nothing in them.
    """
    path = given.get("data")
    if path is None:
        raise UsageError("nothing says what to train on", "as in: --data corpus; or --demo, which needs none")
    if is_prepared(Path(path)):
        return read_prepared(Path(path))
    source = PYTHON if Path(path).name == PYTHON and not Path(path).exists() else str(path)
    from zenplan.commands.data.use_case import prepare

    settings = {name: value for name, value in settings.items() if value is not None and name not in _NOT_OF_DATA}
    kind = KINDS.get(str(given.get("model")))
    if kind is not None and kind.data == "arrays" and "label" not in settings and _has_images(Path(source)):
        settings["label"] = "folder"
    out = _kept(source, settings)
    if not is_prepared(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _prepared_once(lambda: prepare(source, out, settings, True, tell), out)
    return read_prepared(out)


def _prepared_once(prepare: Callable[[], object], out: Path) -> None:
    """Prepare them, or wait for the process that does: several workers of a machine begin at the same moment."""
    from zenplan.adapters.corpus.work import BeingPrepared

    while not is_prepared(out):
        try:
            prepare()
        except BeingPrepared:
            time.sleep(_LOOK_S)


def _kept(path: str, settings: Mapping[str, Any]) -> Path:
    """Where data that a run prepared are kept: by what they are, so that they are prepared once."""
    import platformdirs

    whole = path if path == PYTHON else str(Path(path).absolute())
    changed = _changed(Path(whole))
    key = hashlib.sha256(repr((whole, changed, sorted(settings.items()))).encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("zenplan", appauthor=False) / "prepared" / key


def _changed(path: Path) -> tuple[int, float]:
    """Files of it, and when the newest was changed: what was added or written anew is prepared anew."""
    if not path.exists():
        return 0, 0.0
    times = [each.stat().st_mtime for each in (path, *path.rglob("*")) if each.is_file()]
    return len(times), max(times, default=0.0)


def _has_images(path: Path) -> bool:
    return path.is_dir() and any(each.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp") for each in path.rglob("*"))


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


def left_out(data: Prepared) -> str:
    """Which columns and records of the data are not learned from, in a line; empty where all are, or nobody knows."""
    try:
        return read_card(Path(data.folder)).left_out.removesuffix(".")
    except (InputFileError, DataError):
        return ""
