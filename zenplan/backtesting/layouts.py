"""The layouts that a measured run can have had: as its row says, and every choice where it does not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

from zenplan.backtesting.era import Era
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.errors import Skipped

Row = Mapping[str, str]

_MICRO_BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Bytes of weights, gradients and optimizer state of a parameter in mixed precision (Rajbhandari et al. 2020).
_STATE_BYTES = 18.0
# A printed layout whose states need so many times the memory is not the whole of it.
_IMPOSSIBLE = 1.5


def candidate_layouts(row: Row, cluster: Cluster, workload: Workload, era: Era) -> tuple[Layout, ...]:
    """Every layout that the row can mean.

    Raises:
        Skipped: the row's degrees do not multiply to its devices, or its batch is below one micro-batch.
    """
    batch, ep = whole(row, "global_batch", 0), whole(row, "ep", 1)
    micros = (whole(row, "micro_batch", 1),) if row["micro_batch"] else _MICRO_BATCHES
    found = []
    partial = _is_partial(row, cluster, workload)
    for (dp, tp, pp, cp), micro, again in itertools.product(
        _degrees(row, cluster, workload, partial), micros, _recomputations(row, era)
    ):
        if ep > dp * tp * cp:
            raise Skipped(f"ep = {ep} is more than the {dp * tp * cp} devices of a pipeline stage")
        if batch and batch < dp * micro:
            continue
        # Without a global batch, as many micro-batches as fill the pipeline.
        accumulation = math.ceil(batch / (dp * micro)) if batch else (8 * pp if pp > 1 else 1)
        for zero in _stages(row, era, pp, partial):
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
                    interleave=whole(row, "vp", 1) if pp > 1 else 1,
                    recompute=again,
                    sequence=era.sequence,
                )
            )
    if not found:
        raise Skipped(f"global batch {batch} is below one micro-batch for each data-parallel group")
    return tuple(found)


def data_parallel(row: Row, cluster: Cluster) -> tuple[Layout, ...]:
    """Every device has the whole model and a part of the batch, as anything but a language transformer is trained.

    Raises:
        Skipped: the row divides the model, or its batch is below one micro-batch for each device.
    """
    divided = [name for name in ("tp", "pp", "cp", "ep") if whole(row, name, 1) > 1]
    if divided:
        raise Skipped(f"{divided[0]} = {row[divided[0]]}: family {row['family']} is predicted with dp alone")
    dp, batch = cluster.devices, whole(row, "global_batch", 0)
    if batch and batch < dp * whole(row, "micro_batch", 1):
        raise Skipped(f"global batch {batch} is below one micro-batch for each data-parallel group")
    each = math.ceil(batch / dp)
    micros = (whole(row, "micro_batch", 1),) if row["micro_batch"] else (each,) if each else _MICRO_BATCHES
    return tuple(
        Layout(
            dp=dp,
            zero=int(row["zero_stage"] or 0),
            micro_batch=micro,
            accumulation=max(1, math.ceil(each / micro)),
            recompute=Recompute(row["recompute"] or Recompute.NONE),
        )
        for micro in micros
    )


def whole(row: Row, name: str, default: int) -> int:
    """A whole number of a row, at least one; the default where the cell is empty."""
    return max(1, int(float(row[name]))) if row.get(name) else default


def _recomputations(row: Row, era: Era) -> tuple[Recompute, ...]:
    if not row["recompute"]:
        return (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)
    again = Recompute(row["recompute"])
    return (Recompute.HALF,) if again is Recompute.SELECTIVE and era.half else (again,)


def _is_partial(row: Row, cluster: Cluster, workload: Workload) -> bool:
    """Whether the printed layout cannot be the whole of it: its states alone need far more than the memory."""
    if row["zero_stage"] in ("1", "2", "3"):
        return False
    split = whole(row, "tp", 1) * whole(row, "pp", 1) * whole(row, "ep", 1)
    return _STATE_BYTES * workload.trainable_parameters / split > _IMPOSSIBLE * cluster.accelerator.capacity_bytes


def _stages(row: Row, era: Era, pp: int, partial: bool) -> tuple[int, ...]:
    """ZeRO stages. Pipelines keep gradients whole: of the stages, they go with the first."""
    printed = row["zero_stage"]
    if printed in ("1", "2", "3"):
        return (int(printed),)
    if printed == "0" and not partial:
        # NeMo's recipes divide the optimizer's state without printing it.
        name = row["framework"].lower()
        return (1,) if "nemo" in name or "bridge" in name else (0,)
    offered = tuple(z for z in era.zero_stages if pp == 1 or z <= 1)
    return offered or (1,)


def _degrees(row: Row, cluster: Cluster, workload: Workload, partial: bool) -> Iterator[tuple[int, int, int, int]]:
    """(dp, tp, pp, cp): as printed; where tp and pp are not and one device cannot hold it, all that divide."""
    cp, devices = whole(row, "cp", 1), cluster.devices
    if row["tp"] or row["pp"] or not partial:
        tp, pp = whole(row, "tp", 1), whole(row, "pp", 1)
        dp = whole(row, "dp", max(1, devices // (tp * pp * cp)))
        if tp * pp * cp * dp != devices:
            raise Skipped(f"tp·pp·cp·dp = {tp * pp * cp * dp}, not {devices} devices")
        yield dp, tp, pp, cp
        return
    layers, wanted = max(workload.layers, 1), whole(row, "dp", 0)
    if devices % cp:
        raise Skipped(f"cp = {cp} does not divide {devices} devices")
    for tp, pp in itertools.product((1, 2, 4, 8), range(1, layers + 1)):
        if tp <= cluster.node_devices and layers % pp == 0 and devices % (tp * pp * cp) == 0:
            dp = devices // (tp * pp * cp)
            if dp == (wanted or dp):
                yield dp, tp, pp, cp
