"""What a worker's environment has over the user's own: the backend, the device and the threads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
# A count needs no GPU, and frameworks take hold of all of its memory.
COUNTING: Final[Mapping[str, str]] = MappingProxyType(_NO_GPU)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def worker_environment(backend: str, home: str) -> dict[str, str]:
    """What every worker has; ``home`` is the folder that Keras keeps its settings in."""
    # The flags of TensorFlow, absl and Python only keep the last line of stderr one that says something.
    return {"KERAS_BACKEND": backend, "KERAS_HOME": home, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}


def measuring_environment(device: str, threads: int, environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker that measures has: so many threads, and no GPU unless it measures one.

    Args:
        device: ``cpu`` or ``gpu``. Which of several GPUs it sees is left to the user's own environment.
        threads: of the host.
        environ: the user's.
    """
    found = {
        **dict.fromkeys(_THREADS, str(threads)),
        "TF_NUM_INTEROP_THREADS": "1",
        # Else jax takes most of the GPU's memory at its start, and no peak is seen.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        # By default CUDA has the fastest GPU first, and NVML, which names what was measured, does not.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    if threads == 1:
        flags = environ.get("XLA_FLAGS", "")
        found["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    return {**found, **(_NO_GPU if device == "cpu" else {})}
