"""Encoders and encoder-decoders of text among the ``model_type``s of Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenplan.families.configurations.decoders import gpt
from zenplan.families.configurations.types import ModelType


def encoder(**given: Any) -> ModelType:
    """A model of BERT's kind."""
    base: dict[str, Any] = {
        "family": "encoder",
        "tied": True,
        "positions": 0,
        "segments": True,
        "head_transform": True,
        "defaults": {"reach": 512},
        "dropout": ("hidden_dropout_prob", 0.1),
    }
    return gpt(**(base | given))


ENCODERS: Mapping[str, ModelType] = {
    "bert": encoder(),
    "distilbert": encoder(
        segments=False,
        dropout=("dropout", 0.1),
        keys={"layers": "n_layers", "width": "dim", "heads": "n_heads", "ff_width": "hidden_dim"},
    ),
    "roberta": encoder(),
}

BOTH: Mapping[str, ModelType] = {
    "t5": ModelType(
        family="encoder-decoder",
        gated=False,
        tied=True,
        dropout=("dropout_rate", 0.1),
        keys={
            "layers": "num_layers",
            "width": "d_model",
            "heads": "num_heads",
            "kv_heads": "",
            "head_dim": "d_kv",
            "ff_width": "d_ff",
            "reach": "n_positions",
        },
        defaults={"head_dim": 64, "reach": 512},
    ),
}
