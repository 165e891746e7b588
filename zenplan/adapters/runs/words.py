"""Cells of a table of runs as people write them: ``8B``, ``11,000``, ``bfloat16``, ``zero3``, ``n/a``.

Each reader takes a cell's text and gives the project's word or a plain number. What is nonsense stays an error.
"""

from __future__ import annotations

import math
import re
from typing import Final

from zenplan.domain.training.layout import Recompute
from zenplan.errors import DataError, Skipped, UsageError
from zenplan.units import parse_count

# What stands in cells of which nothing is known.
_EMPTY: Final = frozenset(("n/a", "na", "-", "--", "–", "—", "?", "null", "none"))
# In these columns "none" is an answer.
_NONE_IS_A_WORD: Final = ("attention", "recompute", "zero_stage")
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
# A comma parts thousands, and nothing else: 1,5 is no number, for it may be meant as one and a half.
_THOUSANDS: Final = re.compile(r"\d{1,3}(,\d{3})+(?![\d,]).*")
# A sequence of 4k has 4,096 tokens.
_BINARY: Final = re.compile(r"(\d{1,6})\s*k", re.IGNORECASE)
_ZERO: Final = {"": "", "none": "0", "no": "0", "ddp": "0", "fsdp": "3", "fsdp2": "3"}
_ZERO_STAGE: Final = re.compile(r"(?:(?:zero|stage)[-_ ]?)*([0-3])(?:\.0)?")
_UNFUSED: Final = ("standard", "eager", "none", "no", "math", "unfused", "naive")
_FUSED: Final = re.compile(r"flash|fused|sdpa|cudnn|xformers|memory.?efficient|splash|\bte\b|transformer.?engine")
_TASKS: Final = {
    "pretrain": ("", "pretrain", "pretraining", "training", "train", "continuedpretraining"),
    "sft": ("sft", "finetune", "finetuning", "fullfinetuning", "instructiontuning", "squad"),
    "lora": ("lora", "loraft", "sftlora", "lorasft", "peft"),
}
# What a sample is made of, where it is counted so: the speed is one of tokens then.
PARTS: Final = ("tokens", "mel-frames", "audio-samples")
# An image is a square of three colours.
_SQUARE: Final = re.compile(r"(\d{1,5})x\1(?:x3)?")
_LAYOUT: Final = re.compile(r"\blayout=(\w+)")
_LAYOUTS: Final = {"nhwc": "nhwc", "channels_last": "nhwc", "nchw": "nchw", "channels_first": "nchw"}
_NO_TRAINING: Final = ("inference", "evaluation", "eval", "serving", "decode", "prefill", "generation")


def known(name: str, text: str) -> str:
    """The cell of that column, or empty where it says that nothing is known."""
    word = text.casefold()
    unknown = word in _EMPTY and not (word == "none" and name in _NONE_IS_A_WORD)
    return "" if unknown else text


def number(name: str, text: str) -> float:
    """A count or a rate: ``7e9``, ``8B``, ``11,000``, ``14k``; finite and above zero.

    Raises:
        DataError: it is none; the message has the column's name.
    """
    shown = short(text)
    try:
        value = float(text)
    except ValueError:
        if "," in text and not _THOUSANDS.fullmatch(text):
            raise DataError(f"{name} is not a number: '{shown}'") from None
        try:
            value = parse_count(text, name)
        except UsageError as error:
            raise DataError(error.message.replace(text, shown)) from None
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"{name} must be above zero and finite, not {shown}")
    return value


def tokens(text: str) -> tuple[str, str]:
    """Tokens of a sequence as a plain text, and what was taken where a k stands for 1,024."""
    match = _BINARY.fullmatch(text)
    if match is None:
        return text, ""
    count = int(match[1]) * 1024
    return str(count), f"seq_len of {text}: {count:,} tokens"


def short(text: str) -> str:
    """The text for a message, not endless."""
    return text if len(text) <= 40 else f"{text[:39]}…"


def zero_stage(text: str) -> str:
    """``0`` to ``3``, or empty. FSDP in full divides what stage 3 does."""
    word = text.lower()
    match = _ZERO_STAGE.fullmatch(word)
    if match is None and word not in _ZERO:
        raise DataError(f"zero_stage must be 0, 1, 2 or 3, not '{short(text)}'")
    return match[1] if match else _ZERO[word]


def recompute(text: str) -> str:
    """A word of ``Recompute``, or empty."""
    word = text.lower()
    word = "none" if word in _NO else "full" if word in _YES else word
    if word not in ("", *Recompute):
        raise DataError(f"recompute must be none, selective, half or full, not '{short(text)}'")
    return word


def yes_or_no(name: str, text: str) -> str:
    """``yes``, ``no`` or empty."""
    word = text.lower()
    if word not in ("", *_YES, *_NO):
        raise DataError(f"{name} must be yes or no, not '{short(text)}'")
    return "" if not word else "yes" if word in _YES else "no"


def attention(text: str) -> tuple[str, str]:
    """``standard``, ``flash`` or empty; and a note where the word is not known."""
    word = text.lower()
    if not word or word in _UNFUSED or word.startswith("unfused"):
        return "standard" if word else "", ""
    return "flash", "" if _FUSED.search(word) else f"attention '{short(text)}' is not known: fused is taken"


def task(text: str) -> tuple[str, str]:
    """``pretrain``, ``sft``, ``lora`` or empty; and a note where the word is not known.

    Raises:
        Skipped: it is no training.
    """
    word = re.sub(r"[\W_]+", "", text.lower())
    if word in _NO_TRAINING:
        raise Skipped(f"task {short(text)} is no training")
    found = next((name for name, words in _TASKS.items() if word in words), None)
    if found is None:
        return "pretrain", f"task '{short(text)}' is not known: pre-training is taken"
    return found if word else "", ""


def unit(text: str) -> str:
    """What a speed counts: ``images``, ``tokens``, ``mel-frames``; empty where the row does not say."""
    return text.lower().replace(" ", "-").replace("_", "-")


def image_size(text: str, image: str) -> str:
    """Pixels along a side: as the cell says, or from words like ``224x224x3``; empty where it is no square."""
    match = _SQUARE.fullmatch(image)
    return text or (match[1] if match and int(match[1]) else "")


def layout(text: str, notes: str, framework: str) -> str:
    """How feature maps lie in memory, ``nhwc`` (channels last) or ``nchw``: by its cell, else what other cells say.

    Raises:
        DataError: the cell has another word.
    """
    said = _LAYOUT.search(notes)
    word = text or (said[1] if said else "")
    if not word:
        return "nhwc" if "channels_last" in framework.lower() else ""
    if word.lower() not in _LAYOUTS:
        raise DataError(f"layout must be nhwc or nchw, not '{short(word)}'")
    return _LAYOUTS[word.lower()]
