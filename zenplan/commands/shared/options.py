"""Flags that say what is trained and how: one place for every command that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar)


Params = Annotated[str | None, _option("--params", "Parameters, as in 1e9, 7B, 350M.", "COUNT")]
Model = Annotated[
    str | None, _option("--model", "A named model, or one with parameters: resnet:depth=101. See 'workloads'.", "NAME")
]
Config = Annotated[Path | None, _option("--config", "A Hugging Face config.json.", "FILE")]
Keras = Annotated[str | None, _option("--keras", "A Keras model: package.module:function, or a .keras file.", "TARGET")]
ActiveParams = Annotated[
    str | None, _option("--active-params", "Parameters active for a token, in a mixture of experts.", "COUNT")
]
FlopsPerSample = Annotated[
    str | None, _option("--flops-per-sample", "With --params: forward FLOP of a sample, as in 8.2e9.", "FLOP")
]
ActivationsPerSample = Annotated[
    str | None,
    _option("--activations-per-sample", "With those: output elements of its products and convolutions.", "COUNT"),
]
ImageSize = Annotated[str | None, _option("--image-size", "Pixels of a side of the input, as in 224.", "COUNT")]
SeqLen = Annotated[str | None, _option("--seq-len", "Tokens of a sequence.", "COUNT")]
GlobalBatch = Annotated[str | None, _option("--global-batch", "Tokens of an optimizer step, as in 4M.", "COUNT")]
Batch = Annotated[
    str | None, _option("--batch", "Samples of an optimizer step (images, sequences), as in 256.", "COUNT")
]
Data = Annotated[
    Path | None, _option("--data", "Text, JSONL, Parquet or CSV, or a folder of them or of images: counted.", "PATH")
]
TextColumn = Annotated[
    str | None,
    _option(
        "--text-column", "The column or key of the text of these data; else found by its name, or the longest.", "NAME"
    ),
]
Tokenizer = Annotated[
    Path | None, _option("--tokenizer", "A tokenizer.json, to count the tokens of these data.", "FILE")
]
Precision = Annotated[str | None, _option("--precision", "bf16, fp16, fp8, mxfp8, nvfp4, tf32 or fp32.", "NAME")]
Optimizer = Annotated[
    str | None, _option("--optimizer", "adamw, adamw-8bit, lion, sgd, sgd-momentum, adafactor.", "NAME")
]
Software = Annotated[str | None, _option("--software", "eager, fused (Megatron-LM), compiled or xla.", "KIND")]
Method = Annotated[str | None, _option("--method", "full, lora or qlora.", "NAME")]
NoCalibrations = Annotated[bool, typer.Option("--no-calibrations", help="Do without what was measured by calibrate.")]
