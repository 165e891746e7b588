"""What another published model says about the same runs: llm-analysis (Cheng Li, Apache-2.0).

    pip install fire && pip install --no-deps llm-analysis
    python benchmarks/baselines.py              how many runs it can express, and how far it is from them

It counts the FLOP of a transformer step and divides them by an efficiency times the peak; ours is one number, 0.5,
which its documentation gives for training at scale. Communication, pipeline bubbles and memory-bound operators are
not in its training time. It asks for an old release of fire and of transformers; neither is used here.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from functools import cache
from typing import Any

from tables import macro, published

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, runs_of
from zenplan.domain.answer.backtest import Summary
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.precision import Precision
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.fitting.published import by_group, source

EFFICIENCY = 0.5
_NEEDED = ("layers", "width", "heads", "vocab", "seq_len")
# Its numbers for what is computed again; every second product, which it does not know, is nearer to nothing.
_AGAIN = {Recompute.NONE: 0, Recompute.HALF: 0, Recompute.SELECTIVE: 1, Recompute.FULL: 2}


def installed() -> bool:
    """Whether llm-analysis can be imported."""
    try:
        _library()
    except ImportError:
        return False
    return True


@cache
def _library() -> Any:
    logging.disable(logging.WARNING)  # it warns of what is not installed, and of every row that is unusual
    try:
        from llm_analysis import analysis
    finally:
        logging.disable(logging.NOTSET)
    analysis.logger.setLevel(logging.ERROR)
    return analysis


def llm_analysis(run: Run) -> float | None:
    """ln(predicted / measured) tokens a second and device; None where it cannot express the run.

    Of several layouts that the run can have had, the fastest is taken, as for zenplan.
    """
    if why_not(run):
        return None
    speeds = [_tokens_per_s(run, layout) for layout in {x.recompute: x for x in run.layouts}.values()]
    return math.log(max(speeds) / run.tokens_per_s)


def why_not(run: Run) -> str:
    """Why it cannot express a run; empty where it can."""
    if run.plan.workload.family not in ("decoder", "encoder"):
        return f"no {run.plan.workload.family}"
    if any(not getattr(run.measured, name) for name in _NEEDED):
        return "its shape is not in the row"
    if run.layouts[0].cp > 1:
        return "no context parallelism"
    if run.plan.precision.matmul_dtype not in ("bf16", "fp16", "fp8"):
        return f"no {run.plan.precision.name}"
    return ""


def _tokens_per_s(run: Run, layout: Layout) -> float:
    library, measured = _library(), run.measured
    width = measured.width or 0
    inner = measured.ff_width or 4 * width
    model = library.ModelConfig(
        name="run",
        num_layers=measured.layers,
        n_head=measured.heads,
        hidden_dim=width,
        vocab_size=measured.vocab,
        max_seq_len=measured.seq_len,
        ffn_embed_dim=inner,
        expansion_ratio=inner / width,
        num_key_value_heads=measured.kv_heads or measured.heads,
    )
    bits = 8 if run.plan.precision.matmul_dtype == "fp8" else 16
    analysis = library.LLMAnalysis(
        model,
        _gpu(library, run.cluster.accelerator, run.plan.precision),
        library.DtypeConfig(weight_bits=bits, activation_bits=bits),
        library.ParallelismConfig(tp_size=layout.tp, pp_size=layout.pp, dp_size=layout.dp),
        flops_efficiency=EFFICIENCY,
    )
    found = analysis.training(
        batch_size_per_gpu=layout.micro_batch,
        gradient_accumulation_steps=layout.accumulation,
        global_batch_size=layout.global_batch,
        seq_len=model.max_seq_len,
        activation_recomputation=library.ActivationRecomputation(_AGAIN[layout.recompute]),
        ds_zero=library.DSZeRO(layout.zero),
        flash_attn=run.plan.fused_attention,
    )
    return float(layout.global_batch * model.max_seq_len / found["latency_per_iter"] / layout.devices)


def _gpu(library: Any, sheet: Accelerator, precision: Precision) -> object:
    """The accelerator's data sheet; under fp8 its 8-bit peak is that of fp8."""
    wide = sheet.peak(precision.other_dtype) or 0.0
    return library.GPUConfig(
        name=sheet.name,
        mem_per_GPU_in_GB=sheet.memory_bytes / 1e9,
        hbm_bandwidth_in_GB_per_sec=sheet.memory_bytes_per_s / 1e9,
        intra_node_bandwidth_in_GB_per_sec=(sheet.link_bytes_per_s or 32e9) / 1e9,
        intra_node_min_message_latency=8e-6,
        peak_fp16_TFLOPS=wide / 1e12,
        peak_i8_TFLOPS=(sheet.peak("fp8") or 2.0 * wide) / 1e12,
    )


def main() -> None:
    """Print how many runs it takes, and its errors."""
    if not installed():
        raise SystemExit("llm-analysis is not installed: pip install fire && pip install --no-deps llm-analysis")
    made = runs_of(published(), Catalogue(accelerators=read_accelerators()), read_coefficients())
    all_runs = [r for r in made if isinstance(r, Run)]
    errors = [(r, e) for r in all_runs if (e := llm_analysis(r)) is not None]
    left_out = Counter(why for r in all_runs if (why := why_not(r)))
    mean = macro(by_group(errors, source))
    alone = Summary.of([e for _, e in errors])
    print(f"llm-analysis at {EFFICIENCY:.0%} of the peak: {len(errors)} of {len(all_runs)} runs")
    print("\n".join(f"not expressed: {count} × {why}" for why, count in left_out.most_common()))
    for name, s in (("average of the sources", mean), ("all runs", alone)):
        print(
            f"{name}: median ln error {s.median:.3f}, MAPE {s.mape:.1%}, within 10 % {s.within_10:.0%}, "
            f"within 25 % {s.within_25:.0%}, bias {math.expm1(s.bias):+.0%}"
        )


if __name__ == "__main__":
    main()
