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
from pathlib import Path

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

PUBLISHED = Path(__file__).parent / "published"

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run. ``layouts`` has several entries where the row does not say the micro-batch."""

    row: Row
    plan: TrainingPlan
    layouts: tuple[Layout, ...]
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


def _run(row: Row, sheet: Callable[[str], Accelerator], efficiency: Callable[[Accelerator], Efficiency]) -> Run:
    accelerator = sheet(row["accelerator"])
    devices, node = _int(row, "devices"), _int(row, "node_devices")
    network = float(row["network_gbit_per_s_per_device"]) * 1e9 / 8 if row["network_gbit_per_s_per_device"] else None
    if devices > node and network is None:
        # A row that names no network ran on the accelerator's usual one.
        network = accelerator.network_bytes_per_s
    cluster = Cluster(accelerator=accelerator, efficiency=efficiency(accelerator), node_devices=node,
                      nodes=-(-devices // node), network_bytes_per_s=network)  # fmt: skip
    precision = PRECISIONS["fp8" if row["precision"].startswith("fp8") else row["precision"]]
    workload = _workload(row)
    tp, pp, cp = (_int(row, n) for n in ("tp", "pp", "cp"))
    dp = _int(row, "dp", devices // (tp * pp * cp))
    if tp * pp * cp * dp != devices:
        raise Skipped(f"tp·pp·cp·dp = {tp * pp * cp * dp}, not {devices} devices")
    layouts = tuple(_layouts(row, dp, tp, pp, cp))
    plan = TrainingPlan(
        workload=workload, samples=1e6, global_batch=layouts[0].global_batch, precision=precision,
        optimizer=OPTIMIZERS["adamw"], fused_attention=row["attention"] != "standard",
    )  # fmt: skip
    if row["task"] == "lora":
        raise Skipped("LoRA run: its rank is not in the table")
    return Run(row=row, plan=plan, layouts=layouts, cluster=cluster,
               tokens_per_s=float(row["tokens_per_s_per_device"]))  # fmt: skip


def _layouts(row: Row, dp: int, tp: int, pp: int, cp: int) -> Iterator[Layout]:
    batch = _int(row, "global_batch", 0)
    known = row["micro_batch"]
    again = [Recompute(row["recompute"])] if row["recompute"] else [Recompute.NONE, Recompute.FULL]
    micros = [_int(row, "micro_batch")] if known else [1, 2, 4, 8, 16, 32, 64]
    for micro, recompute in itertools.product(micros, again):
        if batch and batch < dp * micro:
            if known:
                raise Skipped(f"global batch {batch} is below dp {dp} × micro-batch {micro}")
            continue
        # With no global batch, as many micro-batches as fill the pipeline.
        accumulation = max(1, round(batch / (dp * micro))) if batch else (8 * pp if pp > 1 else 1)
        yield Layout(
            dp=dp, tp=tp, pp=pp, cp=cp, ep=_int(row, "ep"), zero=_int(row, "zero_stage", 1 if dp > 1 else 0),
            micro_batch=micro, accumulation=accumulation, interleave=_int(row, "vp") if pp > 1 else 1,
            recompute=recompute,
        )  # fmt: skip


def _plain(text: str) -> str:
    return re.sub(r"\(.*\)|[^a-z0-9]", "", text.lower())


def _workload(row: Row) -> Workload:
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
