"""The shape and the layout of a measured run: what its table does not print of them, and whether its cells agree."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from zenplan.adapters.tables.counted import counted_by_name
from zenplan.adapters.tables.models import models_by_name
from zenplan.errors import Skipped
from zenplan.families.catalogue import family_of, names_of
from zenplan.families.transformer.presets import Preset, plain

# Fields of ``MeasuredRun``, None where a cell is empty.
Known = Mapping[str, Any]

# What tables write to what zenplan has. A bare transformer is found by its model's name.
FAMILIES: Final = {
    "dense": "decoder",
    "decoder": "decoder",
    "encoder": "encoder",
    "enc-dec": "encoder-decoder",
    "encoder-decoder": "encoder-decoder",
    "moe": "moe-decoder",
    "moe-decoder": "moe-decoder",
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
# Families of models whose feed-forward network has three products, for rows whose sizes do not tell.
_GATED: Final = re.compile(r"llama|qwen|mi[sx]tral|internlm|deepseek|gemma|phi-?[34]|oss|olmo|yi-|baichuan")
# A count that lies within the first of the printed one says which it is, if the other lies beyond the second.
_NEAR, _FAR = 0.05, 0.1
# How far a row's parameters may lie from those of the published model that has its name.
_SAME_MODEL: Final = 0.1


def family_by_name(model: str, has_shape: bool) -> tuple[str, str]:
    """The family of a run whose row does not say it, and why: that of the model of that name; else of a transformer
    over tokens, if its sizes are there.

    Raises:
        Skipped: no model of that name is known, and there is no shape.
    """
    if preset := published(model):
        mixture = preset.shape.family == "decoder" and preset.shape.experts is not None
        return "moe-decoder" if mixture else preset.shape.family, f"as {preset.name} is"
    if family := family_of(model):
        return family, f"as {model} is"
    counted = next((m for n in names_of(model) if (m := counted_by_name().get(plain(n))) is not None), None)
    if counted is not None:
        return counted.family, f"as {counted.name} is"
    if has_shape:
        return "decoder", "as it has the shape of one"
    what = f"no model of the name {model} is known" if model else "model is empty too"
    raise Skipped(f"family is empty, {what}, and there are no params with seq_len, nor layers, width and seq_len")


def usual_length(model: str) -> int | None:
    """Tokens of a sequence that the published model of that name is trained with; None where there is none."""
    preset = published(model)
    return preset.shape.encoder_seq_len or preset.shape.seq_len if preset else None


def published(model: str) -> Preset | None:
    """The published language model of that name, or of one in brackets."""
    names = (model, re.sub(r"\(.*\)", "", model), *re.findall(r"\((.*?)\)", model))
    return next((p for n in names if (p := models_by_name().get(plain(n))) is not None), None)


def gated(known: Known) -> bool | None:
    """Whether the feed-forward network has three products, not two; None without a shape.

    The row's parameters decide, where the count of one alone is near them; else the model's family does.
    A gated model has its own output matrix, one with two products shares the embedding.
    """
    if not (known["layers"] and known["width"]):
        return None
    if known["params"] and known["ff_width"] and known["vocab"] and known["family"] == "decoder":
        three, two = (abs(_parameters(known, products) / known["params"] - 1.0) for products in (3, 2))
        if min(three, two) <= _NEAR and max(three, two) > _FAR:
            return bool(three < two)
    return _GATED.search(known["model"].lower()) is not None


def _parameters(known: Known, products: int) -> float:
    """Of a decoder: attention, the feed-forward network and the embedding (Narayanan et al. 2021, section 5.1)."""
    width, heads = float(known["width"]), float(known["heads"] or 1)
    keys = float(known["kv_heads"] or heads) / heads
    layer = width * width * (2.0 + 2.0 * keys) + products * width * float(known["ff_width"])
    return float(known["layers"]) * layer + float(known["vocab"]) * width * (products - 1)


def shape_by_name(known: Known) -> dict[str, Any]:
    """The fields of a shape of which the row says the model's name alone.

    Raises:
        Skipped: no published model has that name and about as many parameters.
    """
    name = known["model"]
    # Of "BioBERT (BERT-base)" either can be the published one.
    names = (name, re.sub(r"\(.*\)", "", name), *re.findall(r"\((.*?)\)", name))
    found = (p for n in names if (p := models_by_name().get(plain(n))) is not None)
    preset = next((p for p in found if _about(known["params"], p.parameters)), None)
    if preset is None:
        raise Skipped(f"family transformer: no published model has the name {name} and as many parameters")
    shape = preset.shape
    return {
        "family": shape.family,
        "layers": shape.layers,
        "width": shape.width,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads or None,
        "ff_width": shape.ff_width,
        "vocab": shape.vocab,
        "seq_len": known["seq_len"] or shape.seq_len,
    }


def _about(params: float | None, published: float) -> bool:
    return not params or abs(params / published - 1.0) <= _SAME_MODEL


# --- whether cells agree

# Two printed figures that differ by no more than this are one, rounded.
_AGREE: Final = 0.02
# What should divide what; a run where it does not is rare, but there are some.
_DIVIDES: Final = (("tp", "heads"), ("kv_heads", "heads"), ("heads", "width"), ("cp", "seq_len"))
_AT_MOST: Final = (("tp", "heads"), ("kv_heads", "heads"), ("micro_batch", "global_batch"), ("ep", "devices"))
_MIXTURES: Final = ("moe-decoder",)
# Stages are often shared out with the embedding, the head or both counted as layers.
_ENDS: Final = (0, 1, 2)


def check_layout(known: Known, nodes: int | None, node_devices: int | None) -> None:
    """Find a layout that no run can have had.

    Args:
        known: fields of ``MeasuredRun``, None where a cell is empty.
        nodes, node_devices: as the row prints them, before anything is worked out; None where it does not.

    Raises:
        Skipped: two cells contradict each other; the message has both.
    """
    counts = {name: value for name, value in known.items() if value is not None}
    stages, parts = counts.get("pp", 1), counts.get("vp", 1)
    # An end of the model can be a part of its own.
    if stages * parts > counts.get("layers", math.inf) + max(_ENDS):
        raise Skipped(f"{stages} pipeline stages of {parts} parts need more than {counts['layers']} layers")
    for name, whole in _AT_MOST:
        if counts.get(name, 1) > counts.get(whole, math.inf):
            raise Skipped(f"{name} = {counts[name]} is more than {whole} = {counts[whole]}")
    if counts.get("ep", 1) > 1 and known["family"] not in _MIXTURES:
        raise Skipped(f"ep = {counts['ep']}, but a model of the family {known['family']} has no experts")
    devices = counts["devices"]
    # The last node, or the only one, may be in use in part.
    if nodes and node_devices and nodes != -(-devices // node_devices):
        raise Skipped(
            f"nodes · node_devices = {nodes} · {node_devices} = {nodes * node_devices}, not {devices} devices"
        )
    degrees = {name: counts[name] for name in ("tp", "pp", "dp", "cp") if name in counts}
    product = math.prod(degrees.values())
    if devices % product or (len({"tp", "pp", "dp"} & degrees.keys()) == 3 and product != devices):
        raise Skipped(f"{'·'.join(degrees)} = {product}, not {devices} devices")


def odd_cells(known: Known) -> list[str]:
    """Notes on cells that do not go together, but with which a run can be predicted."""
    counts = {name: value for name, value in known.items() if value is not None}
    notes = [
        f"{name} = {counts[name]} does not divide {whole} = {counts[whole]}"
        for name, whole in _DIVIDES
        if name in counts and whole in counts and counts[whole] % counts[name]
    ]
    stages, parts, layers = counts.get("pp", 1), counts.get("vp", 1), counts.get("layers", 0)
    if all((layers + more) % (stages * parts) for more in _ENDS):
        product = f"pp · vp = {stages * parts}" if parts > 1 else f"pp = {stages}"
        notes.append(f"{product} does not divide layers = {layers}")
    tokens, samples = known["tokens_per_s_per_device"], known["samples_per_s_per_device"]
    if tokens and samples and known["seq_len"]:
        ratio = tokens / (samples * known["seq_len"])
        if abs(ratio - 1.0) > _AGREE:
            notes.append(f"tokens_per_s_per_device is {ratio:.2f} times samples_per_s_per_device · seq_len")
    return notes
