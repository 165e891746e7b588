"""Workers that meet: who has not come, or contradicts the others, is told to all of them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from zenplan.adapters.workers.ranks import free_address
from zenplan.errors import FailureKind, UsageError, ZenplanError
from zenplan.worker.protocol import Ranks
from zenplan.worker.training.meeting import met


def came(ranks: Sequence[tuple[int, int]], wait_s: float = 0.5) -> list[ZenplanError | None]:
    """What came of workers of that rank and size."""
    address = free_address()

    def one(rank: int, size: int) -> ZenplanError | None:
        try:
            met(Ranks(rank=rank, size=size, address=address, wait_s=wait_s))
        except ZenplanError as error:
            return error
        return None

    with ThreadPoolExecutor(len(ranks)) as pool:
        return [each.result() for each in [pool.submit(one, *each) for each in ranks]]


def test_all_that_come_go_on() -> None:
    assert came([(2, 3), (1, 3), (0, 3)], wait_s=10.0) == [None] * 3


def test_whoever_does_not_come_is_named_to_all() -> None:
    for error in came([(0, 4), (2, 4)]):
        assert error is not None
        assert error.message.startswith("rank 1, 3 of 4 did not come to 127.0.0.1:")
        assert error.kind is FailureKind.NO_COLLECTIVES


def test_two_of_a_rank_or_of_another_number_of_workers_are_wrong() -> None:
    for ranks, said in (([(0, 3), (1, 3), (1, 3)], "two are rank 1"), ([(0, 2), (1, 3)], "of 3 workers, rank 0 of 2")):
        for error in came(ranks, wait_s=10.0):
            assert isinstance(error, UsageError)
            assert said in error.message


def test_a_port_that_is_taken_is_said() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        taken = Ranks(rank=0, size=2, address=f"127.0.0.1:{other.getsockname()[1]}", wait_s=5.0)
        with pytest.raises(ZenplanError, match=r"cannot meet at .*in use"):
            met(taken)


def test_a_stranger_at_the_port_is_not_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenplan.worker.training.meeting._LATER_S", 0.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as other, ThreadPoolExecutor(1) as pool:
        ranks = Ranks(rank=1, size=2, address=f"127.0.0.1:{other.getsockname()[1]}", wait_s=1.0)
        found = pool.submit(met, ranks)
        connection, _ = other.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()
        with pytest.raises(ZenplanError, match=r"rank 1 met nobody .* what is there is not rank 0"):
            found.result()


def test_a_stranger_that_comes_is_let_go() -> None:
    address = free_address()
    host, _, port = address.rpartition(":")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(met, Ranks(rank=0, size=2, address=address, wait_s=10.0))
        for text in (b"GET / HTTP/1.1\r\n\r\n\n", b'["rank"]\n', b'{"rank": "1"}\n'):
            while not first.done():
                try:
                    with socket.create_connection((host, int(port)), timeout=1.0) as stranger:
                        stranger.sendall(text)
                    break
                except ConnectionRefusedError:
                    continue
        met(Ranks(rank=1, size=2, address=address, wait_s=10.0))
        assert first.result() is None
