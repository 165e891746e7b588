"""Efficiencies are shares of a data sheet and times; nothing reaches more than all of it."""

from typing import Any

import pytest

from zenplan.domain.fit.attention import KERNELS
from zenplan.domain.fit.efficiency import Efficiency, Interval
from zenplan.errors import DataError

SHARES = ("matmul", "wide_matmul", "attention", "link", "pcie", "staged", "network")
LOSSES = ("fill_elements", "operator_s", "launch_s", "host_s", "link_hop_s", "network_hop_s")


def efficiency(**changes: Any) -> Efficiency:
    values = {
        **dict.fromkeys((*SHARES, "memory", "convolution", "feed", "contention", "variation"), 0.5),
        **dict.fromkeys(LOSSES, 1e-6),
        **changes,
    }
    interval = Interval(new=0.2, known=0.2, basis="made up")
    fixed = {"kernel": KERNELS["fa2"], "interval": interval, "source": "made up"}
    return Efficiency(**{"architecture": "Ampere", **fixed, **values})


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("bad", [0.0, -0.5, 1.01, float("nan")])
def test_a_share_is_above_none_and_at_most_all(name: str, bad: float) -> None:
    assert getattr(efficiency(**{name: 1.0}), name) == 1.0
    with pytest.raises(DataError, match=f"Ampere: {name}"):
        efficiency(**{name: bad})


def test_a_convolution_may_need_less_than_is_counted() -> None:
    assert efficiency(convolution=1.4).convolution == 1.4
    with pytest.raises(DataError, match="convolution"):
        efficiency(convolution=0.0)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_contention_may_be_none_or_all(bad: float) -> None:
    assert [efficiency(contention=c).contention for c in (0.0, 1.0)] == [0.0, 1.0]
    with pytest.raises(DataError, match="contention"):
        efficiency(contention=bad)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_may_be_none_but_no_gain(name: str) -> None:
    assert getattr(efficiency(**{name: 0.0}), name) == 0.0
    with pytest.raises(DataError, match=f"{name}.* -1"):
        efficiency(**{name: -1.0})


@pytest.mark.parametrize("name", ["architecture", "source"])
def test_an_efficiency_says_of_what_and_where_from(name: str) -> None:
    with pytest.raises(DataError, match=name):
        efficiency(**{name: ""})
