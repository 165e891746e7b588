from typing import Any

import pytest

from zenplan.domain.training.layout import Layout, Recompute
from zenplan.errors import DataError


def test_devices_and_batch_are_products() -> None:
    # Experts lie inside data parallelism: they take no devices of their own.
    one = Layout(dp=2, tp=4, pp=8, cp=2, ep=2, micro_batch=3, accumulation=5)
    assert one.devices == 2 * 4 * 8 * 2
    assert one.global_batch == 2 * 3 * 5


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (Layout(), "one device mb1×1"),
        (Layout(dp=2, tp=4, micro_batch=2, accumulation=8, zero=1), "dp2·tp4 mb2×8 ZeRO-1"),
        (Layout(pp=4, cp=2, ep=8, recompute=Recompute.FULL), "pp4·cp2·ep8 mb1×1 recompute full"),
        (Layout(recompute=Recompute.HALF), "one device mb1×1 recompute half"),
        (Layout(dp=16, zero=3, shard=8), "dp16 mb1×1 ZeRO-3 over 8"),
        (Layout(dp=4, cp=2, zero=3, shard=8), "dp4·cp2 mb1×1 ZeRO-3"),  # all that hold the same weights
        (Layout(dp=16, shard=8), "dp16 mb1×1"),  # nothing is divided
    ],
)
def test_a_layout_in_a_few_words(layout: Layout, text: str) -> None:
    assert str(layout) == text == f"{layout.degrees} {layout.batches}"


@pytest.mark.parametrize(
    "changes",
    [{n: 0} for n in ("dp", "tp", "pp", "cp", "ep", "micro_batch", "accumulation", "interleave")]
    + [{"zero": 4}, {"zero": -1}, {"dp": -2}],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="layout"):
        Layout(**changes)


@pytest.mark.parametrize("shard", [1, 2, 4, 8, 16])
def test_groups_to_shard_over_are_of_one_size(shard: int) -> None:
    # 16 hold the same weights: 8 data-parallel groups of 2 context-parallel devices; tensor groups do not.
    one = Layout(dp=8, cp=2, tp=4, zero=3, shard=shard)
    assert (one.shard, one.devices) == (shard, 64)


@pytest.mark.parametrize("shard", [0, -2, 3, 32])
def test_groups_that_do_not_divide_the_replicas(shard: int) -> None:
    with pytest.raises(DataError, match=rf"16 replicas do not make groups of {shard}"):
        Layout(dp=8, cp=2, tp=4, zero=3, shard=shard)
