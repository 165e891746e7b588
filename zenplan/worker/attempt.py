"""The border to code that is not ours: a layer's ``call`` may raise anything where it meets symbolic tensors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType

_MOST_LETTERS = 160
_STYLES = re.compile(r"\x1b\[[0-9;]*m")  # Keras prints in bold


@dataclass(slots=True)
class Attempt:
    """As a context, it lets no exception through but those that end a program; ``reason`` says what came of it.

    Attributes:
        reason: the exception in one line; empty where there was none.
    """

    reason: str = ""

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return True
        # Keras wraps what a layer raised in advice of its own.
        text = _STYLES.sub("", str(error).rpartition("Error encountered:")[2])
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        self.reason = f"{type(error).__name__}: {lines[0] if lines else ''}"[:_MOST_LETTERS]
        return isinstance(error, Exception)
