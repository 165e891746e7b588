"""Configurations and files that are damaged at random, read as ``--config`` reads them.

    python benchmarks/fuzz.py [COUNT] [SEED]     prints how many were read and refused, and each kind of fault

Each is read in this process: what is no error of zenplan's, takes more than ``MOST_S`` or grows the process by more than
``MOST_BYTES`` is a fault. The configurations are those of ``published/configurations.csv``.

Of 55,000 (seed 20261130), 20,211 were read and 34,789 refused in a line and a hint; none was a fault: 32,798 configurations,
4,365 ``params.json``, 4,488 adapters, 4,493 files of text, 4,366 heads of GGUF and 4,490 of safetensors.
"""

from __future__ import annotations

import copy
import json
import math
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from configurations import rows

MOST_S: Final = 5
MOST_BYTES: Final = 500 * 10**6

_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 4096, 10**5, 10**6, 10**9, 10**12, 10**30, 2**63, -(10**30)),
    *(
        0.0,
        0.5,
        -0.5,
        1.5,
        1e308,
        1e-320,
        math.nan,
        math.inf,
        -math.inf,
        "",
        "0",
        "llama",
        "x" * 5000,
        "é\n\x00",
        "\ud800",
    ),
    *(
        [],
        [0],
        [1],
        [-1],
        [None],
        ["full_attention"],
        [10**9],
        [1] * 200,
        [[1, 2]],
        [1.5],
        [True],
        [math.nan],
        ["a", 1],
    ),
    *({}, {"a": 1}, {"model_type": "llama"}, {"model_type": 3}, {"height": 224, "width": 224}, {"0": {"0": {}}}),
)


def _places(found: Any) -> list[tuple[Any, Any]]:
    """Each container of a decoded file with each of its keys."""
    own: list[tuple[Any, Any]] = []
    keys = found.keys() if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ()
    for key in keys:
        own.append((found, key))
        own += _places(found[key])
    return own


def damaged(config: Mapping[str, Any], others: list[Mapping[str, Any]], draw: random.Random) -> Any:
    """The configuration with a few things changed, taken away or taken from another."""
    found: Any = json.loads(json.dumps(config))
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        places = _places(found)
        if not places:
            break
        where, key = draw.choice(places)
        way = draw.randrange(8)
        if way < 3:
            where[key] = copy.deepcopy(draw.choice(_VALUES))
        elif way == 3 and isinstance(where, dict):
            del where[key]
        elif way == 4 and isinstance(where[key], int | float):
            where[key] = where[key] * draw.choice((-1, 2, 3, 10, 1000, 0.5, 10**6))
        elif way == 5:
            found |= copy.deepcopy(dict(draw.choice(others))) if draw.random() < 0.3 else {}
            found["model_type"] = draw.choice(others).get("model_type")
        elif way == 6 and isinstance(where, dict):
            other = draw.choice(others)
            name = draw.choice(list(other))
            where[name] = copy.deepcopy(other[name])
        else:
            found = {
                "model_type": draw.choice(others).get("model_type"),
                draw.choice(("text_config", "vision_config")): found,
            }
    return found


def scratched(content: bytes, draw: random.Random) -> bytes:
    """The bytes with some of them changed, cut off or doubled."""
    found = bytearray(content)
    for _ in range(draw.choice((1, 2, 4, 16))):
        place = draw.randrange(len(found) + 1)
        way = draw.randrange(5)
        if way == 0:
            del found[place:]
        elif way == 1:
            found[place:place] = found[: draw.randrange(64)]
        elif way == 2:
            found[place : place + 8] = struct.pack("<Q", draw.choice((0, 1, 2**31, 2**62, 2**64 - 1)))
        elif way == 3:
            found[place:place] = draw.choice(
                (b"[" * 100_000, b"\xff\xfe", b"1e999", b"9" * 6000, b'{"a":' * 2000, b"\x00")
            )
        elif place < len(found):
            found[place] = draw.randrange(256)
    return bytes(found)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(draw: random.Random) -> bytes:
    """The head of a GGUF file of a small Llama."""
    sizes = {"block_count": 4, "embedding_length": 256, "feed_forward_length": 512, "attention.head_count": 4}
    sizes |= {"attention.head_count_kv": 2, "context_length": 2048, "vocab_size": 1000}
    kind = draw.choice(("llama", "qwen2moe", "deepseek2", "gemma3", "?"))
    pairs = _text("general.architecture") + struct.pack("<I", 8) + _text(kind)
    for name, value in sizes.items():
        pairs += _text(f"{kind}.{name}") + struct.pack("<II", 4, value)
    pairs += _text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + _text("a") * 3
    tensor = _text("output.weight") + struct.pack("<IQQ", 2, 256, 1000) + struct.pack("<IQ", 0, 0)
    return b"GGUF" + struct.pack("<IQQ", 3, 1, len(sizes) + 2) + pairs + tensor


def safetensors(draw: random.Random) -> bytes:
    """The head of a file of the weights of a small Llama."""
    shapes = {"model.embed_tokens.weight": [1000, 256], "model.layers.0.self_attn.q_proj.weight": [256, 256]}
    shapes |= {"model.layers.0.self_attn.k_proj.weight": [128, 256], "model.layers.0.mlp.up_proj.weight": [512, 256]}
    entries: Any = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    head = json.dumps(damaged(entries, [entries], draw) if draw.random() < 0.5 else entries).encode()
    return struct.pack("<Q", len(head)) + head


@cache
def _family() -> Any:
    from zenplan.plugins.builtin import zenplan_workloads

    return list(zenplan_workloads())[-1]


def _read(config: Any) -> None:
    from zenplan.commands.shared.adapters import with_base
    from zenplan.planning.explain.method import with_adapters, with_frozen

    _, own = with_base({}, config) if isinstance(config, Mapping) else ({}, config)
    load = _family().lower({"config": own}) if own is not None else None
    if load is not None:
        for changed in (load, with_adapters(load), with_frozen(load, [b.part for b in load.blocks if b.part][:1])):
            if not (0 <= changed.parameters < math.inf and 0 <= changed.training_flop_per_sample < math.inf):
                raise ArithmeticError(f"{changed.parameters:g} parameters, {changed.training_flop_per_sample:g} FLOP")


def _cases(draw: random.Random, folder: Path) -> Callable[[], tuple[str, Any, Callable[[], None]]]:
    """Draws a kind, what is read, and how."""
    from zenplan.adapters.settings.model_config import read_model_config

    configs = [row.config for row in rows()]
    llama: dict[str, Any] = {
        "dim": 4096,
        "n_layers": 32,
        "n_heads": 32,
        "n_kv_heads": 8,
        "vocab_size": 128256,
        "multiple_of": 1024,
    }
    llama |= {"ffn_dim_multiplier": 1.3, "norm_eps": 1e-5, "rope_theta": 5e5, "moe": {"num_experts": 8}}
    adapter: dict[str, Any] = {
        "peft_type": "LORA",
        "r": 16,
        "target_modules": ["q_proj"],
        "base_model_name_or_path": "a/b",
        "use_dora": True,
    }

    def drawn() -> tuple[str, Any, Callable[[], None]]:
        kinds = ("configuration", "params", "adapter", "text", "gguf", "safetensors")
        (kind,) = draw.choices(kinds, (60, 8, 8, 8, 8, 8))
        if kind in ("configuration", "params", "adapter"):
            own: dict[str, Mapping[str, Any]] = {"params": llama, "adapter": adapter}
            whole = own.get(kind) or draw.choice(configs)
            config = damaged(whole, configs, draw)
            return kind, config, lambda: _read(config)
        made = {"gguf": gguf, "safetensors": safetensors}.get(kind, lambda _: json.dumps(draw.choice(configs)).encode())
        content = made(draw)
        content = content if draw.random() < 0.2 else scratched(content, draw)
        path = folder / f"a.{'json' if kind == 'text' else kind}"
        path.write_bytes(content)
        return kind, content, lambda: _read(read_model_config(path))

    return drawn


class _TooLongError(Exception):
    pass


def _stop(*_: object) -> None:
    raise _TooLongError(f"more than {MOST_S} s")


def fuzz(count: int, seed: int) -> tuple[Counter[str], dict[str, Any]]:
    """How many of each kind were read and refused, and an example of each kind of fault."""
    from zenplan.errors import ZenplanError

    seen: Counter[str] = Counter()
    faults: dict[str, Any] = {}
    former = signal.signal(signal.SIGALRM, _stop)
    with tempfile.TemporaryDirectory() as folder:
        drawn = _cases(random.Random(seed), Path(folder))  # noqa: S311 - nothing is secret
        for _ in range(count):
            kind, what, read = drawn()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            signal.setitimer(signal.ITIMER_REAL, MOST_S)
            outcome = "read"
            try:
                read()
            except ZenplanError as error:
                outcome = "refused"
                if "\n" in str(error) or not getattr(error, "hint", "-"):
                    outcome = f"fault: not a line and a hint: {str(error)[:80]!r}"
            # Whatever else comes is what is looked for.
            except Exception as error:  # noqa: BLE001
                last = traceback.extract_tb(error.__traceback__)[-1]
                outcome = f"fault: {type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) > MOST_BYTES:
                outcome = "fault: memory"
            if outcome.startswith("fault"):
                faults.setdefault(outcome, what)
            seen[f"{kind}: {outcome}"] += 1
    signal.signal(signal.SIGALRM, former)
    return seen, faults


def main() -> None:
    """Prints what was found."""
    given = sys.argv[1:3]
    count, seed = map(int, (*given, *("10000", "1")[len(given) :]))
    start = time.monotonic()
    seen, faults = fuzz(count, seed)
    for name, number in sorted(seen.items()):
        print(f"{name:60} {number:,}")
    for name, what in faults.items():
        print(f"{name}: {repr(what)[:1500]}")
    print(f"{count:,} in {time.monotonic() - start:.0f} s, seed {seed}; {len(faults)} kinds of faults")


if __name__ == "__main__":
    main()
