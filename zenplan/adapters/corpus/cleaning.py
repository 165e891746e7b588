"""Cleaning of texts: one form of each character and line end, and what is too short, too long, or no text to learn from."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

# Characters that no text has much of: controls, what could not be decoded, and what is not assigned.
_STRANGE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_MOST_STRANGE: Final = 0.1
# The rules for running text of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1).
_WORD_LETTERS: Final = (3.0, 10.0)
_MOST_SYMBOLS: Final = 0.1
_LEAST_ALPHABETIC: Final = 0.8
_MOST_BULLETS: Final = 0.9
_MOST_ELLIPSES: Final = 0.3
_MOST_SAME_LINES: Final = 0.3
_BULLETS: Final = ("-", "*", "\u2022", "\u2023", "\u2013")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a text has to be.

    Attributes:
        min_chars, max_chars: its length in characters; None for no limit.
        prose: whether it has to be running text.
    """

    min_chars: int = 1
    max_chars: int | None = None
    prose: bool = False

    def why_not(self, text: str) -> str:
        """Why a normalised text is dropped, in a few words; empty where it is kept."""
        if not text or text.isspace():
            return "empty"
        if len(text) < self.min_chars:
            return f"shorter than {self.min_chars:,} characters"
        if self.max_chars is not None and len(text) > self.max_chars:
            return f"longer than {self.max_chars:,} characters"
        if len(_STRANGE.findall(text)) > _MOST_STRANGE * len(text):
            return "control characters, or what could not be decoded"
        return _no_prose(text) if self.prose else ""


def normalised(text: str) -> str:
    """The text in Unicode NFC, its lines ended by a line feed alone, without half surrogate pairs."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    # JSON may have half a surrogate pair, which is no UTF-8.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _no_prose(text: str) -> str:
    words = text.split()
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    letters = sum(map(len, words)) / len(words)
    if not _WORD_LETTERS[0] <= letters <= _WORD_LETTERS[1]:
        return "no prose: words of an unusual length"
    if (text.count("#") + text.count("…") + text.count("...")) > _MOST_SYMBOLS * len(words):
        return "no prose: many symbols"
    if sum(any(map(str.isalpha, word)) for word in words) < _LEAST_ALPHABETIC * len(words):
        return "no prose: few words with letters"
    if sum(line.startswith(_BULLETS) for line in lines) > _MOST_BULLETS * len(lines):
        return "no prose: a list"
    if sum(line.endswith(("…", "...")) for line in lines) > _MOST_ELLIPSES * len(lines):
        return "no prose: lines that were cut off"
    if len(lines) - len(set(lines)) > _MOST_SAME_LINES * len(lines):
        return "no prose: lines that repeat"
    return ""
