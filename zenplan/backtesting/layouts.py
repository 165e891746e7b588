"""The layouts that a measured run can have had: as its row says, and every choice where it does not.

What its software could do at its time decides which choices there were.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from zenplan.backtesting.attention import names_unfused
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.measured.run import BY_NAME, MeasuredRun
from zenplan.domain.model.workload import Workload
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.domain.training.traits import Trait, traits_of
from zenplan.domain.training.tuning import USUAL, Tuning, tuning_of
from zenplan.errors import Skipped
from zenplan.planning.search.candidates import virtual_stages

# No fused attention kernel was made for these.
_NO_FLASH = ("Kepler", "Maxwell", "Pascal", "Volta")
# Trainium's libraries have a kernel of attention since Neuron 2.19 (release notes of neuronx-nemo-megatron 0.6.0).
_BEFORE_NEURON_FLASH = re.compile(r"2\.(\d|1[0-8])\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareTraits:
    """What a run's software did, or could do where the row does not say.

    Attributes:
        fused_attention: attention ran in a fused kernel.
        sequence: what lies between tensor-parallel products was divided too (Korthikanti et al. 2022).
        zero_stages: ZeRO stages that the software offered.
        interleaves: whether a pipeline can have had virtual stages that the row does not say.
        balances: a stage with an end of the model had fewer layers, also where all could have had as many.
        half: selective recomputation computes every second product again (torchtitan), not attention alone.
        tuning: what it overlapped, fused and replayed.
        assumed: what was taken, and why.
    """

    fused_attention: bool
    sequence: bool
    zero_stages: tuple[int, ...]
    interleaves: bool
    balances: bool
    half: bool
    tuning: Tuning = USUAL
    assumed: tuple[str, ...]


def software_traits(run: MeasuredRun, software: Software | None) -> SoftwareTraits:
    """By the software's name, the device and the precision."""
    named = traits_of(run.framework)
    fused, why = _fused(run, named)
    stages: tuple[int, ...] = (0, 1, 2, 3)
    if software is Software.FUSED and Trait.ANY_ZERO not in named:
        stages = (0, 1)
    elif software is Software.COMPILED and Trait.SHARDS_ALL in named:
        stages = (3,)
    elif software in (Software.XLA, Software.JAX):
        stages = (0, 3)
    return SoftwareTraits(
        fused_attention=fused,
        sequence=fused or run.recompute is Recompute.SELECTIVE,
        zero_stages=stages,
        interleaves=interleaves(run),
        balances=Trait.BALANCES in named,
        half=software is Software.COMPILED,
        tuning=tuning_of(run.framework, run.release, run.options),
        assumed=(why,) if why else (),
    )


def interleaves(run: MeasuredRun) -> bool:
    """Whether a pipeline can have had virtual stages that the row does not count: no software that is known here has them
    unless it is asked to."""
    return not run.framework or "interleaved" in run.options


def _fused(run: MeasuredRun, named: Set[Trait]) -> tuple[bool, str]:
    """Whether attention was fused, and why it is taken so where the row does not say or cannot be right."""
    lacking = run.accelerator.architecture if run.accelerator.architecture in _NO_FLASH else ""
    if not lacking and run.precision.other_dtype in ("fp32", "tf32"):
        lacking = f"in {run.precision.other_dtype}"
    elif lacking:
        lacking = f"for {lacking}"
    if lacking:
        return False, "" if run.fused_attention is False else f"attention is standard: no fused kernel {lacking}"
    if run.fused_attention is False:
        return False, ""
    if names_unfused(run.attention_kernel):
        return False, f"attention is standard: its kernel is {run.attention_kernel}" if run.fused_attention else ""
    if Trait.BEFORE_FLASH in named:
        return False, "attention is standard: the software is older than FlashAttention"
    if run.fused_attention:
        return True, ""
    if run.family in BY_NAME and Trait.UNFUSED_PYTORCH in named:
        return False, "attention is empty: standard, PyTorch has a fused one from 2.0 on"
    if "neuronx" in run.framework.lower() and _BEFORE_NEURON_FLASH.match(run.release):
        return False, "attention is empty: standard, Neuron has a kernel for it from 2.19 on"
    if Trait.XLA_ATTENTION in named:
        return False, "attention is empty: standard, as XLA computes it without a kernel of its own"
    if named & {Trait.MEGATRON, Trait.NEMO} and Trait.FUSES_ATTENTION not in named:
        return False, "attention is empty: standard, the default of Megatron-LM and NeMo until 2024"
    return True, "attention is empty: fused"


def channels_last(run: MeasuredRun, software: Software | None) -> tuple[bool, str]:
    """Whether feature maps lie with their channels last, as tensor cores take them, and why it is taken so.

    PyTorch keeps channels first where nobody asks, also in NVIDIA's containers. TensorFlow turns 16-bit ones, but not
    those of several replicas in one process; what is tuned by hand has them last. Without tensor cores it makes no
    difference.
    """
    name = run.framework.lower()
    if run.channels_last is not None or run.family != "convnet" or run.precision.other_dtype == "fp32":
        return run.channels_last is not False, ""
    if "pytorch" in name and software is not Software.FUSED:
        return False, "layout is empty: channels first, the default of PyTorch"
    # One process that runs operator by operator on several devices.
    replicated = software is Software.EAGER and run.devices > 1
    if "tf_cnn_benchmarks" in run.model and (run.precision.other_dtype == "tf32" or replicated):
        return False, "layout is empty: channels first, the default of tf_cnn_benchmarks"
    return True, "layout is empty: channels last, as tensor cores take them"


# --- layouts

# What is recomputed where nobody says so: nothing, before what memory asks for. Recipes of Megatron-Core, NeMo and
# Megatron-Bridge do not (perf_recipes), and Transformers' Trainer does not unless it is asked to
# (``gradient_checkpointing``, false).
_USUAL = (Recompute.NONE, Recompute.SELECTIVE, Recompute.HALF, Recompute.FULL)
_MICRO_BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Bytes of weights, gradients and optimizer state of a parameter in mixed precision (Rajbhandari et al. 2020).
_STATE_BYTES = 18.0
# The same without master weights.
_PURE_STATE_BYTES = 8.0
# Of a device's memory: what a predicted peak can be of a run that was made without recomputing more. It is a guess of what
# was done, and so nearer than the limit beyond which a run is called impossible (``domain.answer.fit``).
_MAY_FIT = 1.15
# A printed layout whose states need so many times the memory is not the whole of it.
_IMPOSSIBLE = 1.5


def candidate_layouts(
    run: MeasuredRun, cluster: Cluster, workload: Workload, traits: SoftwareTraits
) -> tuple[Layout, ...]:
    """Every layout that the row can mean.

    Raises:
        Skipped: the row's degrees do not multiply to its devices, or its batch is below one micro-batch.
    """
    batch, ep = run.global_batch or 0, run.ep or 1
    micros = (run.micro_batch,) if run.micro_batch else _MICRO_BATCHES
    found = []
    partial, layers = _is_partial(run, cluster, workload), workload.layers
    for (dp, tp, pp, cp), micro, again in itertools.product(
        _degrees(run, cluster, workload, partial), micros, _recomputations(run, traits)
    ):
        if ep > dp * tp * cp:
            raise Skipped(f"ep = {ep} is more than the {dp * tp * cp} devices of a pipeline stage")
        if batch and batch < dp * micro:
            continue
        # Without a global batch, as many micro-batches as fill the pipeline.
        accumulation = math.ceil(batch / (dp * micro)) if batch else (8 * pp if pp > 1 else 1)
        virtual = _virtual_stages(run, traits, layers, pp, accumulation)
        for zero, parts in itertools.product(_stages(run, traits, pp, partial), virtual):
            found.append(
                Layout(
                    dp=dp,
                    tp=tp,
                    pp=pp,
                    cp=cp,
                    ep=ep,
                    zero=zero,
                    micro_batch=micro,
                    accumulation=accumulation,
                    interleave=parts,
                    even=pp > 1 and not traits.balances and layers % (pp * parts) == 0,
                    recompute=again,
                    sequence=traits.sequence,
                )
            )
    if not found:
        raise Skipped(f"global batch {batch} is below one micro-batch for each data-parallel group")
    return tuple(found)


def data_parallel(run: MeasuredRun, cluster: Cluster) -> tuple[Layout, ...]:
    """Every device has the whole model and a part of the batch, as anything but a language transformer is trained.

    Raises:
        Skipped: the row divides the model, or its batch is below one micro-batch for each device.
    """
    degrees = {"tp": run.tp, "pp": run.pp, "cp": run.cp, "ep": run.ep}
    for name, degree in degrees.items():
        if degree and degree > 1:
            raise Skipped(f"{name} = {degree}: family {run.family} is predicted with dp alone")
    dp, batch = cluster.devices, run.global_batch or 0
    if batch and batch < dp * (run.micro_batch or 1):
        raise Skipped(f"global batch {batch} is below one micro-batch for each data-parallel group")
    each = math.ceil(batch / dp)
    micros = (run.micro_batch,) if run.micro_batch else (each,) if each else _MICRO_BATCHES
    return tuple(
        Layout(
            dp=dp,
            zero=run.zero_stage or 0,
            micro_batch=micro,
            accumulation=max(1, math.ceil(each / micro)),
            recompute=run.recompute or Recompute.NONE,
        )
        for micro in micros
    )


def likely(layouts: Sequence[Layout], shares: Sequence[float], batch_known: bool) -> list[int]:
    """Those of a run's layouts that it can have had, by what they need of the device's memory.

    A row whose micro-batch is known had the least recomputation with which it may have fitted, tightly or not: people
    recompute where they have to. Else all that fit; of none, the leanest, as the run was made.

    Args:
        layouts: as its row says, and every choice where it does not.
        shares: predicted peak over the device's memory, of each.
        batch_known: whether the row says its micro-batch.
    """
    every = range(len(layouts))
    running = [i for i in every if shares[i] <= _MAY_FIT]
    if batch_known and running:
        least = min(_USUAL.index(layouts[i].recompute) for i in running)
        running = [i for i in running if layouts[i].recompute is _USUAL[least]]
        # Of as much recomputation, those that need no more than there is, if there are any.
        return [i for i in running if shares[i] <= 1.0] or running
    return [i for i in every if shares[i] <= 1.0] or [min(every, key=lambda i: shares[i])]


def _recomputations(run: MeasuredRun, traits: SoftwareTraits) -> tuple[Recompute, ...]:
    if run.recompute is None and {Trait.BEFORE_FLASH, Trait.MEGATRON} <= traits_of(run.framework):
        # Whole layers were all that Megatron-LM could recompute before 2022, and BigScience did.
        return (Recompute.FULL,)
    if run.recompute is None and run.task == "qlora":
        # PEFT turns gradient checkpointing on where it prepares quantized weights (prepare_model_for_kbit_training,
        # ``use_gradient_checkpointing``, true), and Unsloth and LLaMA-Factory do too.
        return (Recompute.FULL,)
    if run.recompute is None:
        return (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)
    return (Recompute.HALF,) if run.recompute is Recompute.SELECTIVE and traits.half else (run.recompute,)


def _virtual_stages(run: MeasuredRun, traits: SoftwareTraits, layers: int, pp: int, accumulation: int) -> Iterable[int]:
    """As printed; where they are not, none or all that the micro-batches can fill."""
    if pp == 1:
        return (1,)
    if run.vp:
        return (run.vp,)
    return virtual_stages(layers, pp) if traits.interleaves and accumulation >= pp else (1,)


def _is_partial(run: MeasuredRun, cluster: Cluster, workload: Workload) -> bool:
    """Whether the printed layout cannot be the whole of it: its states alone need far more than the memory."""
    if run.zero_stage is not None:
        return False
    split = (run.tp or 1) * (run.pp or 1) * (run.ep or 1)
    each = _STATE_BYTES if run.precision.master_bytes else _PURE_STATE_BYTES
    return each * workload.trainable_parameters / split > _IMPOSSIBLE * cluster.accelerator.capacity_bytes


def _stages(run: MeasuredRun, traits: SoftwareTraits, pp: int, partial: bool) -> tuple[int, ...]:
    """ZeRO stages. Pipelines keep gradients whole: of the stages, they go with the first."""
    if run.zero_stage:
        return (run.zero_stage,)
    if run.zero_stage == 0:
        # NeMo's recipes divide the optimizer's state without printing it.
        return (1,) if Trait.RECIPES in traits_of(run.framework) else (0,)
    offered = tuple(z for z in traits.zero_stages if pp == 1 or z <= 1)
    return offered or (1,)


def _degrees(
    run: MeasuredRun, cluster: Cluster, workload: Workload, partial: bool
) -> Iterator[tuple[int, int, int, int]]:
    """(dp, tp, pp, cp): as printed; where tp and pp are not and one device cannot hold it, all that divide."""
    cp, devices = run.cp or 1, cluster.devices
    if run.tp or run.pp or not partial:
        tp, pp = run.tp or 1, run.pp or 1
        dp = run.dp or max(1, devices // (tp * pp * cp))
        if tp * pp * cp * dp != devices:
            raise Skipped(f"tp·pp·cp·dp = {tp * pp * cp * dp}, not {devices} devices")
        yield dp, tp, pp, cp
        return
    layers = max(workload.layers, 1)
    if devices % cp:
        raise Skipped(f"cp = {cp} does not divide {devices} devices")
    for tp, pp in itertools.product((1, 2, 4, 8), range(1, layers + 1)):
        if tp <= cluster.node_devices and devices % (tp * pp * cp) == 0:
            dp = devices // (tp * pp * cp)
            if dp == (run.dp or dp):
                yield dp, tp, pp, cp
