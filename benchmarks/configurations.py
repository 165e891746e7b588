"""Model configurations as people have them, beside what Hugging Face's library builds of each.

    python benchmarks/configurations.py               how many are read, and how near the counts are
    python benchmarks/configurations.py --reference   builds each again and writes its counts (needs torch, transformers)
    python benchmarks/configurations.py --defaults    writes zenplan/data/huggingface.json (needs transformers)

The table is ``published/configurations.csv``: a model's shape as its makers published it, the class that the library builds
of it without weights (on PyTorch's meta device), its parameters, and, where the library can run it so, the FLOP of a
forward pass of ``TOKENS`` tokens, as PyTorch's own counter counts products.
"""

from __future__ import annotations

import ast
import copy
import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "benchmarks" / "published" / "configurations.csv"
DEFAULTS = ROOT / "zenplan" / "data" / "huggingface.json"
COLUMNS = ("name", "library", "class", "parameters", "forward_flop", "config")
# Tokens of the forward pass that is counted.
TOKENS = 128
# What the table has to show: of all how many are read, and how near parameters and FLOP are.
READ, NEAR, NEAR_FLOP = 0.95, 0.002, 0.01


class Row(NamedTuple):
    """A configuration and its reference; ``forward_flop`` is None where the library cannot run it without weights."""

    name: str
    library: str
    kind: str
    parameters: int
    forward_flop: float | None
    config: Mapping[str, Any]


def rows() -> list[Row]:
    """The table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                r["name"],
                r["library"],
                r["class"],
                int(r["parameters"]),
                float(r["forward_flop"]) if r["forward_flop"] else None,
                json.loads(r["config"]),
            )
            for r in csv.DictReader(file)
        ]


def read(config: Mapping[str, Any], seq_len: int | None = None) -> Any:
    """zenplan's workload of a configuration; a UsageError where it is refused."""
    from zenplan.adapters.tables.configurations import read_type_defaults
    from zenplan.families.configurations.reading import workload_from_config

    return workload_from_config(config, seq_len, read_type_defaults())[0]


def forward_flop(load: Any) -> float:
    """FLOP of a forward pass as the counter has them: masked scores too."""
    flop = sum(b.repeat * getattr(op, "full_flop", op.flop) for b in load.blocks for op in b.operators)
    return float(flop)


def compared() -> Iterator[tuple[Row, float | None, float | None]]:
    """Each row with how far zenplan's parameters and FLOP are off, as ratios; None of what was not read or counted."""
    from zenplan.errors import UsageError

    for row in rows():
        try:
            off = read(row.config).parameters / row.parameters - 1
            flop = forward_flop(read(row.config, TOKENS)) / row.forward_flop - 1 if row.forward_flop else None
        except UsageError:
            off = flop = None
        yield row, off, flop


def show() -> None:
    """Prints what was found."""
    found = list(compared())
    known = [(row, off, flop) for row, off, flop in found if off is not None]
    print(
        f"{len(known)} of {len(found)} configurations read, of {len({r.config['model_type'] for r, *_ in found})} types"
    )
    near = [row for row, off, _ in known if abs(off) <= NEAR]
    print(f"{len(near)} within {NEAR:.1%} of the parameters of the reference library")
    for row, off, _ in sorted(known, key=lambda each: -abs(each[1]))[:10]:
        print(f"  {row.name:32} {off:+.4%}")
    counted = [(row, flop) for row, _, flop in known if flop is not None]
    print(f"{sum(abs(flop) <= NEAR_FLOP for _, flop in counted)} of {len(counted)} within {NEAR_FLOP:.0%} of its FLOP")
    for row, flop in sorted(counted, key=lambda each: -abs(each[1]))[:5]:
        print(f"  {row.name:32} {flop:+.4%}")


# --- the reference


def reference() -> None:
    """Builds each configuration with the library, and writes the table with its counts."""
    import transformers

    table = rows()
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for row in table:
            model = _built(row)
            counted = sum(p.numel() for p in model.parameters())
            flop = _counted(model, row)
            kept = "" if flop is None else f"{flop:.0f}"
            library = f"transformers {transformers.__version__}"
            out.writerow((row.name, library, row.kind, counted, kept, json.dumps(row.config, separators=(",", ":"))))


def _built(row: Row) -> Any:
    import torch
    import transformers

    config = dict(copy.deepcopy(row.config))
    kind = config.pop("model_type")
    # The library has no class for it: it runs with code of its own, which is DeepSeek-V3's.
    made = transformers.CONFIG_MAPPING["deepseek_v3" if kind == "kimi_k2" else kind](**config)
    made._attn_implementation = "eager"
    with torch.device("meta"):
        return getattr(transformers, row.kind)(made).eval()


_OF_IMAGES = (
    *("vit", "deit", "beit", "dinov2", "dinov3_vit", "resnet", "convnext", "convnextv2", "swin", "swinv2", "segformer"),
)


def _counted(model: Any, row: Row) -> float | None:
    """FLOP of a forward pass on the meta device; None of a model that looks at values on its way."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    config = model.config
    with torch.device("meta"):
        given = {"input_ids": torch.zeros(1, TOKENS, dtype=torch.long)}
        if row.config["model_type"] in ("wav2vec2", "hubert", "wavlm"):
            given = {"input_values": torch.zeros(1, 240_000)}
        elif row.config["model_type"] in _OF_IMAGES:
            usual = 512 if row.config["model_type"] == "segformer" else 224
            edge = row.config.get("image_size") or getattr(config, "image_size", usual)
            given = {"pixel_values": torch.zeros(1, 3, edge, edge)}
        elif row.config["model_type"] == "whisper":
            given = {
                "input_features": torch.zeros(1, config.num_mel_bins, 3000),
                "decoder_input_ids": given["input_ids"],
            }
        elif getattr(config, "is_encoder_decoder", False):
            given["decoder_input_ids"] = given["input_ids"]
        counter = FlopCounterMode(display=False)
        try:
            with counter, torch.no_grad():
                model(**given)
        # Whatever a model does with values that are not there.
        except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, IndexError, KeyError):
            return None
    return float(counter.get_total_flops())


# --- the defaults


def defaults() -> None:
    """Writes what the library takes for the keys that zenplan reads, type by type."""
    from transformers import CONFIG_MAPPING

    keys = _keys()
    every = {name: _made(CONFIG_MAPPING[name]) for name in CONFIG_MAPPING}
    found = {name: _entry(CONFIG_MAPPING[name], own, every, keys) for name, own in every.items() if own is not None}
    lines = (f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in sorted(found.items()))
    DEFAULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _keys() -> set[str]:
    """Every text in the code that reads configurations: keys are among them."""
    folder = ROOT / "zenplan" / "families" / "configurations"
    nodes = (n for f in folder.glob("*.py") for n in ast.walk(ast.parse(f.read_text(encoding="utf-8"))))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def _made(kind: Any, **given: Any) -> dict[str, Any] | None:
    """A configuration of only its defaults; None of a type that has none."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        made: dict[str, Any] = json.loads(json.dumps(kind(**given).to_dict(), default=str))
    except (ValueError, TypeError, AttributeError, KeyError, StrictDataclassError):
        return None
    return made


_SIZES = (
    *("hidden_size", "d_model", "n_embd", "embed_dim", "num_hidden_layers", "n_layer", "num_layers", "encoder_layers"),
    *("decoder_layers", "num_attention_heads", "num_heads", "n_head", "expand", "mamba_expand", "attn_layer_period"),
)
_NO_SIZES = {"model_type", "_name_or_path", "id2label", "label2id", "architectures"}
# Of each layer: how many are dense is what is read of it.
_LISTS = ("mlp_layer_types",)


def _derived(kind: Any, own: Mapping[str, Any]) -> set[str]:
    """Keys whose value follows from others: they change where a size does."""
    found: set[str] = set()
    names = getattr(kind, "attribute_map", {})
    for key in _SIZES:
        value = own.get(key)
        if not isinstance(value, int) or value <= 0:
            continue
        other = _made(kind, **{key: 2 * value})
        same = {key, names.get(key), *(alias for alias, to in names.items() if to == key)}
        found |= {k for k, v in (other or {}).items() if v != own.get(k) and k not in same}
    return found - set(_LISTS)


def _entry(kind: Any, own: Mapping[str, Any], every: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    derived = _derived(kind, own)
    values = {k: v for k, v in own.items() if k in keys - derived - _NO_SIZES and _plain(v)}
    parts: dict[str, Any] = {}
    for key, inner in own.items():
        usual = str(inner.get("model_type")) if isinstance(inner, dict) else ""
        if key.endswith("_config") and usual in every:
            base = every[usual] or {}
            other = {k: v for k, v in inner.items() if k in keys and k in base and v != base[k] and _plain(v)}
            parts[key] = [usual, other] if other else [usual]
    aliases = {a: b for a, b in getattr(kind, "attribute_map", {}).items() if a in keys or b in keys}
    entry = {"aliases": aliases, "defaults": values, "parts": parts}
    return {name: part for name, part in entry.items() if part}


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 128 and all(isinstance(v, int | float | str | bool) for v in value)
    return isinstance(value, bool | int | float | str)


if __name__ == "__main__":
    {"--reference": reference, "--defaults": defaults}.get(sys.argv[1] if len(sys.argv) > 1 else "", show)()
