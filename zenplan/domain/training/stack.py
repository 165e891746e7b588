"""Stack: the software that people train with, by name, and which layouts it can run.

What a stack can run is read from its documentation; what that does not show is left out. How fast it runs is that of
the kind of ``Software`` that stands nearest to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Recompute
from zenplan.domain.training.tuning import Tuning, tuning_of
from zenplan.errors import DataError

# Beside data parallelism, by the names that layouts have for them.
PARALLELISMS: Final = ("tp", "pp", "cp", "ep")
# Names of precisions whose products are in fewer than 16 bits begin so.
_NARROW: Final = ("fp8", "mxfp8", "nvfp4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Software by name. Its name is only shown: what it can run is in the other fields.

    Attributes:
        what: what it is made of, for people.
        kind: the fitted kind that stands nearest.
        fitted: whether published runs of it are among those that the kind was fitted to. It was, where most of the
            kind's runs are its own.
        backend_kind: a model that was counted on one of its backends has the kind of that backend.
        methods, precisions: it trains with.
        parallel: of ``PARALLELISMS``, those that it has in full training; ``adapter_parallel`` with LoRA.
        apart: pairs of those that do not go together.
        zero: ZeRO stages; 0 is plain data parallelism, 3 is FSDP.
        hybrid: whether it can divide within nodes and replicate across them (HSDP).
        interleaves: whether its pipeline has virtual stages.
        equal_stages: whether each stage, and each virtual one, must have as many layers.
        recompute: what its backward pass can compute again.
        most_devices: it runs on no more; None without a limit.
        usual_devices: as many at most where the number was not asked for; None without a limit.
        release: today's, where what it is tuned for depends on that.
        sources: for each of ``parallel``, ``zero``, ``recompute``, ``methods``, ``precisions`` and, where it has a
            limit, ``devices``: a page, or a repository and a path in it.
    """

    name: str
    what: str
    kind: Software
    fitted: bool = False
    backend_kind: bool = False
    methods: tuple[str, ...]
    precisions: tuple[str, ...]
    parallel: tuple[str, ...] = ()
    adapter_parallel: tuple[str, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()
    zero: tuple[int, ...]
    hybrid: bool = False
    interleaves: bool = False
    equal_stages: bool = False
    recompute: tuple[Recompute, ...]
    most_devices: int | None = None
    usual_devices: int | None = None
    release: str = ""
    sources: Mapping[str, str]

    def __post_init__(self) -> None:
        checks.named("stack", name=self.name, what=self.what)
        for parallelism in (*self.parallel, *self.adapter_parallel, *(p for pair in self.apart for p in pair)):
            checks.one_of(f"stack {self.name}", "parallelism", parallelism, PARALLELISMS)
        if not set(self.adapter_parallel) <= set(self.parallel):
            raise DataError(f"stack {self.name}: adapters have a parallelism that full training has not")
        if 0 not in self.zero or Recompute.NONE not in self.recompute:
            # One device divides nothing, and it may have memory for all.
            raise DataError(f"stack {self.name}: every stack can do without ZeRO and without recomputation")
        if (self.usual_devices is not None) > (self.most_devices is not None):
            raise DataError(f"stack {self.name}: a usual number of devices needs a largest one")

    @property
    def tuning(self) -> Tuning:
        """What today's release of it overlaps, fuses and replays."""
        return tuning_of(self.name, self.release)

    def has(self, parallelism: str, method: str) -> bool:
        """Whether it has a parallelism when it trains by a method."""
        return parallelism in (self.parallel if method == "full" else self.adapter_parallel)

    def divides(self, method: str) -> bool:
        """Whether several devices hold one model, and not each a whole one."""
        return len(self.zero) > 1 or any(self.has(p, method) for p in PARALLELISMS)

    def trains(self, method: str, precision: str) -> bool:
        """Whether it trains by a method in a precision.

        QLoRA unpacks its weights of four bits to bf16 for each product (Dettmers et al. 2023, arXiv 2305.14314, section 3):
        what computes products in fp8 or fp4 has other weights.
        """
        unpacks = method == "qlora" and precision.startswith(_NARROW)
        return method in self.methods and precision in self.precisions and not unpacks

    def layouts(self, method: str) -> str:
        """What it lays out, for people: ``dp, cp, ZeRO-1 to 3``."""
        stages = [z for z in self.zero if z]
        ranged = f"ZeRO-{stages[0]} to {stages[-1]}" if stages == [1, 2, 3] else ""
        listed = ranged or (f"ZeRO-{' and '.join(map(str, stages))}" if stages else "no ZeRO")
        return ", ".join(("dp", *(p for p in PARALLELISMS if self.has(p, method)), listed))


_16_BIT: Final = ("bf16", "fp16")
_WIDE: Final = (*_16_BIT, "tf32", "fp32")
_ALL_RECOMPUTED: Final = tuple(Recompute)
# One checkpoint a layer, which is what gradient checkpointing of Transformers models is.
_BY_LAYER: Final = (Recompute.NONE, Recompute.FULL)
_ACCELERATE: Final = "huggingface/accelerate:docs/source/concept_guides"

STACKS: Final = {
    stack.name: stack
    for stack in (
        Stack(
            name="hf-trainer",
            what="Transformers, TRL and PEFT through Accelerate",
            kind=Software.EAGER,
            fitted=True,
            methods=("full", "lora", "qlora"),
            precisions=(*_WIDE, "fp8"),
            # Tensor parallelism of Accelerate is left out: it is experimental, and PEFT has none.
            parallel=("cp",),
            zero=(0, 1, 2, 3),
            hybrid=True,
            recompute=_BY_LAYER,
            sources={
                "parallel": "huggingface/trl:docs/source/distributing_training.md",
                "zero": f"{_ACCELERATE}/fsdp_and_deepspeed.md; huggingface/peft:docs/source/accelerate/deepspeed.md; "
                "hybrid: huggingface/accelerate:examples/torch_native_parallelism/README.md",
                "recompute": "huggingface/trl:docs/source/reducing_memory_usage.md",
                "methods": "huggingface/peft:docs/source/accelerate/fsdp.md, deepspeed.md",
                "precisions": f"{_ACCELERATE}/low_precision_training.md",
            },
        ),
        Stack(
            name="unsloth",
            what="Unsloth",
            kind=Software.PATCHED,
            fitted=True,
            methods=("full", "lora", "qlora"),
            precisions=_16_BIT,
            zero=(0,),
            recompute=_BY_LAYER,
            # Its guide starts a process for each GPU of one machine, with the whole model on each; official support of
            # several is announced. That a machine has eight is assumed.
            most_devices=8,
            usual_devices=1,
            sources={
                "parallel": "unsloth.ai/docs/basics/multi-gpu-training-with-unsloth",
                "zero": "unsloth.ai/docs/basics/multi-gpu-training-with-unsloth/ddp",
                "recompute": "unslothai/unsloth:README.md",
                "methods": "unslothai/unsloth:README.md",
                "precisions": "unslothai/unsloth:README.md",
                "devices": "unsloth.ai/docs/basics/multi-gpu-training-with-unsloth/ddp",
            },
        ),
        Stack(
            name="axolotl",
            what="Axolotl",
            kind=Software.EAGER,
            methods=("full", "lora", "qlora"),
            precisions=(*_WIDE, "fp8"),
            parallel=("tp", "cp", "ep"),
            adapter_parallel=("cp", "ep"),
            apart=(("ep", "tp"), ("ep", "cp")),
            zero=(0, 1, 2, 3),
            hybrid=True,
            recompute=_BY_LAYER,
            sources={
                "parallel": "axolotl-ai-cloud/axolotl:docs/nd_parallelism.qmd; with adapters: "
                "examples/nemotron-h/nano-30b-a3b-qlora-cp.yaml, examples/glm_moe_dsa/glm-5.2-nvfp4-lora.yaml",
                "zero": "axolotl-ai-cloud/axolotl:docs/multi-gpu.qmd",
                "recompute": "axolotl-ai-cloud/axolotl:docs/gradient_checkpointing.qmd",
                "methods": "axolotl-ai-cloud/axolotl:docs/fsdp_qlora.qmd",
                "precisions": "axolotl-ai-cloud/axolotl:docs/mixed_precision.qmd",
            },
        ),
        Stack(
            name="llama-factory",
            what="LLaMA-Factory",
            kind=Software.EAGER,
            fitted=True,
            methods=("full", "lora", "qlora"),
            precisions=(*_16_BIT, "fp32"),
            zero=(0, 2, 3),
            recompute=_BY_LAYER,
            sources={
                "parallel": "hiyouga/LLaMA-Factory:examples/README.md",
                "zero": "hiyouga/LLaMA-Factory:examples/deepspeed/ds_z2_config.json, ds_z3_config.json",
                "recompute": "hiyouga/LLaMA-Factory:src/llamafactory/hparams/model_args.py",
                "methods": "hiyouga/LLaMA-Factory:examples/README.md",
                "precisions": "hiyouga/LLaMA-Factory:README.md",
            },
        ),
        Stack(
            name="torchtune",
            what="torchtune",
            kind=Software.EAGER,
            methods=("full", "lora", "qlora"),
            precisions=("bf16", "fp32"),
            zero=(0, 3),
            recompute=_BY_LAYER,
            sources={
                "parallel": "pytorch/torchtune:recipes/lora_finetune_distributed.py",
                "zero": "pytorch/torchtune:recipes/lora_finetune_distributed.py",
                "recompute": "pytorch/torchtune:recipes/lora_finetune_distributed.py",
                "methods": "pytorch/torchtune:docs/source/examples/lora_finetune.rst, qlora_finetune.rst",
                "precisions": "pytorch/torchtune:recipes/lora_finetune_distributed.py",
            },
        ),
        Stack(
            name="fsdp",
            what="plain PyTorch with FSDP2",
            kind=Software.EAGER,
            methods=("full", "lora", "qlora"),
            precisions=(*_WIDE, "fp8", "fp8-rowwise", "mxfp8"),
            zero=(0, 2, 3),
            hybrid=True,
            recompute=_ALL_RECOMPUTED,
            sources={
                "parallel": "pytorch/torchtitan:docs/fsdp.md",
                "zero": "pytorch/torchtitan:docs/fsdp.md",
                "recompute": "pytorch/torchtitan:torchtitan/distributed/activation_checkpoint.py",
                "methods": "bitsandbytes-foundation/bitsandbytes:docs/source/fsdp_qlora.md",
                "precisions": "pytorch/torchtitan:torchtitan/components/quantization/float8.md, mxfp8.md",
            },
        ),
        Stack(
            name="deepspeed",
            what="DeepSpeed",
            kind=Software.FUSED,
            methods=("full", "lora", "qlora"),
            precisions=_WIDE,
            parallel=("tp", "pp", "cp", "ep"),
            apart=(("cp", "tp"), ("cp", "pp"), ("cp", "ep"), ("ep", "tp"), ("ep", "pp")),
            zero=(0, 1, 2, 3),
            hybrid=True,
            recompute=_BY_LAYER,
            sources={
                "parallel": "deepspeedai/DeepSpeed:docs/_pages/config-json.md, docs/_tutorials/pipeline.md; what does "
                "not go together: docs/_tutorials/ds-sequence.md",
                "zero": "deepspeedai/DeepSpeed:docs/_pages/config-json.md, deepspeed/runtime/pipe/module.py",
                "recompute": "deepspeedai/DeepSpeed:docs/_pages/config-json.md",
                "methods": "huggingface/peft:docs/source/accelerate/deepspeed.md",
                "precisions": "deepspeedai/DeepSpeed:docs/_pages/config-json.md",
            },
        ),
        Stack(
            name="megatron",
            what="Megatron-LM",
            kind=Software.FUSED,
            release="core 0.16",
            fitted=True,
            methods=("full",),
            precisions=(*_WIDE, "fp8", "fp8-block", "mxfp8", "nvfp4"),
            parallel=("tp", "pp", "cp", "ep"),
            zero=(0, 1, 2, 3),
            hybrid=True,
            interleaves=True,
            recompute=_ALL_RECOMPUTED,
            sources={
                "parallel": "NVIDIA/Megatron-LM:docs/user-guide/parallelism-guide.md; unequal stages: "
                "docs/user-guide/features/pipeline_parallel_layout.md",
                "zero": "NVIDIA/Megatron-LM:docs/user-guide/features/megatron_fsdp.md",
                "recompute": "NVIDIA-NeMo/Megatron-Bridge:docs/training/activation-recomputation.md",
                "methods": "NVIDIA/Megatron-LM:docs/user-guide/index.md",
                "precisions": "NVIDIA/Megatron-LM:README.md",
            },
        ),
        Stack(
            name="nemo",
            what="NeMo on Megatron Bridge",
            kind=Software.FUSED,
            release="26.08",
            fitted=True,
            methods=("full", "lora"),
            precisions=(*_WIDE, "fp8", "fp8-block", "mxfp8", "nvfp4"),
            parallel=("tp", "pp", "cp", "ep"),
            adapter_parallel=("tp", "pp", "cp", "ep"),
            zero=(0, 1, 2, 3),
            hybrid=True,
            interleaves=True,
            recompute=_ALL_RECOMPUTED,
            sources={
                "parallel": "NVIDIA-NeMo/Megatron-Bridge:docs/parallelisms.md",
                "zero": "NVIDIA-NeMo/Megatron-Bridge:docs/parallelisms.md; NVIDIA/Megatron-LM:"
                "docs/user-guide/features/megatron_fsdp.md",
                "recompute": "NVIDIA-NeMo/Megatron-Bridge:docs/training/activation-recomputation.md",
                "methods": "NVIDIA-NeMo/Megatron-Bridge:docs/training/peft.md",
                "precisions": "NVIDIA-NeMo/Megatron-Bridge:docs/training/mixed-precision.md",
            },
        ),
        Stack(
            name="maxtext",
            what="MaxText on JAX",
            kind=Software.JAX,
            fitted=True,
            methods=("full", "lora", "qlora"),
            precisions=("bf16", "tf32", "fp32", "fp8"),
            parallel=("tp", "pp", "cp", "ep"),
            adapter_parallel=("tp", "cp"),
            zero=(0, 1, 3),
            hybrid=True,
            interleaves=True,
            equal_stages=True,
            recompute=_ALL_RECOMPUTED,
            sources={
                "parallel": "AI-Hypercomputer/maxtext:docs/guides/optimization/sharding.md; equal stages: "
                "src/maxtext/configs/base.yml, pipeline parallelism",
                "zero": "AI-Hypercomputer/maxtext:src/maxtext/configs/base.yml",
                "recompute": "AI-Hypercomputer/maxtext:src/maxtext/configs/base.yml",
                "methods": "AI-Hypercomputer/maxtext:docs/tutorials/posttraining/native_lora.md",
                "precisions": "AI-Hypercomputer/maxtext:src/maxtext/configs/base.yml",
            },
        ),
        Stack(
            name="keras",
            what="Keras 3 on JAX",
            kind=Software.JAX,
            backend_kind=True,
            methods=("full", "lora", "qlora"),
            precisions=(*_WIDE, "fp8"),
            parallel=("tp",),
            adapter_parallel=("tp",),
            zero=(0,),
            recompute=_ALL_RECOMPUTED,
            sources={
                "parallel": "keras-team/keras:keras/src/distribution/distribution_lib.py",
                "zero": "keras-team/keras:keras/src/distribution/distribution_lib.py",
                "recompute": "keras-team/keras:keras/src/backend/common/remat.py",
                "methods": "keras-team/keras:keras/src/layers/core/dense.py",
                "precisions": "keras-team/keras:keras/src/dtype_policies/dtype_policy.py",
            },
        ),
    )
}


def stack_for(method: str, precision: str) -> Stack | None:
    """What a fine-tuning is run with where nothing says so: the first that can, of all without a limit of devices."""
    fitting = (s for s in STACKS.values() if s.trains(method, precision) and s.most_devices is None)
    return next(fitting, None)
