"""AttentionKernel: how fast a fused kernel of attention is, and which one a kind of software runs on which device.

The figures are those that ``fitting/attention.py`` comes out with on ``benchmarks/published/attention_kernels.csv``, kernels
measured alone; ``planning/physics/attention.py`` has the law they go into. What a kernel loses in a training step is the
coefficient ``attention``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks
from zenplan.domain.software import Software
from zenplan.errors import DataError

# Scores that the special-function units of a multiprocessor exponentiate in a clock: 16 since Volta and twice that from
# Blackwell Ultra on (NVIDIA, CUDA C++ Programming Guide, arithmetic instructions; Blackwell Ultra architecture, 2025). A
# compute unit of CDNA has four of 16 lanes, at a quarter of their rate (AMD, CDNA3 instruction set).
_EXPONENTIALS: Final = {"Blackwell Ultra": 32.0}
_USUAL_EXPONENTIALS: Final = 16.0
# Ampere's matrix instructions do 2,048 FLOP a clock of a multiprocessor there and hardly more on later generations, whose
# peak is that of instructions of their own: what fits FlashAttention-2 on A100, H100 and B200 best.
LEGACY_FLOP_PER_CLOCK: Final = 2200.0
# The mark of figures that nobody measured.
ASSUMED: Final = "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionKernel:
    """A fused kernel, or what one library has on one generation.

    Attributes:
        what: its name, for people.
        forward, backward: of the matrix cores' dense peak, what its products reach.
        softmax: seconds of exponentials that its products do not hide, of those that the special-function units take
            for one a score.
        ramp_keys: as many keys as a tile of queries could meet in the time that it takes to begin and to end.
        legacy: it is written in Ampere's matrix instructions.
        major: the compute capability that it is written for; None where it runs on others too.
        source: what its figures are fitted to, or that they are assumed.
    """

    name: str
    what: str
    forward: float
    backward: float
    softmax: float
    ramp_keys: float
    legacy: bool = False
    major: int | None = None
    source: str = "fitted to benchmarks/published/attention_kernels.csv"

    def __post_init__(self) -> None:
        checks.named("attention kernel", name=self.name, what=self.what, source=self.source)
        checks.not_negative(f"attention kernel {self.name}", softmax=self.softmax, ramp_keys=self.ramp_keys)
        for name in ("forward", "backward"):
            if not 0 < getattr(self, name) <= 1:
                raise DataError(f"attention kernel {self.name}: {name} must be in 0..1")

    def on(self, compute_major: int | None) -> AttentionKernel:
        """The kernel that runs in its place on a device of that compute capability: FlashAttention-2 where it is
        written for another one, as GeForce's Blackwell (12) is not that of data centres (10)."""
        return self if self.major in (None, compute_major) else KERNELS["fa2"]


KERNELS: Final = {
    k.name: k
    for k in (
        AttentionKernel(
            name="fa1",
            what="FlashAttention",
            forward=0.496,
            backward=0.239,
            softmax=0.126,
            ramp_keys=58,
            legacy=True,
        ),
        AttentionKernel(
            name="fa2", what="FlashAttention-2", forward=0.8, backward=0.66, softmax=1.2, ramp_keys=185, legacy=True
        ),
        AttentionKernel(
            name="fa3", what="FlashAttention-3", forward=0.9, backward=0.643, softmax=0.892, ramp_keys=336, major=9
        ),
        AttentionKernel(
            name="fa4", what="FlashAttention-4", forward=1.0, backward=0.721, softmax=0.292, ramp_keys=828, major=10
        ),
        AttentionKernel(
            name="cudnn-9", what="cuDNN", forward=0.941, backward=0.626, softmax=0.912, ramp_keys=320, major=9
        ),
        AttentionKernel(
            name="cudnn-10",
            what="cuDNN",
            forward=1.0,
            backward=0.618,
            softmax=0.444,
            ramp_keys=619,
            major=10,
        ),
        AttentionKernel(
            name="xformers",
            what="xFormers' memory-efficient attention",
            forward=0.591,
            backward=0.377,
            softmax=5.82,
            ramp_keys=73,
            legacy=True,
        ),
        AttentionKernel(
            name="triton",
            what="Triton's FlashAttention",
            forward=0.791,
            backward=0.254,
            softmax=0.088,
            ramp_keys=127,
            legacy=True,
        ),
        AttentionKernel(
            name="ck", what="Composable Kernel", forward=0.293, backward=0.163, softmax=0.297, ramp_keys=202
        ),
        # Nobody published a kernel of a TPU, of Gaudi or of Trainium by its length.
        AttentionKernel(
            name="splash",
            what="Pallas' splash attention",
            forward=0.6,
            backward=0.5,
            softmax=1.2,
            ramp_keys=185,
            source=f"{ASSUMED}: three quarters of what FlashAttention-2 reaches on A100",
        ),
        AttentionKernel(
            name="vendor",
            what="the vendor's fused attention",
            forward=0.6,
            backward=0.5,
            softmax=1.2,
            ramp_keys=185,
            source=f"{ASSUMED}: three quarters of what FlashAttention-2 reaches on A100",
        ),
    )
}

# Generations of NVIDIA's, and what cuDNN has on each; on those before, it is FlashAttention-2 (its own documentation).
_CUDNN: Final = {"Hopper": "cudnn-9", "Blackwell": "cudnn-10", "Blackwell Ultra": "cudnn-10"}
_NVIDIA: Final = ("Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada", *_CUDNN)
_BEFORE_AMPERE: Final = ("Kepler", "Maxwell", "Pascal", "Volta", "Turing")
# Kinds of software whose attention is a package's or PyTorch's own.
_FLASH_PACKAGE: Final = (None, "eager", "patched")
_AMD: Final = ("CDNA", "RDNA", "GCN")


def exponentials_per_clock(architecture: str) -> float:
    """Of one multiprocessor or compute unit."""
    return _EXPONENTIALS.get(architecture, _USUAL_EXPONENTIALS)


def cudnn(architecture: str) -> AttentionKernel:
    """What cuDNN has on a generation of NVIDIA's."""
    return KERNELS[_CUDNN.get(architecture, "fa2")]


def usual_kernels(software: Software | None) -> str:
    """What ``usual_kernel`` takes on accelerators that are rented most, for people."""
    found = {name: usual_kernel(name, software).what for name in ("Ampere", "Hopper", "Blackwell", "CDNA3")}
    return ", ".join(
        f"{what} ({' and '.join(n for n, w in found.items() if w == what)})" for what in dict.fromkeys(found.values())
    )


def usual_kernel(architecture: str, software: Software | None) -> AttentionKernel:
    """What a kind of software runs today on a generation of accelerators, where nothing says otherwise.

    Transformer Engine, which Megatron-class software has its attention from, takes cuDNN's on Hopper and later, and so does
    XLA and torchtitan; what models of Hugging Face use, from a package or from PyTorch, is FlashAttention-2.
    """
    if architecture.startswith(_AMD):
        return KERNELS["ck"]
    if architecture not in _NVIDIA:
        return KERNELS["splash" if architecture == "TPU" else "vendor"]
    if architecture in _BEFORE_AMPERE:
        return KERNELS["xformers"]
    return KERNELS["fa2"] if software in _FLASH_PACKAGE else cudnn(architecture)
