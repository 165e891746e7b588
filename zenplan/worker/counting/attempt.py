"""The border to code that is not ours: a layer's ``call`` may raise anything where it meets symbolic tensors."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from zenplan.worker.protocol import says

_MOST_LETTERS = 160


@dataclass(slots=True)
class Attempt:
    """As a context, it lets no exception through but those that end a program; ``reason`` says what came of it.

    Attributes:
        reason: the exception in one line; empty where there was none.
        error: it; None where there was none.
    """

    reason: str = ""
    error: BaseException | None = None

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return True
        self.error = error
        self.reason = f"{type(error).__name__}: {says(error)}"
        if len(self.reason) > _MOST_LETTERS:
            self.reason = f"{self.reason[:_MOST_LETTERS].rpartition(' ')[0]} …"
        return isinstance(error, Exception)
