"""The shape of a measured run's model, where its table does not print all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from zenplan.adapters.tables.models import models_by_name
from zenplan.errors import Skipped
from zenplan.families.transformer.presets import plain

# What tables write to what zenplan has. A bare transformer is found by its model's name.
FAMILIES: Final = {
    "": "decoder",
    "decoder": "decoder",
    "dense": "decoder",
    "encoder": "encoder",
    "encoder-decoder": "encoder-decoder",
    "enc-dec": "encoder-decoder",
    "moe-decoder": "moe-decoder",
    "moe": "moe-decoder",
    "transformer": "transformer",
    "convnet": "convnet",
    "cnn": "convnet",
    "vision transformer": "vision transformer",
    "vit": "vision transformer",
    "speech transformer": "speech transformer",
    "recurrent": "recurrent",
    "rnn": "recurrent",
    "recommender": "recommender",
    "dlrm": "recommender",
    "diffusion": "diffusion",
    "gnn": "gnn",
    "mlp": "mlp",
}
# Families whose models are known by their name, or by their FLOP; the others have a shape of layers, heads and widths.
BY_NAME: Final = frozenset(
    ("convnet", "vision transformer", "speech transformer", "recurrent", "recommender", "diffusion", "gnn", "mlp")
)
# Families of models whose feed-forward network has three products, for rows whose sizes do not tell.
_GATED: Final = re.compile(r"llama|qwen|mi[sx]tral|internlm|deepseek|gemma|phi-?[34]|oss|olmo|yi-|baichuan")
# A count that lies within the first of the printed one says which it is, if the other lies beyond the second.
_NEAR, _FAR = 0.05, 0.1
# How far a row's parameters may lie from those of the published model that has its name.
_SAME_MODEL: Final = 0.1


def gated(row: Mapping[str, str]) -> str:
    """``yes`` where the feed-forward network has three products, ``no`` where two, empty without a shape.

    The row's parameters decide, where the count of one alone is near them; else the model's family does.
    A gated model has its own output matrix, one with two products shares the embedding.
    """
    if not (row["layers"] and row["width"]):
        return ""
    if row["params"] and row["ff_width"] and row["vocab"] and row["family"] == "decoder":
        params = float(row["params"])
        three, two = (abs(_parameters(row, products) / params - 1.0) for products in (3, 2))
        if min(three, two) <= _NEAR and max(three, two) > _FAR:
            return "yes" if three < two else "no"
    return "yes" if _GATED.search(row["model"].lower()) else "no"


def _parameters(row: Mapping[str, str], products: int) -> float:
    """Of a decoder: attention, the feed-forward network and the embedding (Narayanan et al. 2021, section 5.1)."""
    width, heads = float(row["width"]), float(row["heads"] or 1)
    keys = float(row["kv_heads"] or heads) / heads
    layer = width * width * (2.0 + 2.0 * keys) + products * width * float(row["ff_width"])
    return float(row["layers"]) * layer + float(row["vocab"]) * width * (products - 1)


def shape_by_name(row: Mapping[str, str]) -> dict[str, str]:
    """The cells of a shape of which the row says the model's name alone.

    Raises:
        Skipped: no published model has that name and about as many parameters.
    """
    name = row["model"]
    # Of "BioBERT (BERT-base)" either can be the published one.
    names = (name, re.sub(r"\(.*\)", "", name), *re.findall(r"\((.*?)\)", name))
    found = (p for n in names if (p := models_by_name().get(plain(n))) is not None)
    preset = next((p for p in found if _about(row["params"], p.parameters)), None)
    if preset is None:
        raise Skipped(f"family transformer: no published model has the name {name} and as many parameters")
    shape = preset.shape
    return {
        "family": shape.family,
        "layers": str(shape.layers),
        "width": str(shape.width),
        "heads": str(shape.heads),
        "kv_heads": str(shape.kv_heads or ""),
        "ff_width": str(shape.ff_width),
        "vocab": str(shape.vocab),
        "gated": "yes" if shape.gated else "no",
        "seq_len": row["seq_len"] or str(shape.seq_len),
    }


def _about(params: str, published: float) -> bool:
    return not params or abs(float(params) / published - 1.0) <= _SAME_MODEL
