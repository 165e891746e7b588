"""A tokenizer from a file: ``tokenizer.json``, as Hugging Face's ``tokenizers`` writes it. Nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from zenplan.adapters.files.regular_file import read_text
from zenplan.errors import UsageError

HINT: Final = "give the tokenizer.json of a Hugging Face model"
_MOST_BYTES: Final = 200 * 10**6


def read_tokenizer(path: str | os.PathLike[str]) -> str:
    """The text of the file. Raises InputFileError: it is not there, or no text."""
    return read_text(path, f"the tokenizer '{os.fspath(path)}'", _MOST_BYTES, HINT)


def check_installed() -> None:
    """Raises UsageError: ``tokenizers`` is not installed."""
    try:
        import tokenizers  # noqa: F401 (it is only asked whether it can be)
    except ImportError as error:
        raise UsageError(
            "a tokenizer needs the package tokenizers, which is not installed", "pip install 'zenplan[data]'"
        ) from error


def tokenizer_of(text: str) -> Callable[[Sequence[str]], list[int]]:
    """A function from texts to the tokens of each, without those that only mark an end.

    Raises:
        Exception: the text is no tokenizer; the library raises nothing more exact.
    """
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(text)
    made.no_truncation()
    made.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        # A text of JSON may have half a surrogate pair, which is no UTF-8.
        clean = [t if t.isascii() else t.encode("utf-8", "replace").decode("utf-8") for t in texts]
        return [len(found.ids) for found in made.encode_batch_fast(clean, add_special_tokens=False)]

    return count
