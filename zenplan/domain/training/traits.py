"""Traits: what software does by its name, in one table; each row with the page, paper or file that it is from.

What follows from a trait is said where it is read: what is overlapped in ``domain.training.tuning``, and of measured runs
the layouts, what is kept and the kernel of attention in ``backtesting``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Final


class Trait(StrEnum):
    """What a framework's name, with its version, tells."""

    MEGATRON = "megatron"
    MEGATRON_FAMILY = "megatron family"  # divides products over devices as Megatron-LM does
    NEMO = "nemo"
    RECIPES = "recipes"  # NVIDIA's own, for speed
    BEFORE_FLASH = "before flash"
    FUSES_ATTENTION = "fuses attention"  # of Megatron's family, by default
    UNFUSED_PYTORCH = "unfused pytorch"
    XLA_ATTENTION = "xla attention"
    FLASH_PACKAGE = "flash package"
    TENSOR_WAITS = "tensor waits"
    TENSOR_PIPELINES = "tensor pipelines"
    REDUCES_LAST = "reduces last"
    SUMS_WIDE = "sums wide"
    FUSES_EXPERTS = "fuses experts"
    LOOPS_EXPERTS = "loops experts"
    UPDATES_APART = "updates apart"
    FUSED_GATE = "fused gate"
    ONE_PRODUCT = "one product"
    GATHERED = "gathered"
    BALANCES = "balances"
    SHARDS_ALL = "shards all"
    ANY_ZERO = "any zero"


_NAMES: Final = (
    (Trait.MEGATRON, r"megatron"),
    (Trait.MEGATRON_FAMILY, r"megatron|nemo|primus"),
    (Trait.NEMO, r"nemo"),
    # Their performance recipes reduce gradients in bf16 and keep weights of fp8 products in fp8 (Megatron-Bridge,
    # perf_recipes/_common.py and training/mixed_precision.py; NeMo's launcher before it).
    (Trait.RECIPES, r"nemo|bridge"),
    # --- attention
    # By name or year from before FlashAttention (May 2022). BigScience trained until then.
    (Trait.BEFORE_FLASH, r"bigscience|megatron\S* v1\.\d|\b20(1[5-9]|20|21)\b"),
    # Megatron-LM and NeMo kept fused attention off by default until NeMo 24. Those made for Gaudi have FusedSDPA on by
    # default (HabanaAI/Megatron-DeepSpeed:scripts/run_llama.sh, USE_FUSED_SDPA).
    (Trait.FUSES_ATTENTION, r"nemo 2[4-9]|bridge|core|gaudi|habana|202[4-9]"),
    # scaled_dot_product_attention came with PyTorch 2.0 (March 2023).
    (Trait.UNFUSED_PYTORCH, r"pytorch[- ]?1\.\d"),
    # Before there were kernels for it in JAX (Pallas, cuDNN in jax.nn), attention was what XLA made of its products.
    # NVIDIA's Transformer Engine brought its own (NVIDIA/JAX-Toolbox).
    (Trait.XLA_ATTENTION, r"^(?!.*transformer ?engine).*(paxml|mesh-transformer|\bjax 0\.[0-3]\b)"),
    # From the package flash-attn, and not from Transformer Engine or PyTorch.
    (Trait.FLASH_PACKAGE, r"deepspeed|neox|foundry|composer|interne|flash-?attn|colossal|metaseq|fairseq|olmo-?core"),
    # --- what travels under what
    # Megatron-LM overlaps the gradient of a product's input from October 2021 on (its commit "Async all-reduce of the
    # input gradient"; arguments.py: async_tensor_model_parallel_allreduce). BigScience trained with a fork from before.
    (Trait.TENSOR_WAITS, r"bigscience|megatron\S* v1\.\d|megatron\S* (jan-)?(2019|2020|2021)\b"),
    # Transformer Engine's user buffers: on in the recipes of NeMo 24 and later, which need sequence parallelism (NVIDIA
    # NeMo and Megatron Bridge, communication overlap). Megatron-LM has them where it is asked to (--tp-comm-overlap).
    (Trait.TENSOR_PIPELINES, r"nemo (?:v?2[4-9]|v?[3-9]\d)|bridge"),
    # Megatron-LM reduces gradients after the last backward pass until 2023 (the change log of Megatron-Core has overlap
    # from 0.6 on); the pipeline engine of DeepSpeed, which its forks use, always does.
    (
        Trait.REDUCES_LAST,
        r"bigscience|megatron-deepspeed|megatron\S* v1\.\d|megatron\S* (jan-)?(2019|202[0-2])\b",
    ),
    # Megatron-LM sums gradients of bf16 in fp32 (megatron/training/arguments.py: "bfloat16 requires gradient accumulation
    # and all-reduce to be done in fp32"), and DeepSpeed's optimizer for it does in Megatron's forks; NeMo's and Megatron
    # Bridge's recipes for speed ask for bf16 (grad_reduce_in_fp32=False). torchtitan (mixed_precision_reduce, "float32"),
    # OLMo-core (reduce_dtype of its recipes) and YaFSDP (bit16_reduce_scatter=False) sum in fp32 too.
    (Trait.SUMS_WIDE, r"^(?!.*nemo).*(megatron(?!-bridge)|primus|titan|olmo-?core|yafsdp)"),
    # Fused permutation, tokens once a node and graphs of parts of a layer: Megatron-Core 0.11 and 0.12 of 2025 (its
    # change log), so NeMo and Megatron Bridge of that year.
    (Trait.FUSES_EXPERTS, r"bridge|nemo v?2[5-9]|core v?0\.1[1-9]"),
    # Models of Hugging Face take an expert's rows out of a mixture and add them back one expert after the other
    # (transformers, models/mixtral/modeling_mixtral.py until release 5: where, index, index_add_).
    (Trait.LOOPS_EXPERTS, r"hugging ?face|\bhf\b|transformers|\btrl\b|peft|llama-?factory|axolotl|qlora"),
    # PyTorch's optimizers loop over tensors where nobody asks for more, until 2.0 of 2023 (its documentation: torch.optim,
    # ``foreach``); NVIDIA's containers have 2.0 from 23.02 on.
    (Trait.UPDATES_APART, r"pytorch[- ]?1\.\d|pytorch-ngc(19|2[0-2])\b"),
    # --- what is kept
    # Megatron-Core fuses the gate of SwiGLU (``bias_swiglu_fusion``, December 2023 on), which Megatron-LM before it did
    # not.
    (
        Trait.FUSED_GATE,
        r"nemo v?2[4-9]|bridge|megatron-core|\+ te\b|transformer ?engine|primus|unsloth|liger",
    ),
    # Queries, keys and values in one product.
    (Trait.ONE_PRODUCT, r"nanotron|litgpt"),
    # Inputs stay gathered, unless they are gathered again (nanotron, ``tp_recompute_allgather``).
    (Trait.GATHERED, r"nanotron"),
    # --- layouts
    # Layers are shared out by what they cost, or some are left off both ends, where nobody asks for anything else.
    (Trait.BALANCES, r"titan|nanotron"),
    # Weights are divided too (fully_shard of torchtitan).
    (Trait.SHARDS_ALL, r"titan"),
    # Of software with fused kernels, that which offers every stage of ZeRO.
    (Trait.ANY_ZERO, r"deepspeed|foundry"),
)


@cache
def traits_of(name: str) -> frozenset[Trait]:
    """What software of that name is, and does; ``name`` is as a table of runs or a stack names it (``NeMo 24.07``)."""
    return frozenset(trait for trait, pattern in _NAMES if re.search(pattern, name.lower()))
