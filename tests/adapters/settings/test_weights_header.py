"""Configurations from Llama's ``params.json`` and from the heads of files of weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.settings.model_config import read_model_config
from zenplan.errors import InputFileError, UsageError, ZenplanError
from zenplan.families.configurations.reading import workload_from_config

# Llama 3.2 1B.
SHAPES = {
    "model.embed_tokens.weight": [128256, 2048],
    **{
        f"model.layers.{n}.{name}.weight": shape
        for n in range(16)
        for name, shape in {
            "self_attn.q_proj": [2048, 2048],
            "self_attn.k_proj": [512, 2048],
            "mlp.up_proj": [8192, 2048],
        }.items()
    },
}


def safetensors(path: Path, header: bytes, length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header)
    return path


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(path: Path, values: dict[str, Any], tensors: list[str], words: int = 0) -> Path:
    content = b""
    for key, value in values.items():
        content += text(key)
        content += struct.pack("<I", 8) + text(value) if isinstance(value, str) else struct.pack("<II", 4, value)
    if words:
        content += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, words) + text("w") * words
    for name in tensors:
        content += text(name) + struct.pack("<IQQIQ", 2, 4, 4, 0, 0)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values) + bool(words)) + content)
    return path


def test_the_shapes_of_safetensors_are_a_configuration(tmp_path: Path) -> None:
    header = json.dumps(
        {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 1]} for name, shape in SHAPES.items()}
    )
    config = read_model_config(safetensors(tmp_path / "model.safetensors", header.encode()))
    found, _ = workload_from_config(config, 512)
    assert found.parameters == pytest.approx(1_235_814_400, rel=1e-3)


def test_the_keys_of_gguf_are_a_configuration(tmp_path: Path) -> None:
    sizes = {"block_count": 16, "embedding_length": 2048, "feed_forward_length": 8192, "attention.head_count": 32}
    sizes |= {"attention.head_count_kv": 8, "context_length": 131072, "vocab_size": 128256}
    values = {"general.architecture": "llama"} | {f"llama.{key}": value for key, value in sizes.items()}
    config = read_model_config(gguf(tmp_path / "a.gguf", values, ["token_embd.weight"]))
    assert workload_from_config(config, 512)[0].parameters == pytest.approx(1_235_814_400, rel=1e-4)
    # A head of its own, and a vocabulary that only the tokenizer has.
    del values["llama.vocab_size"]
    config = read_model_config(gguf(tmp_path / "b.gguf", values, ["output.weight"], words=1000))
    assert (config["vocab_size"], config["tie_word_embeddings"]) == (1000, False)


@pytest.mark.parametrize(
    ("params", "parameters"),
    [
        ({"dim": 4096, "n_layers": 32, "n_heads": 32, "multiple_of": 256, "vocab_size": -1}, 6_738_415_616),
        (
            {"dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256, "multiple_of": 1024}
            | {"ffn_dim_multiplier": 1.3},
            8_030_261_248,
        ),
    ],
    ids=["llama2-7b", "llama3-8b"],
)
def test_llamas_params_are_read(params: dict[str, Any], parameters: int) -> None:
    assert workload_from_config(params, 512)[0].parameters == pytest.approx(parameters, rel=1e-4)


def test_an_adapter_asks_for_its_model() -> None:
    with pytest.raises(UsageError, match="adapter of meta-llama/Llama") as error:
        workload_from_config({"peft_type": "LORA", "r": 16, "base_model_name_or_path": "meta-llama/Llama-3.1-8B"})
    assert "--method lora" in error.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.safetensors", b""),
        ("a.safetensors", b"\xff" * 64),
        ("a.safetensors", struct.pack("<Q", 10**15)),
        ("a.safetensors", struct.pack("<Q", 20) + b"{}"),
        ("a.safetensors", struct.pack("<Q", 2) + b"{}"),
        ("a.safetensors", struct.pack("<Q", 2) + b"[]"),
        ("a.gguf", b"GGUF"),
        ("a.gguf", b"GGML" + b"\0" * 60),
        ("a.gguf", b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60)),
        ("a.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 0)),
        ("a.gguf", b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**40)),
        ("a.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 2**50)),
    ],
    ids=range(12),
)
def test_a_broken_header_is_one_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ZenplanError) as error:
        read_model_config(path)
    assert isinstance(error.value, InputFileError | UsageError)
    assert "\n" not in str(error.value)
