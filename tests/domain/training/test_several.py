"""What an engine trains one model on is what it says itself; who asks for more is told so before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from zenplan import UsageError
from zenplan.adapters.workers.engines import engines
from zenplan.commands.train.together import together_of
from zenplan.domain.training.several import ONE_DEVICE, Several, undivided
from zenplan.protocols import several_of

RANKS = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "there", "MASTER_PORT": "29500"}


@dataclass(frozen=True)
class Other:
    several: Any = ONE_DEVICE
    name: str = "other"
    extra: str = "other"

    def worker(self) -> Sequence[str]:
        return ("other",)


class Silent:
    name = extra = "silent"

    def worker(self) -> Sequence[str]:
        return ("silent",)


def test_one_that_says_nothing_trains_on_one_device() -> None:
    assert several_of(Silent()) == Several()
    assert together_of({}, Silent(), {}).workers == 1
    with pytest.raises(UsageError):
        together_of({"workers": 2}, Silent(), {})


@pytest.mark.parametrize("workers", [False, True])
@pytest.mark.parametrize("devices", [False, True])
@pytest.mark.parametrize("divides", [False, True])
@pytest.mark.parametrize("given", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1), (2, 1, 2), (1, 2, 2), (2, 2, 2)])
def test_what_is_asked_for_is_done_where_the_engine_can_and_refused_where_not(
    workers: bool, devices: bool, divides: bool, given: tuple[int, int, int]
) -> None:
    engine = Other(Several(workers=workers, devices=devices, divides=divides))
    asked = dict(zip(("workers", "devices", "tensor_parallel"), given, strict=True))
    # One with a process for each device takes as many workers as devices.
    each = given[0] if not (workers and not devices) else max(given[:2])
    on = 1 if workers and not devices else given[1]
    can = (each == 1 or workers) and (on == 1 or devices) and (given[2] == 1 or divides)
    if can:
        found = together_of(asked, engine, {})
        assert (found.workers, found.devices, found.tensor_parallel) == (each, on, given[2])
        return
    with pytest.raises(UsageError) as caught:
        together_of(asked, engine, {})
    assert "jax" in caught.value.hint


def test_one_that_starts_its_workers_is_not_started_by_a_launcher_too() -> None:
    assert together_of({}, Other(Several(workers=True)), RANKS).ranks is not None
    with pytest.raises(UsageError, match="RANK"):
        together_of({}, Other(Several(workers=True, starts=True)), RANKS)


def test_zenplans_own_say_what_they_can() -> None:
    found = {engine.name: engine.several for engine in engines()}
    assert found["jax"].divides
    assert found["torch"].workers
    assert [name for name, several in found.items() if several.shards] == ["torch"]
    assert not any(each.starts for each in found.values())


def test_what_goes_by_whole_weights_is_not_divided() -> None:
    assert undivided("adamw", None, "") is None
    assert undivided("sgd", False, "") is None
    for how in (("adafactor", None, ""), ("adamw", True, ""), ("adamw", None, "int8")):
        said, hint = undivided(*how) or ("", "")
        assert "ZeRO 3" in said
        assert "--zero" in hint
