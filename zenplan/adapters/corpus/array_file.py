"""An array that is written to its ``.npy`` file part by part, of which memory never holds the whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


class ArrayFile:
    """A file of known shape, as a context, that is filled in order. What is added has to fill it exactly."""

    def __init__(self, path: Path, dtype: Any, shape: Sequence[int]) -> None:
        self._dtype, self._left = np.dtype(dtype), int(np.prod(shape, dtype=np.int64))
        self._file = path.open("wb")
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def add(self, part: Array) -> None:
        """The next values."""
        self._left -= part.size
        self._file.write(np.ascontiguousarray(part, self._dtype).data)

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """All of it is on the disk; after an error, it is let go of."""
        if kind is not None:
            with suppress(OSError):
                self._file.close()
            return
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        if self._left:
            raise ValueError(f"{self._left} values too few")
