"""Which kernel of attention a kind of software runs on which generation."""

from typing import Any

import pytest

from zenplan.domain.fit.attention import KERNELS, AttentionKernel, cudnn, exponentials_per_clock, usual_kernel
from zenplan.domain.software import Software
from zenplan.errors import DataError


@pytest.mark.parametrize(
    ("architecture", "software", "kernel"),
    [
        ("Hopper", Software.FUSED, "cudnn-9"),
        ("Hopper", Software.XLA, "cudnn-9"),
        ("Hopper", Software.EAGER, "fa2"),
        ("Hopper", None, "fa2"),
        ("Blackwell", Software.FUSED, "cudnn-10"),
        ("Blackwell Ultra", Software.COMPILED, "cudnn-10"),
        ("Ampere", Software.FUSED, "fa2"),
        ("Ada", Software.COMPILED, "fa2"),
        ("Turing", Software.EAGER, "xformers"),
        ("CDNA3", Software.FUSED, "ck"),
        ("CDNA4", None, "ck"),
        ("TPU", Software.XLA, "splash"),
        ("Gaudi", Software.EAGER, "vendor"),
        ("NeuronCore-v2", None, "vendor"),
    ],
)
def test_the_usual_kernel(architecture: str, software: Software | None, kernel: str) -> None:
    assert usual_kernel(architecture, software).name == kernel


def test_what_nobody_measured_is_assumed_and_says_so() -> None:
    assumed = {name for name, k in KERNELS.items() if k.source.startswith("assumed")}
    assert assumed == {"splash", "vendor"}
    assert cudnn("Ampere").name == "fa2"


def test_blackwell_ultra_has_twice_the_special_function_units() -> None:
    assert exponentials_per_clock("Blackwell Ultra") == 2 * exponentials_per_clock("Blackwell") == 32


@pytest.mark.parametrize("bad", [{"forward": 0.0}, {"backward": 1.1}, {"softmax": -1.0}, {"ramp_keys": -1.0}])
def test_figures_are_possible(bad: dict[str, Any]) -> None:
    good = {"forward": 0.5, "backward": 0.5, "softmax": 1.0, "ramp_keys": 100.0}
    assert AttentionKernel(name="k", what="K", **good).forward == 0.5
    with pytest.raises(DataError, match="attention kernel k"):
        AttentionKernel(name="k", what="K", **good | bad)
