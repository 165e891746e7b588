"""What is taken where people name a family of models and no size: ``yolo``, ``llama``, ``whisper``.

It is a size that many take, of the newest generation that zenplan knows; nobody publishes which, so that it is assumed
and said, with others that there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.transformer.presets import plain

# How others of the family begin, to what is taken for the family; more of its names stand in ``_ALSO``.
_TAKEN: Final = {
    "yolo": "yolo11m",
    "yolov5": "yolov5m",
    "yolov8": "yolov8m",
    "yolov9": "yolov9m",
    "yolov10": "yolov10m",
    "yolo11": "yolo11m",
    "yolo12": "yolo12m",
    "rtdetr": "rtdetr-r50",
    "bevformer": "bevformer-base",
    "clip": "clip-vit-b-32",
    "siglip": "siglip-base-16",
    "dinov2": "dinov2-base",
    "deit": "deit-base",
    "swin": "swin-tiny",
    "sam": "sam-vit-h",
    "convnext": "convnext-tiny",
    "efficientnet": "efficientnetb0",
    "dit": "dit-xl-2",
    "flux": "flux-dev",
    "sd3": "sd3.5-large",
    "sd3.5": "sd3.5-large",
    "whisper": "whisper-small",
    "wav2vec2": "wav2vec2-base",
    "hubert": "hubert-base",
    "wavlm": "wavlm-base-plus",
    "roberta": "roberta-base",
    "t5": "t5-base",
    "bart": "bart-large",
    "esm2": "esm2-650m",
    "chronos": "chronos-t5-base",
    "llama": "llama3-8b",
    "llama2": "llama2-7b",
    "llama3": "llama3-8b",
    "llama3.1": "llama3.1-405b",
    "llama3.2": "llama3.2-3b",
    "llama4": "llama-4-scout",
    "qwen": "qwen3-8b",
    "qwen2.5": "qwen2.5-7b",
    "qwen3": "qwen3-8b",
    "qwen3vl": "qwen3-vl-8b",
    "deepseek": "deepseek-v3",
    "kimi": "kimi-k2",
    "mistral": "mistral-7b",
    "mixtral": "mixtral-8x7b",
    "gemma": "gemma2-9b",
    "gemma2": "gemma2-9b",
    "gemma3": "gemma3-27b",
    "phi": "phi-4",
    "phi3": "phi-3-mini",
    "olmo": "olmo2-7b",
    "olmo2": "olmo2-7b",
    "pythia": "pythia-1.4b",
    "opt": "opt-6.7b",
    "smollm": "smollm2-1.7b",
    "smollm2": "smollm2-1.7b",
}
_ALSO: Final = {
    "yolov11": "yolo11",
    "yolov12": "yolo12",
    "openclip": "clip",
    "dino": "dinov2",
    "esm": "esm2",
    "flux1": "flux",
    "flux.1": "flux",
    "stablediffusion3": "sd3",
    "stablediffusion3.5": "sd3.5",
    "qwenvl": "qwen3vl",
    "segmentanything": "sam",
    "wav2vec": "wav2vec2",
    "kimik": "kimi",
}
_SHOWN = 3


def size_of(family: str) -> str | None:
    """The model that is taken where only its family is named; None where the name is none of a family."""
    name = plain(family)
    return _TAKEN.get(_ALSO.get(name, name))


def with_size_told(load: Workload, family: str, known: Iterable[str]) -> Workload:
    """The workload of the size that was taken, with that as its first fact, and others of the family."""
    begins, taken = _ALSO.get(plain(family), plain(family)), size_of(family) or load.name
    others = [each for each in known if plain(each).startswith(begins) and plain(each) not in (plain(taken), begins)]
    others.sort(key=lambda each: -_shared(plain(each), plain(taken)))
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    also = f"; there are also {', '.join(others[:_SHOWN])}{more}" if others else ""
    told = Fact(name="model", value=taken, origin=Origin.ASSUMED, why=f"taken for '{family}', a family of models{also}")
    return replace(load, facts=(told, *(fact for fact in load.facts if fact.name != "model")))


def _shared(one: str, other: str) -> int:
    """Letters that both begin with: a sister of the same generation has more of them."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
