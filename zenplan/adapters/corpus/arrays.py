"""Arrays that are there already: ``.npy`` files and ``.npz`` archives, read without pickles."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan import units
from zenplan.adapters.corpus.asked import Asked
from zenplan.adapters.corpus.given import Given, given_in, part_of, without_part
from zenplan.adapters.corpus.shards import EACH_BYTES, Shard, Shards
from zenplan.adapters.corpus.values import number_in
from zenplan.adapters.data.walk import PassedBy
from zenplan.adapters.files.regular_file import open_regular
from zenplan.domain.training.data_card import PARTS
from zenplan.errors import DataError, InputFileError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

_HINT: Final = "give a .npz, or a folder of .npy files: x of samples, and y of a label for each"
_SUFFIXES: Final = (".npy", ".npz")
# An archive is unpacked in memory.
_MOST_UNPACKED: Final = 4e9
_LABEL: Final = "y"


def is_arrays(path: Path) -> bool:
    """Whether the data at a path are such files: by their suffixes."""
    if path.is_dir():
        try:
            found = [each for each in path.iterdir() if not each.name.startswith(".")]
        except OSError:
            # Whoever reads it as something else says why.
            return False
        return bool(found) and all(each.suffix == ".npy" for each in found)
    return path.suffix in _SUFFIXES


def files_in(path: Path) -> list[Path]:
    """The files at a path that is one, or a folder of ``.npy`` files."""
    return sorted(path.glob("*.npy")) if path.is_dir() else [path]


@dataclass(frozen=True, slots=True)
class Lot:
    """Arrays of as many samples.

    Attributes:
        part: of the split that they come with; 0 without one.
        inputs: to learn from, by name.
        labels: one for each sample.
    """

    part: int
    inputs: dict[str, Array]
    labels: Array


def names_in(path: Path) -> list[str]:
    """Of the arrays at a path; of an archive that cannot be read none, and reading it says why."""
    if path.suffix != ".npz":
        return [file.stem for file in files_in(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            return [each.removesuffix(".npy") for each in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return []


def read_lots(asked: Asked, given: Given) -> list[Lot]:
    """The arrays: all of them, or those of each part of a given split, of test first.

    Raises:
        DataError: they are none of numbers, not of as many samples, or in one part of other shapes than in another.
        InputFileError: a file cannot be read, or there is no label, or nothing beside it.
    """
    path = Path(asked.source)
    every, by_part = _read(path), dict[int, dict[str, Array]]()
    # Also where it is not kept: there is an array of samples in each part.
    if given_in(list(every)):
        for name, array in every.items():
            by_part.setdefault(part_of(name), {})[without_part(name)] = array
        by_part.pop(0, None)
    lots = [_lot(given.part(PARTS[part - 1]), by_part[part], asked) for part in sorted(by_part, reverse=True)] or [
        _lot(0, every, asked)
    ]
    kinds = [{name: (array.dtype, array.shape[1:]) for name, array in lot.inputs.items()} for lot in lots]
    if any(kind != kinds[0] for kind in kinds):
        raise DataError(f"the arrays of '{path}' are of other shapes or types in one part than in another", _HINT)
    return lots


def _lot(part: int, arrays: dict[str, Array], asked: Asked) -> Lot:
    label = asked.label or _LABEL
    if label not in arrays:
        raise InputFileError(
            f"the data '{asked.source}' have no array '{label}' of labels", f"they have {', '.join(arrays)}; {_HINT}"
        )
    inputs = {name: array for name, array in arrays.items() if name != label}
    if not inputs or arrays[label].squeeze().ndim > 1:
        raise InputFileError(f"the data '{asked.source}' need an array of samples beside one label for each", _HINT)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise DataError(f"the arrays of '{asked.source}' are not of as many samples: {told}", _HINT)
    return Lot(part, inputs, arrays[label].reshape(len(arrays[label])))


def _read(path: Path) -> dict[str, Array]:
    """The arrays by their names, each of numbers."""
    found: dict[str, Array] = {}
    for file in files_in(path):
        os.close(open_regular(file, f"the data '{file}'", float("inf"), _HINT))
        found |= _opened(file)
    if not found:
        raise DataError(f"the data '{path}' have no array", _HINT)
    for name, array in found.items():
        if array.dtype.kind not in "biuf" or array.ndim < 1:
            raise DataError(f"the array '{name}' of '{path}' is not one of numbers: {array.dtype}", _HINT)
    return found


def _opened(file: Path) -> dict[str, Array]:
    try:
        if file.suffix == ".npy":
            return {file.stem: np.lib.format.open_memmap(file, mode="r")}
        with zipfile.ZipFile(file) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > _MOST_UNPACKED:
            most = units.size(_MOST_UNPACKED)
            raise DataError(
                f"'{file}' has {units.size(size)} of arrays, more than {most}", "give .npy files in a folder"
            )
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        objects = any(word in str(error) for word in ("allow_pickle", "Python objects"))
        why = "holds objects, which are pickles and never loaded" if objects else "is broken"
        raise DataError(f"the array file '{file}' {why}", _HINT) from error


def kept_as(array: Array) -> Any:
    """The type in which an array is kept: bytes as they are, other whole numbers int32, the rest float32."""
    if array.dtype in (np.uint8, np.bool_):
        return np.dtype(np.uint8)
    return np.dtype(np.int32 if array.dtype.kind in "iu" else np.float32)


def fill_arrays(
    shards: Shards,
    lots: Sequence[Lot],
    asked: Asked,
    read_label: Callable[[Any], tuple[str, str]],
    tell: Callable[[float], None],
) -> None:
    """Write the shards of all samples that are not in one yet.

    Args:
        shards: those that are finished.
        lots: of arrays.
        asked: the size of a shard.
        read_label: makes a text of a label, or says what is wrong with it.
        tell: called with the share that is done.
    """
    total, done = sum(len(lot.labels) for lot in lots), 0
    number, begin = shards.place or (0, 0)
    for place, lot in enumerate(lots):
        if place == number:
            each = sum(array.nbytes for array in lot.inputs.values()) / max(len(lot.labels), 1)
            step = max(1, int(asked.shard_bytes / (each + EACH_BYTES)))
            for start in range(begin, len(lot.labels), step):
                _shard(shards, (place, start, start + step), lot, read_label)
                tell((done + min(start + step, len(lot.labels))) / total)
            number, begin = place + 1, 0
        done += len(lot.labels)


def _shard(shards: Shards, of: tuple[int, int, int], lot: Lot, read_label: Callable[[Any], tuple[str, str]]) -> None:
    """The samples of a lot, by its number, from one to below another, as a shard."""
    shard, (place, begin, end) = Shard(shards.work, len(shards), PassedBy()), of
    blocks = {name: np.asarray(array[begin:end]) for name, array in lot.inputs.items()}
    for row, value in enumerate(lot.labels[begin:end].tolist()):
        _take(shard, blocks, row, read_label(value), (lot.part, begin + row))
    kept = {f"in{n}": _kept(shard, block) for n, block in enumerate(blocks.values())}
    shard.finish((place, end), kept, texts=False)
    shards.added()


def _take(shard: Shard, blocks: Mapping[str, Array], row: int, label: tuple[str, str], of: tuple[int, int]) -> None:
    shard.records += 1
    name, problem = label
    part, number = of
    for array, block in blocks.items():
        values = block[row]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            problem = problem or number_in(float("nan"), f"'{array}'")[1]
        elif (
            values.dtype.kind in "iu" and values.dtype.itemsize > 2 and np.abs(values.astype(np.float64)).max() >= 2**31
        ):
            problem = problem or f"a whole number of more than 32 bits in '{array}'"
    if problem:
        shard.drop(f"sample {number}" if not part else f"sample {number} of {PARTS[part - 1]}", problem)
        return
    content = b"".join(block[row].tobytes() for block in blocks.values())
    shard.add(content, row, part, label=name)


def _kept(shard: Shard, block: Array) -> Array:
    rows = np.array(shard.payload, np.int64)
    return block[rows].astype(kept_as(block))
