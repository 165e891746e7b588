"""The machine that steps run on: confined to the threads asked for, made ready for the framework, and described."""

from __future__ import annotations

import os
import platform
import time
from importlib import import_module
from pathlib import Path

from zenplan.errors import UsageError
from zenplan.worker.protocol import Machine

_CPUINFO, _STAT = Path("/proc/cpuinfo"), Path("/proc/stat")
# Of looking which cores are idle: some ticks of the system's clock.
_LOOK_S = 0.1


def confined(threads: int) -> int:
    """Keep this process to as many processor cores; how many it has then.

    It must come before any framework starts its own threads, which inherit it. A system without affinity has only
    the frameworks' settings.
    """
    if not hasattr(os, "sched_setaffinity"):
        return min(threads, os.cpu_count() or threads)
    allowed = os.sched_getaffinity(0)
    before = _idle_ticks()
    time.sleep(_LOOK_S)
    after = _idle_ticks()
    # Of those allowed the most idle: another program, or another measurement, may keep some busy.
    idlest = sorted(allowed, key=lambda core: (before.get(core, 0) - after.get(core, 0), core))[:threads]
    os.sched_setaffinity(0, idlest)
    return len(idlest)


def confined_beside(place: int, threads: int) -> int:
    """As ``confined``, of several workers on this machine: each has cores of its own where there are enough.

    Args:
        place: of this worker among them.
    """
    if not hasattr(os, "sched_setaffinity"):
        return min(threads, os.cpu_count() or threads)
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < (place + 1) * threads:
        return min(threads, len(allowed))
    os.sched_setaffinity(0, allowed[place * threads : (place + 1) * threads])
    return threads


def _idle_ticks() -> dict[int, int]:
    """By core, the time that it was idle; empty where the system does not tell: proc(5)."""
    try:
        lines = _STAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    cores = (line.split() for line in lines if line.startswith("cpu") and line[3:4].isdigit())
    return {int(fields[0].removeprefix("cpu")): int(fields[4]) for fields in cores}


def prepare(device: str, threads: int, precision: str) -> None:
    """Set what the framework cannot be told by the environment, before its first computation.

    Raises:
        UsageError: there is no GPU for it.
    """
    import keras

    {"jax": _prepare_jax, "torch": _prepare_torch, "tensorflow": _prepare_tensorflow}[keras.config.backend()](
        device, threads, precision
    )


def described(device: str, threads: int, compiled: bool) -> Machine:
    """The machine, for the parent."""
    import keras

    backend = keras.config.backend()
    versions = {
        "keras": keras.__version__,
        # torch has a kind of text of its own for it.
        backend: str(import_module(backend).__version__),
        "python": platform.python_version(),
    }
    name = _gpu_name(backend) if device == "gpu" else processor()
    return Machine(device=name, kind=device, threads=threads, versions=versions, compiled=compiled)


def _prepare_jax(device: str, threads: int, precision: str) -> None:
    import jax

    if device == "gpu":
        _check_gpu("jax", jax.default_backend() not in ("cpu", "tpu"))
        # By default XLA rounds fp32 products to TensorFloat-32 on GPUs that have it.
        products = "tensorfloat32" if precision == "tf32" else "highest"
        jax.config.update("jax_default_matmul_precision", products)


def _prepare_torch(device: str, threads: int, precision: str) -> None:
    import torch

    torch.set_num_threads(threads)
    if device == "gpu":
        _check_gpu("torch", torch.cuda.is_available())
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def _prepare_tensorflow(device: str, threads: int, precision: str) -> None:
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    if device == "gpu":
        gpus = tensorflow.config.list_physical_devices("GPU")
        _check_gpu("tensorflow", bool(gpus))
        for gpu in gpus:
            tensorflow.config.experimental.set_memory_growth(gpu, True)
        tensorflow.config.experimental.enable_tensor_float_32_execution(precision == "tf32")


def _check_gpu(backend: str, there: bool) -> None:
    if not there:
        raise UsageError(f"{backend} sees no GPU", "install its GPU build, or measure the processor")


def _gpu_name(backend: str) -> str:
    if backend == "torch":
        import torch

        return str(torch.cuda.get_device_name(0))
    if backend == "tensorflow":
        import tensorflow

        gpu = tensorflow.config.list_physical_devices("GPU")[0]
        return str(tensorflow.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    import jax

    return str(jax.devices()[0].device_kind)


def processor() -> str:
    """The processor's model, as the system calls it."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    pairs = [line.partition(":") for line in lines]
    names = (value.strip() for key, _, value in pairs if key.strip() in ("model name", "Model", "cpu model"))
    return next(filter(None, names), "") or platform.processor() or platform.machine()
