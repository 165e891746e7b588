"""Points of a sweep in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

_WORDS: Final[Mapping[str, Callable[[Mapping[str, str]], str]]] = {
    "transformer": lambda a: f"transformer, {_layers(a)}, {a['width']} wide",
    "convnet": lambda a: f"{a['kind']} convnet, {a['width']} wide, {a['image_size']} px",
    "recurrent": lambda a: f"{a['cell'].upper()}, {_layers(a)}, {a['width']} wide",
    "product": lambda a: f"matrix product, {a['inner']} × {a['columns']}",
    "convolution": lambda a: f"{a['window']} × {a['window']} convolution, {a['inputs']} to {a['outputs']}",
    "attention": lambda a: f"attention, {a['heads']} heads, {a['seq_len']} tokens",
    "stream": lambda a: f"norms and sums, {int(a['elements']):,} long",
}


def in_words(variant: str) -> str:
    """``product rows=64 inner=2048 columns=2048 repeat=2`` as *matrix product, 2048 × 2048*; what is not known as it is."""
    builder, *arguments = variant.split(" ")
    values = dict(each.split("=", 1) for each in arguments if "=" in each)
    try:
        return _WORDS[builder](values)
    except (KeyError, ValueError):
        return variant


def _layers(arguments: Mapping[str, str]) -> str:
    return "1 layer" if arguments["depth"] == "1" else f"{arguments['depth']} layers"
