"""Cells of a table of runs as people write them: ``8B``, ``11,000``, ``bfloat16``, ``zero3``, ``n/a``, ``8x200G HDR``.

Each reader takes a cell's text and gives the project's word, a number or a noun. What is nonsense is an error.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.precision import PRECISIONS, Precision
from zenplan.domain.training.layout import Recompute
from zenplan.errors import Skipped, UnknownName, UsageError
from zenplan.units import is_amount, number_of, parse_count

# What stands in cells of which nothing is known.
_EMPTY: Final = frozenset(("n/a", "na", "-", "--", "–", "—", "?", "null", "none"))
# In these columns "none" is an answer.
_NONE_IS_A_WORD: Final = ("attention", "recompute", "zero_stage")
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
# A sequence of 4k has 4,096 tokens.
_BINARY: Final = re.compile(r"(\d{1,6})\s*k", re.IGNORECASE)
_ZERO: Final = {"": None, "none": 0, "no": 0, "ddp": 0, "fsdp": 3, "fsdp2": 3}
_ZERO_STAGE: Final = re.compile(r"(?:(?:zero|stage)[-_ ]?)*([0-3])(?:\.0)?")
_UNFUSED: Final = ("standard", "eager", "none", "no", "math", "unfused", "naive")
_FUSED: Final = re.compile(r"flash|fused|sdpa|cudnn|xformers|memory.?efficient|splash|\bte\b|transformer.?engine")
_TASKS: Final = {
    "pretrain": ("", "pretrain", "pretraining", "training", "train", "continuedpretraining"),
    "sft": ("sft", "finetune", "finetuning", "fullfinetuning", "instructiontuning", "squad"),
    "lora": ("lora", "loraft", "sftlora", "lorasft", "peft"),
    "qlora": ("qlora", "qloraft", "sftqlora", "qlorasft", "fsdpqlora"),
}
# What a sample is made of, where it is counted so: the speed is one of tokens then.
PARTS: Final = ("tokens", "mel-frames", "audio-samples")
# No count or rate of a run is less or more; what is made of those beyond has no floating-point number.
_LEAST: Final = 1e-9
_MOST: Final = 1e24
# An image is a square of three colours.
_SQUARE: Final = re.compile(r"(\d{1,5})x\1(?:x3)?")
_LAYOUT: Final = re.compile(r"\blayout=(\w+)")
_CHANNELS_LAST: Final = {"nhwc": True, "channels_last": True, "nchw": False, "channels_first": False}
_NO_TRAINING: Final = ("inference", "evaluation", "eval", "serving", "decode", "prefill", "generation")


def known(name: str, text: str) -> str:
    """The cell of that column, or empty where it says that nothing is known."""
    word = text.casefold()
    unknown = word in _EMPTY and not (word == "none" and name in _NONE_IS_A_WORD)
    return "" if unknown else text


def number(name: str, text: str) -> float:
    """A count or a rate: ``7e9``, ``8B``, ``11,000``, ``14k``; finite and above zero.

    Raises:
        Skipped: it is none; the message has the column's name.
    """
    shown = short(text)
    value = number_of(text)
    if value is None:
        try:
            value = parse_count(text, name)
        except UsageError as error:
            raise Skipped(error.message.replace(text, shown)) from None
    return positive(name, value, shown)


def positive(name: str, value: float, shown: str) -> float:
    """The value, if it is finite, above zero, and no nonsense."""
    if not is_amount(value):
        raise Skipped(f"{name} must be above zero and finite, not {shown}")
    if not _LEAST <= value <= _MOST:
        raise Skipped(f"{name} of {shown} is beyond any run")
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


def zero_stage(text: str) -> int | None:
    """0 to 3. FSDP in full divides what stage 3 does."""
    word = text.lower()
    match = _ZERO_STAGE.fullmatch(word)
    if match is None and word not in _ZERO:
        raise Skipped(f"zero_stage must be 0, 1, 2 or 3, not '{short(text)}'")
    return int(match[1]) if match else _ZERO[word]


def recompute(text: str) -> Recompute | None:
    """What is computed again in the backward pass."""
    word = text.lower()
    word = "none" if word in _NO else "full" if word in _YES else word
    if word not in ("", *Recompute):
        raise Skipped(f"recompute must be none, selective, half or full, not '{short(text)}'")
    return Recompute(word) if word else None


def yes_or_no(name: str, text: str) -> bool | None:
    """Yes, no, or unknown."""
    word = text.lower()
    if word not in ("", *_YES, *_NO):
        raise Skipped(f"{name} must be yes or no, not '{short(text)}'")
    return word in _YES if word else None


def fused_attention(text: str) -> tuple[bool | None, str]:
    """Whether attention ran in a fused kernel; and a note where the word is not known."""
    word = text.lower()
    if not word or word in _UNFUSED or word.startswith("unfused"):
        return False if word else None, ""
    return True, "" if _FUSED.search(word) else f"attention '{short(text)}' is not known: fused is taken"


def task(text: str) -> tuple[str, str]:
    """``pretrain``, ``sft``, ``lora``, ``qlora`` or empty; and a note where the word is not known.

    Raises:
        Skipped: it is no training.
    """
    word = re.sub(r"[\W_]+", "", text.lower())
    if word in _NO_TRAINING:
        raise Skipped(f"task {short(text)} is no training")
    found = next((name for name, words in _TASKS.items() if word in words), None) or _method(word)
    if found is None:
        return "pretrain", f"task '{short(text)}' is not known: pre-training is taken"
    return found if word else "", ""


def _method(word: str) -> str | None:
    """The task of which a cell's words tell the method alone: ``LoRA r16``, ``DoRA``, ``4-bit LoRA``, ``full FT``."""
    if "lora" in word or "dora" in word:
        return "qlora" if re.search("qlora|qdora|4bit|int4|nf4|gptq|awq", word) else "lora"
    return "sft" if re.search("sft|finetun|fullft|instruct", word) else None


def unit(text: str) -> str:
    """What a speed counts: ``images``, ``tokens``, ``mel-frames``; empty where the row does not say."""
    return text.lower().replace(" ", "-").replace("_", "-")


def image_size(text: str) -> int | None:
    """Pixels along a side, from words like ``224x224x3``; None where it is no square."""
    match = _SQUARE.fullmatch(text)
    return int(match[1]) or None if match else None


def channels_last(text: str, notes: str, framework: str) -> bool | None:
    """How feature maps lie in memory, ``nhwc`` or ``nchw``: by its cell, else what other cells say.

    Raises:
        Skipped: the cell has another word.
    """
    said = _LAYOUT.search(notes)
    word = text or (said[1] if said else "")
    if not word:
        return True if "channels_last" in framework.lower() else None
    if word.lower() not in _CHANNELS_LAST:
        raise Skipped(f"layout must be nhwc or nchw, not '{short(word)}'")
    return _CHANNELS_LAST[word.lower()]


# --- the accelerator

# How tables end a name whose form factor the source does not say.
_NO_FORM: Final = ("-?", "?")
# Makers, which people and drivers write before a product's name.
_MAKER: Final = re.compile(r"^(nvidia|amd|google|intel|aws)[\s-]+", re.IGNORECASE)
_SLICE: Final = re.compile(r"\bmig\b", re.IGNORECASE)


def accelerator_of(cells: Mapping[str, str], catalogue: Catalogue) -> tuple[Accelerator, tuple[str, ...]]:
    """The data sheet of a row's accelerator, and what was taken to find it.

    Raises:
        Skipped: the cell is empty, a slice, or nothing has that name; the message has the nearest names. Or it is
            made for inference only.
    """
    text = known("accelerator", cells.get("accelerator", "")) or known("gpu", cells.get("gpu", ""))
    if not text:
        raise Skipped("accelerator is empty")
    name = text.removesuffix(_NO_FORM[0]).removesuffix(_NO_FORM[1])
    # What the driver prints of a slice is the name of the whole.
    if _SLICE.search(name):
        raise Skipped(f"{text} is a slice of a device, not a whole one")
    accelerator = _by_name(name, catalogue)
    if not accelerator.trains:
        raise Skipped(f"{accelerator.name} is made for inference only")
    return accelerator, (f"{text}: the form factor is not stated: {accelerator.name}",) if name != text else ()


def _by_name(name: str, catalogue: Catalogue) -> Accelerator:
    """By its name, as its driver prints it, or by what follows its maker's name."""
    product = _MAKER.sub("", name, count=1)
    with contextlib.suppress(UnknownName):
        return catalogue.by_name(name)
    if (accelerator := catalogue.by_nvml(name)) is not None:
        return accelerator
    try:
        return catalogue.by_name(product)
    except UnknownName as error:
        raise Skipped(f"unknown accelerator '{name}'; {error.hint}") from error


# --- the precision

# Names that tables use for what ``PRECISIONS`` has: mixed precision, scaling recipes of fp8 and fp4. The first that
# is found decides.
_WORDS: Final = (
    ("fp4", "nvfp4"),
    ("fp8-mx", "mxfp8"),
    ("mxfp8", "mxfp8"),
    ("rowwise", "fp8-rowwise"),
    ("row-wise", "fp8-rowwise"),
    ("fp8-row", "fp8-rowwise"),
    ("blockwise", "fp8-block"),
    ("fp8-block", "fp8-block"),
    # Megatron Bridge's name of it: sub-channel scaling.
    ("fp8-sc", "fp8-block"),
    ("fp8", "fp8"),
    ("bf16-pure", "bf16-pure"),
    ("bf16-true", "bf16-pure"),
    ("bf16", "bf16"),
    ("bfloat16", "bf16"),
    ("fp16", "fp16"),
    ("float16", "fp16"),
    ("half", "fp16"),
    ("tf32", "tf32"),
    ("fp32", "fp32"),
    ("float32", "fp32"),
)
# Numbers of 16 bits that are computed with as 32: GeForce of Pascal multiplies in fp16 at a 64th of the speed (NVIDIA,
# CUDA Programming Guide, arithmetic throughput), and libraries do not.
_STORED: Final = Precision(name="fp16", matmul_dtype="fp32", other_dtype="fp32", compute_bytes=2, master_bytes=4)
# Which 16 bits they are is not said.
_MIXED: Final = re.compile(r"(auto)?(mixed|amp)([-_ ]?precision)?|16[-_ ]?mixed", re.IGNORECASE)


def precision_of(text: str, accelerator: Accelerator) -> Precision:
    """The precision under the name that zenplan has for it; bf16 or what is before it where none is said.

    Raises:
        Skipped: it is not known, or the data sheet has no peak of it.
    """
    word = text.lower()
    name = next((name for part, name in _WORDS if part in word), None)
    if name is None and not unsaid(text):
        raise Skipped(f"precision '{text}' is not known")
    # Before bf16 there was fp16.
    precision = PRECISIONS[name or ("bf16" if accelerator.peak("bf16") else "fp16")]
    if "pseudo" in word or (name == "fp16" and not accelerator.can_run(precision)):
        precision = _STORED
    if not accelerator.can_run(precision):
        raise Skipped(f"no {precision.name} peak in the data sheet of {accelerator.name}")
    return precision


def unsaid(text: str) -> bool:
    """Whether the cell leaves open which precision it is: empty, or mixed without a type."""
    return not text or _MIXED.fullmatch(text) is not None


def stored(precision: Precision, accelerator: Accelerator) -> str:
    """What is told where numbers are kept in a precision that the accelerator does not compute in; else empty."""
    if precision != _STORED:
        return ""
    return f"precision fp16 on {accelerator.name}: kept in fp16, computed in fp32"


# --- the network

# Gbit/s of one adapter of an InfiniBand generation (InfiniBand Trade Association).
_GENERATIONS: Final = {"FDR": 56.0, "EDR": 100.0, "HDR": 200.0, "NDR": 400.0, "XDR": 800.0}
# What joins devices inside a node, or a rack: no network between nodes.
_INSIDE: Final = re.compile(r"\s*(nvlink|nvswitch|nvl\d|pcie|xgmi|infinity|ici\b)", re.IGNORECASE)
_TIMES: Final = r"(?:(?P<times>\d{1,6})\s*[x×]\s*)?"
# A capital B is bytes; the size of a memory (80GB) has no second in it and is no speed.
_SPEED: Final = re.compile(
    rf"{_TIMES}(?P<value>\d{{1,9}}(?:\.\d{{1,6}})?)\s*(?:(?P<bytes>GB/s|GBps|GBytes?/s)"
    r"|(?P<scale>[GgT])(?:[Bb]it/s|[Bb]its/s|b/s|bps|bit\b|bE\b|b\b|\b))"
)
_GENERATION: Final = re.compile(rf"{_TIMES}\b(?P<name>{'|'.join(_GENERATIONS)})\b")
_DEVICE: Final = r"(?:gpus?|devices?|accelerators?|tpus?)"
_EACH_DEVICE: Final = re.compile(rf"[^()]*?(?:/|\bper\b|\ba\b)\s*{_DEVICE}\b", re.IGNORECASE)
_IN_NODE: Final = re.compile(rf"(\d{{1,6}})\s*{_DEVICE}\s*(?:/|per|a)\s*node", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What a text says; None is unknown.

    Attributes:
        node_devices: devices in a node.
        device_gbit_per_s: 1e9 bit/s of one device, between nodes.
        node_gbit_per_s: 1e9 bit/s of a whole node.
    """

    node_devices: int | None = None
    device_gbit_per_s: float | None = None
    node_gbit_per_s: float | None = None

    def each_gbit_per_s(self, node_devices: int) -> float | None:
        """1e9 bit/s of one device, where a node has so many."""
        if self.device_gbit_per_s is not None or self.node_gbit_per_s is None:
            return self.device_gbit_per_s
        return self.node_gbit_per_s / node_devices


def network_of(text: str) -> Network:
    """What the words say about the network. A speed that is not said to be a device's is a node's."""
    node = _IN_NODE.search(text)
    node_devices = int(node[1]) or None if node else _known_machine(text)
    for part in re.split(r"[+;,]", text):
        found = None if _INSIDE.match(part) else _SPEED.search(part) or _GENERATION.search(part)
        speed = _gbit_per_s(found) if found else 0.0
        if found and speed and _EACH_DEVICE.match(part[found.end() :]):
            return Network(node_devices=node_devices, device_gbit_per_s=speed)
        if speed:
            return Network(node_devices=node_devices, node_gbit_per_s=speed)
    return Network(node_devices=node_devices)


def says_something(text: str) -> bool:
    """Whether any word of it is known: a speed, a node's devices, or what joins devices inside a node."""
    return network_of(text) != Network() or any(map(_INSIDE.match, re.split(r"[+;,]", text)))


def _known_machine(text: str) -> int | None:
    # Jean Zay: four V100 (NVLink 2) a node beside its four Omni-Path adapters (IDRIS).
    return 4 if re.search(r"NVLink ?2\b.*Omni-?Path", text, re.IGNORECASE) else None


def _gbit_per_s(found: re.Match[str]) -> float:
    """Number times speed, a speed, or a generation of InfiniBand."""
    named = found.groupdict()
    if "name" in named:
        each = _GENERATIONS[named["name"]]
    else:
        each = float(named["value"]) * (8.0 if named["bytes"] else 1000.0 if named["scale"] == "T" else 1.0)
    return each * float(named["times"] or 1)
