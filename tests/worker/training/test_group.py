"""Workers that train together, without a framework: their shares, their paces, and checks of engines that lie."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.documents import encode
from zenplan.errors import FailureKind, UsageError, ZenplanError
from zenplan.worker.protocol import Event, Kind, Optimizer, Pulse, Ranks, Stop, Train
from zenplan.worker.training import group as groups
from zenplan.worker.training.agreed import AgreedWishes
from zenplan.worker.training.group import (
    GATHERED_BYTES,
    Pace,
    Share,
    check_batch,
    check_copies,
    check_ranks,
    check_same,
    check_shards,
    framed,
    introduced,
    lost,
    unframed,
)
from zenplan.worker.training.wishes import Wishes


def job(**changes: Any) -> Train:
    usual: dict[str, Any] = {
        "what": "the model",
        "folder": "",
        "data": "",
        "model": Kind(name="decoder"),
        "optimizer": Optimizer(learning_rate=1.0),
        "threads": 1,
        "steps": 1,
        "batch": 8,
        "micro_batch": 1,
        "workers": 2,
    }
    return Train(**{**usual, **changes})


def truly(text: str) -> str:
    return text


@dataclass
class Other:
    """Rank 0 of two, whose other worker says what a test makes of its words."""

    says: Callable[[str], str] = truly
    has: tuple[int, int] = (0, 0)
    share: Share = field(default_factory=lambda: Share(0, 2))
    rank: int = 0
    size: int = 2
    pace: Pace = field(default_factory=Pace)

    def scope(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def told(self, text: str) -> str:
        return text

    def gathered(self, text: str) -> list[str]:
        return [unframed(framed(each, GATHERED_BYTES)) for each in (text, self.says(text))]

    def held(self, weights: Sequence[Any]) -> tuple[int, int]:
        return self.has


def with_changed(**changes: Any) -> Callable[[str], str]:
    """What rank 0 says, but for these."""
    return lambda text: json.dumps({**json.loads(text), **changes}) if text else text


# --- shares


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_shares_are_the_batch_each_sample_once_and_in_order(of: int, each: int, seed: int) -> None:
    batch = np.random.default_rng(seed).permutation(100)[: of * each]
    parts = [Share(number, of).part(batch) for number in range(of)]
    assert {len(part) for part in parts} == {each}
    assert np.array_equal(np.concatenate(parts), batch)


def test_a_text_in_a_frame_is_the_text() -> None:
    assert unframed(framed("größer", 20)) == "größer"
    with pytest.raises(ValueError, match="are more than 5"):
        framed("größer", 5)


# --- checks before money


SETTINGS = {"model": "a", "data": "b"}


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"zenplan": "0.0.1"}, "zenplan 0.0.1"),
        ({"seen": False}, "does not see the run's folder"),
        ({"time": 0.0}, "the clock of rank 1 on far"),
        ({"settings": {**SETTINGS, "data": "c"}}, "another data than rank 0: c, not b"),
        ({"settings": {"model": "a"}}, "another data than rank 0: none, not b"),
        ({"settings": {**SETTINGS, "version of jax": "1"}}, "another version of jax than rank 0: 1, not none"),
    ],
)
def test_workers_that_are_not_alike_are_named(lie: dict[str, Any], said: str, tmp_path: Path) -> None:
    other = Other(with_changed(host="far", **lie))
    with pytest.raises(UsageError, match=said) as caught:
        introduced(other, job(folder=str(tmp_path)), SETTINGS)
    assert "rank 1 on far" in caught.value.message
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_workers_that_are_alike_tell_where_they_are(tmp_path: Path) -> None:
    here = introduced(Other(), job(folder=str(tmp_path)), SETTINGS)
    assert len(here) == 1
    found = introduced(Other(with_changed(host="far", time=time.time() + 5.0)), job(folder=str(tmp_path)), SETTINGS)
    assert found == (*here, "far")


def test_settings_may_be_as_long_as_they_like(tmp_path: Path) -> None:
    """And differ in their last letter."""
    long, said = "ä" * 10_000, list[str]()

    def heard(text: str) -> str:
        said.append(text)
        return text

    introduced(Other(heard), job(folder=str(tmp_path)), {"model": f"{long}y"})
    with pytest.raises(UsageError, match="another model"):
        introduced(Other(lambda text: said[-1] if text else ""), job(folder=str(tmp_path)), {"model": f"{long}z"})


WEIGHTS = [np.zeros((3, 4)), np.zeros(8)]


@pytest.mark.parametrize(
    ("mine", "theirs", "more", "said"),
    [
        ((20, 20), (20, 0), {}, ""),
        ((10, 10), (10, 10), {"tensor_parallel": 2}, ""),
        ((14, 10), (14, 10), {"tensor_parallel": 2}, ""),
        ((20, 20), (20, 20), {}, "have 40 parameters together, the model has 20"),
        ((10, 10), (10, 0), {"tensor_parallel": 2}, "have 10 parameters together, the model has 20"),
        # An engine that accepts a layout, and does nothing.
        ((20, 20), (20, 0), {"tensor_parallel": 2}, "one has all 20 parameters"),
        ((10, 10), (20, 10), {"tensor_parallel": 2}, "one has all 20 parameters"),
        ((12, 10), (12, 10), {"zero": 3}, ""),
        ((20, 20), (20, 0), {"zero": 3}, "one has all 20 of them"),
        ((12, 12), (12, 12), {"zero": 3}, "have 24 parameters together, the model has 20"),
    ],
)
def test_parts_that_do_not_make_up_the_model(
    mine: tuple[int, int], theirs: tuple[int, int], more: dict[str, int], said: str
) -> None:
    other = Other(lambda text: json.dumps(theirs), has=mine)
    if not said:
        check_shards(other, job(**more), WEIGHTS)
        return
    with pytest.raises(UsageError, match=said):
        check_shards(other, job(**more), WEIGHTS)


def test_weights_that_are_not_the_same() -> None:
    check_same(Other(), "0a", "after a step")
    with pytest.raises(UsageError, match="weights of rank 1 are not those of rank 0 after a step"):
        check_same(Other(lambda text: "0b"), "0a", "after a step")


def test_copies_that_are_not_the_same() -> None:
    one, other = np.array([1.0, np.nan]), np.array([1.0, 2.0])
    check_copies([("a", [one, one.copy(), one.copy()]), ("b", [other]), ("c", [other, other])], "after a step")
    with pytest.raises(UsageError, match="b of device 2 is not that of device 0 after a step"):
        check_copies([("a", [one, one]), ("b", [other, other, one])], "after a step")


BATCH = np.array([4, 9, 2, 7, 5, 0, 1, 3])


def taking(number: int, batch: np.ndarray, of: int = 2) -> Callable[[str], str]:
    """A worker with that share of that batch."""

    def says(text: str) -> str:
        heard: list[str] = []

        class Its(Other):
            def gathered(self, text: str) -> list[str]:
                heard.append(text)
                raise StopIteration

        with pytest.raises(StopIteration):
            check_batch(Its(share=Share(number, of)), job(), batch)
        return heard[0]

    return says


def test_shares_of_the_batch_are_taken() -> None:
    check_batch(Other(taking(1, BATCH)), job(), BATCH)
    # Workers of one replica take the same.
    check_batch(Other(taking(0, BATCH, of=1), share=Share(0, 1)), job(tensor_parallel=2), BATCH)


@pytest.mark.parametrize(
    ("number", "batch", "of", "said"),
    [
        # Auto-sharding: each takes the whole batch.
        (1, np.concatenate([BATCH, BATCH]), 2, "take 12 samples of a step, and a batch of 8 was asked for"),
        # Both take the same half.
        (0, BATCH, 2, "take 4 samples of a step, and a batch of 8 was asked for"),
        # Each goes through the data in an order of its own.
        (1, BATCH[::-1].copy(), 2, "rank 1 takes other samples"),
    ],
)
def test_a_batch_that_is_not_what_was_asked_for(number: int, batch: np.ndarray, of: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_batch(Other(taking(number, batch, of)), job(), BATCH)


def test_ranks_that_cannot_be() -> None:
    where = Ranks(rank=1, size=2, local=1, address="a:1")
    assert check_ranks(job(ranks=where)) == where
    assert check_ranks(job(workers=1)) is None
    with pytest.raises(UsageError, match="rank 2 of 2 cannot be"):
        check_ranks(job(ranks=Ranks(rank=2, size=2, local=0, address="a:1")))
    with pytest.raises(UsageError, match="3 devices are no multiple of 2"):
        check_ranks(job(workers=1, devices=3, tensor_parallel=2))


# --- one that is gone


@pytest.mark.parametrize(
    "said",
    [
        "[../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9",
        "UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n/job:jax_worker/task:1",
        "NCCL communicator was aborted on rank 1.",
        "DEADLINE_EXCEEDED: Barrier timed out.",
    ],
)
def test_what_libraries_say_of_one_that_is_gone_is_known(said: str) -> None:
    with pytest.raises(ZenplanError, match="does not answer") as caught, lost():
        raise RuntimeError(said)
    assert caught.value.kind is FailureKind.NO_COLLECTIVES


def test_what_else_goes_wrong_is_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="shapes"), lost():
        raise RuntimeError("shapes (3, 4) and (5,) do not go together")
    with pytest.raises(ZenplanError, match="the connection") as caught, lost():
        raise ZenplanError("the connection is refused")
    assert caught.value.kind is FailureKind.REFUSED


# --- paces


def test_the_time_of_a_workers_own_part_is_told_without_its_waiting() -> None:
    pace = Pace()
    assert pace.busy_s() is None
    for _ in range(3):
        pace.begin()
        pace.released()
        time.sleep(0.02)
        pace.own_part_done()
        # It waits for the others.
        time.sleep(0.1)
    assert (pace.begun, pace.done) == (3, 3)
    busy_s = pace.busy_s()
    assert busy_s is not None
    assert 0.02 <= busy_s < 0.09
    assert pace.busy_s() is None


def test_a_step_is_done_once() -> None:
    pace = Pace()
    pace.begin()
    pace.released()
    pace.own_part_done()
    pace.own_part_done()
    pace.begin()
    assert (pace.begun, pace.done) == (2, 1)


class Heard:
    """Events that were sent; from the third on nobody reads."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) == 3:
            raise BrokenPipeError


def test_a_worker_tells_that_it_lives_as_long_as_somebody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_PULSE_S", 0.005)
    pace, heard = Pace(), Heard()
    pace.begin()
    with pace.told(3, heard):  # type: ignore[arg-type]  # a stand-in for the pipe
        time.sleep(0.2)
    assert len(heard.events) == 3
    assert all(isinstance(each, Pulse) and (each.rank, each.begun, each.done) == (3, 1, 0) for each in heard.events)


# --- wishes


class Met:
    """What each of several threads says, once all have said it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=20.0)
        self.said = [""] * size

    def all_of(self, rank: int, text: str) -> list[str]:
        self.said[rank] = text
        self.barrier.wait()
        found = list(self.said)
        self.barrier.wait()
        return found


@dataclass
class Threaded(Other):
    """A worker in a thread."""

    met: Met = field(default_factory=lambda: Met(1))

    def told(self, text: str) -> str:
        return self.met.all_of(self.rank, text)[0]

    def gathered(self, text: str) -> list[str]:
        return self.met.all_of(self.rank, text)


@dataclass
class Crew:
    """Workers in threads, each with wishes of its own."""

    agreed: list[AgreedWishes]
    lines: list[SimpleQueue[str | None]]
    said: list[list[Event]]

    @classmethod
    def of(cls, size: int) -> Crew:
        met, found = Met(size), cls([], [], [])
        for rank in range(size):
            found.lines.append(SimpleQueue())
            found.said.append([])
            group = Threaded(rank=rank, size=size, share=Share(rank, size), met=met)
            own = Wishes(found.lines[rank], threading.Event())
            found.agreed.append(AgreedWishes(own, group, found.said[rank].append))
        return found

    def each(self, work: Callable[[int, AgreedWishes], Any]) -> list[Any]:
        """What each comes to, in threads."""
        found: list[Any] = [None] * len(self.agreed)

        def run(rank: int) -> None:
            found[rank] = work(rank, self.agreed[rank])

        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(found))]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30.0)
        return found


@pytest.fixture
def crew() -> Crew:
    return Crew.of(3)


def steps_until_the_end(crew: Crew, at: Callable[[int, int], None]) -> list[tuple[int, str]]:
    """Of each rank, the step that it ended at, and why. Before each step ``at`` is told the rank and the step."""

    def go(rank: int, wishes: AgreedWishes) -> tuple[int, str]:
        for step in range(1, 2000):
            at(rank, step)
            if reason := wishes.look():
                return step, reason
        return 0, "never"

    return crew.each(go)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_whoever_is_told_to_end_all_end_at_the_same_step(crew: Crew, rank: int) -> None:
    """One is slower than the others, and asks itself at the same steps."""

    def at(who: int, step: int) -> None:
        time.sleep(0.004 if who == 1 else 0.001)
        if who == rank and step == 7:
            # As a SIGTERM does.
            crew.agreed[rank].own._terminate(15, None)

    ends = steps_until_the_end(crew, at)
    assert len(set(ends)) == 1
    step, reason = ends[0]
    assert reason == "terminated"
    assert 7 <= step <= 7 + 64


def test_distances_are_those_of_rank_0(crew: Crew) -> None:
    def at(rank: int, step: int) -> None:
        if step == 5:
            crew.lines[rank].put(encode(Stop(checkpoint_every=10 + rank, evaluate_every=20 + rank)))
        if step == 300 and rank == 0:
            crew.lines[rank].put(encode(Stop(reason="max_usd")))

    ends = steps_until_the_end(crew, at)
    assert len(set(ends)) == 1
    assert ends[0][1] == "max_usd"
    assert [(each.every, each.evaluate_every) for each in crew.agreed] == [(10, 20)] * 3


def test_they_tell_each_other_seldom_where_steps_are_quick(crew: Crew) -> None:
    fresh: list[list[int]] = [[], [], []]

    def go(rank: int, wishes: AgreedWishes) -> None:
        for step in range(400):
            wishes.look()
            fresh[rank] += [step] if wishes.fresh else []

    crew.each(go)
    assert fresh[0] == fresh[1] == fresh[2]
    assert 400 // 64 <= len(fresh[0]) <= 30


def test_rank_0_waits_and_the_others_for_it(crew: Crew) -> None:
    crew.lines[0].put(encode(Stop(checkpoint_every=30)))
    crew.each(lambda rank, wishes: wishes.wait())
    assert [each.every for each in crew.agreed] == [30] * 3


def test_what_all_think_is_what_rank_0_thinks(crew: Crew) -> None:
    assert crew.each(lambda rank, wishes: wishes.all_think(rank == 0)) == [True] * 3
    assert crew.each(lambda rank, wishes: wishes.all_think(rank != 0)) == [False] * 3


def test_the_parent_hears_how_busy_each_was(crew: Crew) -> None:
    def go(rank: int, wishes: AgreedWishes) -> None:
        pace = wishes.group.pace
        for _ in range(2):
            pace.begin()
            pace.released()
            time.sleep(0.01)
            pace.own_part_done()
        wishes.look()

    crew.each(go)
    pulses = [each for each in crew.said[0] if isinstance(each, Pulse)]
    assert [each.rank for each in pulses] == [0, 1, 2]
    assert all(each.done == 2 and each.busy_s is not None and each.busy_s >= 0.01 for each in pulses)
