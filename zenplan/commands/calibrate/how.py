"""How it is measured: the device, the arithmetic, the threads, and which engines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from zenplan.adapters.workers.engines import is_installed
from zenplan.adapters.workers.process import BACKENDS, backend_of
from zenplan.domain.hardware.device import Device, Profile
from zenplan.errors import UnknownName, UsageError
from zenplan.protocols import Engine

ALL: Final = "all"
DEVICES: Final = ("cpu", "gpu")
# What Keras can be told to compute in; its products are cut short to tf32 by the library, where it does that.
PRECISIONS: Final = ("fp32", "tf32", "bf16", "fp16")
# Keras has its parameters in fp32; large models on a GPU are trained in bf16.
_USUAL_PRECISION: Final = {"cpu": "fp32", "gpu": "bf16"}
# Makers of GPUs that Keras's backends compute on, and the variables that choose among them.
_COMPUTED_ON: Final = ("NVIDIA", "AMD")
_CHOSEN_BY: Final = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """The ways in which steps are run.

    Attributes:
        device: ``cpu`` or ``gpu``.
        threads: of the host that compute; of each worker where there are several.
        workers: processes that train together, whose step is predicted beside that of one.
        compiled: None for what Keras does by itself on the backend.
        minutes: that measuring may take on each backend.
        whole: whether the model itself may be run, not only less deep ones and parts of its batch; benchmarks forbid it.
        strict: a machine that is not fit to be measured is refused.
        facts: what was not asked for and chosen here, one line each.
    """

    device: str
    precision: str
    threads: int
    workers: int = 1
    compiled: bool | None = None
    minutes: float = 1.0
    whole: bool = True
    strict: bool = False
    facts: tuple[str, ...] = ()


def how_of(
    profile: Profile,
    *,
    device: str | None,
    precision: str | None,
    threads: int | None,
    workers: int = 1,
    compiled: bool | None,
    minutes: float,
    strict: bool,
) -> How:
    """What was asked for, and the usual for the rest.

    Raises:
        UnknownName: there is no such device or precision.
        UsageError: there is no GPU, or there are fewer cores than threads.
    """
    if device not in (None, *DEVICES):
        raise UnknownName("device", str(device), DEVICES)
    gpu = gpu_of(profile)
    if device == "gpu" and gpu is None:
        others = ", ".join(dict.fromkeys(each.vendor for each in profile.devices))
        why = f"Keras's backends do not compute on those of {others}" if others else profile.driver.reason
        raise UsageError(f"there is no GPU: {why}", "--device cpu measures the processor")
    if precision not in (None, *PRECISIONS):
        raise UsageError(f"Keras does not train in {precision}", f"one of {', '.join(PRECISIONS)}")
    kind = device or ("gpu" if gpu else "cpu")
    most = _threads(profile, gpu if kind == "gpu" else None, threads, workers)
    facts = []
    if device is None:
        facts.append(f"on the {kind}: {'the driver shows one' if kind == 'gpu' else 'the driver shows no GPU'}")
    if precision is None:
        facts.append(f"in {_USUAL_PRECISION[kind]}: the usual on a {kind}; --precision changes it")
    facts.extend(_where(profile, gpu) if kind == "gpu" and gpu else _over_sockets(profile, threads or most))
    return How(
        device=kind,
        precision=precision or _USUAL_PRECISION[kind],
        threads=threads or most,
        workers=workers,
        compiled=compiled,
        minutes=minutes,
        strict=strict,
        facts=tuple(facts),
    )


def _threads(profile: Profile, gpu: Device | None, threads: int | None, workers: int) -> int:
    """The most of a worker. Raises UsageError: they need more cores or GPUs than there are."""
    cores = int(profile.host.usable_cores or 1) or 1
    if workers > cores:
        raise UsageError(f"{workers} workers need a core each, and there are {cores}", f"at most --workers {cores}")
    most = cores // workers
    if threads is not None and threads > most:
        each = f" for each of {workers} workers" if workers > 1 else ""
        raise UsageError(f"there are no {threads} cores{each}, only {cores}", f"give --threads {most} or fewer")
    there = len(_alike(profile, gpu)) if gpu else workers
    if workers > 1 and workers > there:
        found = "is 1" if there == 1 else f"are {there}"
        raise UsageError(f"{workers} workers need a GPU each, and there {found}", "--device cpu measures the processor")
    return most


def engines_of(
    wanted: str | None, known: Sequence[Engine], environ: Mapping[str, str] = os.environ
) -> tuple[Engine, ...]:
    """The engines to measure: one by its name, ``all`` that are installed, or as ``backend_of`` chooses.

    Raises:
        UsageError: what was asked for is not installed, or nothing is; UnknownName: nobody has such an engine.
    """
    by_name = {engine.name: engine for engine in known}
    if wanted == ALL:
        there = tuple(e for e in known if e.name not in BACKENDS or is_installed(e.name))
        return there or (by_name[backend_of(None, {})],)
    if wanted is not None and wanted not in by_name:
        raise UnknownName("backend", wanted, (*by_name, ALL))
    if wanted is not None and wanted not in BACKENDS:
        return (by_name[wanted],)
    name = backend_of(wanted, environ)
    if name not in by_name:
        raise UsageError(f"no plugin gives an engine for {name}", "ZENPLAN_BLOCK must not have builtin in it")
    return (by_name[name],)


def both_ways(how: How) -> tuple[How, ...]:
    """With compilation and without."""
    return tuple(replace(how, compiled=compiled) for compiled in (True, False))


def gpu_of(profile: Profile, environ: Mapping[str, str] = os.environ) -> Device | None:
    """The GPU, or the slice of one, that a framework takes: the first of ``CUDA_VISIBLE_DEVICES``, or of all; None
    where there is none that it computes on."""
    usable = [d for d in profile.devices if d.vendor in _COMPUTED_ON]
    told = next(filter(None, (environ.get(name, "").split(",")[0].strip() for name in _CHOSEN_BY)), "")
    named = [d for d in usable if told and (str(d.index) == told or (d.uuid.value or "").startswith(told))]
    first = next(iter(named or usable), None)
    if first is None or first.slice_of is not None:
        return first
    # A GPU that is cut into slices computes in the first of them.
    return next((d for d in usable if d.slice_of == first.index), first)


def _where(profile: Profile, gpu: Device) -> Iterator[str]:
    """Which of several GPUs it is, and whether it stands for the others."""
    peers = _alike(profile, gpu)
    if gpu.slice_of is not None:
        yield f"on a slice of GPU {gpu.slice_of}, one of {len(peers)}: {gpu.name.value or 'without a name'}"
    if len(peers) > 1:
        names = {d.name.value for d in peers}
        alike = "all alike" if len(names) == 1 else "not all alike, and it says nothing of the others"
        which = "" if gpu.slice_of is not None else f"on GPU {gpu.index} of {len(peers)}, "
        yield f"{which}{alike}: CUDA_VISIBLE_DEVICES chooses another"


def _alike(profile: Profile, gpu: Device) -> list[Device]:
    """GPUs, or slices of them, of the same maker."""
    return [d for d in profile.devices if d.vendor == gpu.vendor and (d.slice_of is None) == (gpu.slice_of is None)]


def _over_sockets(profile: Profile, threads: int) -> Iterator[str]:
    """Over how many processors and parts of memory the threads go."""
    sockets, nodes = profile.host.sockets.value or 1, profile.host.numa_nodes.value or 1
    if max(sockets, nodes) > 1:
        yield (
            f"{threads} threads, sockets: {sockets}, NUMA nodes: {nodes}; memory of another node is slower to reach, and "
            "'numactl --cpunodebind=0 --membind=0' measures one alone"
        )
