"""Published, measured training runs as nouns: a row becomes a plan, a layout and a cluster.

Columns of ``published/language_models.csv``: empty is unknown. What a row does not say is chosen here as a
user of that time would have, and never from the measured figure.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zenplan.adapters.model_table import read_models
from zenplan.domain.accelerator import Accelerator
from zenplan.domain.cluster import Cluster
from zenplan.domain.efficiency import Efficiency
from zenplan.domain.layout import Layout, Recompute
from zenplan.domain.plan import OPTIMIZERS, TrainingPlan
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.workload import Workload
from zenplan.families.sizing import shape_for
from zenplan.families.transformer import TransformerShape, lower
from zenplan.planning.arrays import Layouts
from zenplan.planning.memory import peak_memory

PUBLISHED = Path(__file__).parent / "published"

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run.

    Attributes:
        layouts: what the row says, or all that it can mean and that fit memory; the fastest is taken.
        fits: whether the memory model finds that any fits; the run was made, so it should.
    """

    row: Row
    plan: TrainingPlan
    layouts: tuple[Layout, ...]
    fits: bool
    cluster: Cluster
    tokens_per_s: float

    @property
    def devices(self) -> int:
        """Devices of the run."""
        return self.cluster.devices


class Skipped(Exception):
    """A row that cannot be predicted, with its reason."""


def read_rows(name: str = "language_models.csv") -> list[Row]:
    """The rows of a published table."""
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def runs(
    rows: list[Row],
    sheet: Callable[[str], Accelerator],
    efficiency: Callable[[Accelerator], Efficiency],
) -> Iterator[Run | tuple[Row, str]]:
    """Each row as a run, or with the reason why it is none."""
    for row in rows:
        try:
            yield _run(row, sheet, efficiency)
        except Skipped as error:
            yield row, str(error)


def _int(row: Row, name: str, default: int = 1) -> int:
    return int(float(row[name])) if row[name] else default


def _run(
    row: Row, sheet: Callable[[str], Accelerator], efficiency: Callable[[Accelerator], Efficiency]
) -> Run:
    accelerator = sheet(row["accelerator"])
    devices, node = _int(row, "devices"), _int(row, "node_devices")
    network = (
        float(row["network_gbit_per_s_per_device"]) * 1e9 / 8
        if row["network_gbit_per_s_per_device"]
        else None
    )
    if devices > node and network is None:
        # A row that names no network ran on the accelerator's usual one.
        network = accelerator.network_bytes_per_s
    cluster = Cluster(accelerator=accelerator, efficiency=efficiency(accelerator), node_devices=node,
                      nodes=-(-devices // node), network_bytes_per_s=network)  # fmt: skip
    precision = PRECISIONS["fp8" if row["precision"].startswith("fp8") else row["precision"]]
    workload = _workload(_Shape(*(row[n] for n in _Shape._fields)))
    if row["task"] == "lora":
        raise Skipped("LoRA run: its rank is not in the table")
    layouts = tuple(_layouts(row, devices, accelerator))
    plan = TrainingPlan(
        workload=workload, samples=1e6, global_batch=layouts[0].global_batch, precision=precision,
        optimizer=OPTIMIZERS["adamw"], fused_attention=row["attention"] != "standard",
    )  # fmt: skip
    # The layout that the row does not say in full is one that fits; of none, the leanest: the run was made.
    needs = peak_memory(plan, Layouts.of(layouts)).total_bytes
    fits = needs <= accelerator.capacity_bytes
    kept = np.flatnonzero(fits) if fits.any() else [int(np.argmin(needs))]
    return Run(row=row, plan=plan, layouts=tuple(layouts[i] for i in kept), fits=bool(fits.any()),
               cluster=cluster, tokens_per_s=float(row["tokens_per_s_per_device"]))  # fmt: skip


def _layouts(row: Row, devices: int, sheet: Accelerator) -> Iterator[Layout]:
    """Every layout that the row can mean: what it does not say is tried."""
    batch = _int(row, "global_batch", 0)
    micros = [_int(row, "micro_batch")] if row["micro_batch"] else [1, 2, 4, 8, 16, 32, 64]
    again = [Recompute(row["recompute"])] if row["recompute"] else [Recompute.NONE, Recompute.FULL]
    degrees = list(_degrees(row, devices, sheet))
    found = False
    for (dp, tp, pp, cp), micro, recompute in itertools.product(degrees, micros, again):
        if batch and batch < dp * micro:
            continue
        # Without a global batch, as many micro-batches as fill the pipeline.
        accumulation = max(1, round(batch / (dp * micro))) if batch else (8 * pp if pp > 1 else 1)
        # Pipelines keep gradients whole: of the ZeRO stages, they go with the first.
        stages = [_int(row, "zero_stage")] if row["zero_stage"] else [1] if pp > 1 else [1, 2, 3]
        for zero in stages:
            found = True
            yield Layout(
                dp=dp, tp=tp, pp=pp, cp=cp, ep=_int(row, "ep"), zero=zero, micro_batch=micro,
                accumulation=accumulation, interleave=_int(row, "vp") if pp > 1 else 1, recompute=recompute,
            )  # fmt: skip
    if not found:
        raise Skipped(f"global batch {batch} is below one micro-batch for each data-parallel group")


def _degrees(row: Row, devices: int, sheet: Accelerator) -> Iterator[tuple[int, int, int, int]]:
    """(dp, tp, pp, cp): as printed, or, where tp and pp are not, every power of two within a node."""
    cp = _int(row, "cp")
    if row["tp"] and row["pp"]:
        tp, pp = _int(row, "tp"), _int(row, "pp")
        dp = _int(row, "dp", devices // (tp * pp * cp))
        if tp * pp * cp * dp != devices:
            raise Skipped(f"tp·pp·cp·dp = {tp * pp * cp * dp}, not {devices} devices")
        yield dp, tp, pp, cp
        return
    layers = _int(row, "layers", 1)
    for tp, pp in itertools.product((1, 2, 4, 8), range(1, layers + 1)):
        if tp <= sheet.node_devices and layers % pp == 0 and devices % (tp * pp * cp) == 0:
            yield devices // (tp * pp * cp), tp, pp, cp


def _plain(text: str) -> str:
    return re.sub(r"\(.*\)|[^a-z0-9]", "", text.lower())


class _Shape(NamedTuple):
    """The cells of a row that say what is trained."""

    family: str
    model: str
    params: str
    layers: str
    width: str
    heads: str
    kv_heads: str
    ff_width: str
    gated: str
    vocab: str
    seq_len: str


@cache
def _workload(cells: _Shape) -> Workload:
    """Rows of one model share it, so that they can be predicted together."""
    row = cells._asdict()
    seq_len, params = _int(row, "seq_len"), float(row["params"])
    if row["family"] == "moe-decoder":
        presets = {_plain(n): p for n, p in read_models().items()}
        preset = presets.get(_plain(row["model"]))
        if preset is None:
            raise Skipped(f"the experts of {row['model']} are not in the table")
        return lower(replace(preset.shape, seq_len=seq_len), row["model"])
    if not row["layers"]:
        if row["family"] != "decoder":
            raise Skipped(f"no layers and width for this {row['family']}")
        return lower(shape_for(params, seq_len=seq_len)[0], row["model"])
    heads = _int(row, "heads")
    shape = TransformerShape(
        family=row["family"], layers=_int(row, "layers"), width=_int(row, "width"), heads=heads,
        kv_heads=_int(row, "kv_heads", heads), ff_width=_int(row, "ff_width"), vocab=_int(row, "vocab"),
        seq_len=seq_len, gated=row["gated"] == "yes", tied=row["gated"] != "yes", positions=0,
        head_transform=row["family"] == "encoder", head_dim=max(1, _int(row, "width") // heads),
    )  # fmt: skip
    return lower(shape, row["model"])
