"""Count: what a Keras model computes, layer by layer, found out in a worker process."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zenplan.adapters.files.regular_file import open_regular
from zenplan.adapters.machine.host import read_host
from zenplan.adapters.workers.process import USUAL_TIME_S, Limits, Tell, backend_of, run_job
from zenplan.domain.model.count import ModelCount
from zenplan.domain.model.workload import Workload
from zenplan.errors import DataError, InputFileError, UsageError
from zenplan.worker.protocol import Count, Counted, File, Target

# Of the memory that this process may use, what a worker may take where nothing else is said.
_MEMORY_SHARE = 0.8
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_SAVE = "save the model with model.save('model.keras'), or count it from code: package.module:function"
_HINT = "name a function, as in package.module:build_model, or a .keras file"


def _untold(_stage: str, _seconds: float) -> None:
    pass


def count_keras(
    target: str,
    backend: str | None = None,
    *,
    arguments: Mapping[str, Any] = MappingProxyType({}),
    input_shapes: Sequence[Sequence[int]] = (),
    batch: int | None = None,
    loop: int | None = None,
    time_s: float = USUAL_TIME_S,
    memory_bytes: float | None = None,
    tell: Tell = _untold,
) -> ModelCount:
    """The count of a Keras model.

    Args:
        target: ``package.module:function``, imported with the current folder first, or a ``.keras`` file.
        backend: of Keras; None for that of ``KERAS_BACKEND``, or the first that is installed.
        arguments: that the function is called with, by name.
        input_shapes: of one sample, without the batch, for a model that was never built or has an open shape.
        batch: samples that it is called with, for one that depends on their number; None for any.
        loop: turns of a loop whose length is not known; None: its layer is unknown.
        time_s: the worker may take that long.
        memory_bytes: and that much; None for 80 % of what this process may use.
        tell: told the worker's stage and its seconds, now and then.

    Raises:
        UsageError: the target is not one, or what it needs is not installed.
        ZenplanError: it cannot be built or counted; the message says why.
    """
    job = Count(what=target, model=keras_model(target, arguments, input_shapes), batch=batch, loop=loop)
    return count_job(job, backend, time_s, memory_bytes, tell)


def count_job(
    job: Count,
    backend: str | None,
    time_s: float = USUAL_TIME_S,
    memory_bytes: float | None = None,
    tell: Tell = _untold,
) -> ModelCount:
    """What a worker counts; arguments and errors as of ``count_keras``, for any model that a worker can count."""
    if memory_bytes is None and (usable := read_host().usable_memory_bytes):
        memory_bytes = _MEMORY_SHARE * usable
    chosen = backend_of(backend, os.environ)
    answer = run_job(job, chosen, Limits(time_s=time_s, memory_bytes=memory_bytes), tell)
    if not isinstance(answer, Counted):
        raise DataError(f"the worker has no count of {job.what}")
    return answer.count


def keras_model(
    target: str, arguments: Mapping[str, Any] = MappingProxyType({}), input_shapes: Sequence[Sequence[int]] = ()
) -> Target | File:
    """The model as a worker takes it; arguments as of ``count_keras``.

    Raises:
        UsageError: the target is not one; InputFileError: it is no regular file that can be opened.
    """
    shapes = tuple(tuple(shape) for shape in input_shapes)
    if not target.endswith(".keras"):
        return Target(target=_function(target), arguments=dict(arguments), input_shapes=shapes)
    # What is in it is the worker's to read, which has limits: a small file may unpack to gigabytes.
    os.close(open_regular(target, f"model {target}", float("inf"), _SAVE))
    return File(path=target, input_shapes=shapes)


def keras_workload(target: str, backend: str | None = None, **options: Any) -> Workload:
    """A Keras model as something to train; arguments and errors as of ``count_keras``.

    Raises:
        UsageError: besides, a layer's cost is unknown: what trains the rest of the model is not what was asked.
    """
    return trained(count_keras(target, backend, **options), target)


def trained(count: ModelCount, name: str) -> Workload:
    """A counted model as something to train. Raises UsageError: a layer's cost is unknown."""
    if count.unknown:
        raise UsageError(
            f"{name}: the cost of {count.unknown[0].label} is unknown",
            "zenplan.register_layer tells it; 'zenplan count' shows the rest",
        )
    return count.workload()


def _function(target: str) -> str:
    """The target, if it can be a function's name. What looks like a file gets a hint of its own."""
    path = Path(target.partition(":")[0])
    if _FUNCTION.fullmatch(target) and path.suffix != ".py":
        return target
    if path.suffix == ".py":
        name = target.partition(":")[2] or "build_model"
        raise UsageError(f"'{target}' is a path, not a module", f"write it as in: {path.stem}:{name}")
    if path.suffix in (".h5", ".hdf5"):
        raise InputFileError(
            f"model {target}: the HDF5 format may run code, and is not read", "save it with model.save('model.keras')"
        )
    if Path(target).exists():
        kind = "a directory" if Path(target).is_dir() else "no .keras file"
        raise InputFileError(f"model {target} is {kind}", "save it with model.save('model.keras')")
    raise UsageError(f"'{target}' names no model", _HINT)
