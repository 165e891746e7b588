"""Where workers meet before a framework joins them: who does not come is named, and so is a port that is taken.

A framework's own start ends the process, or says that a time is over. Rank 0 listens at the address, hears who is there, and
answers all of them at once; then the framework has the port.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from zenplan.errors import FailureKind, UsageError, ZenplanError
from zenplan.worker.protocol import Ranks

# A stranger that connects, as a scanner does, is waited for no longer.
_LINE_S: Final = 5.0
_MOST_BYTES: Final = 4096
_LOOK_S: Final = 0.2
# Rank 0 may have begun to wait later than those that came before it.
_LATER_S: Final = 5.0


def met(ranks: Ranks) -> None:
    """Wait until all have come.

    Raises:
        UsageError: they contradict each other.
        ZenplanError: of the kind NO_COLLECTIVES: one has not come, or the port is taken.
    """
    end = time.monotonic() + ranks.wait_s
    if ranks.rank == 0:
        _wait(ranks, end)
    else:
        _come(ranks, end + _LATER_S)


def _wait(ranks: Ranks, end: float) -> None:
    here = {0: socket.gethostname()}
    others: list[socket.socket] = []
    with _listening(ranks) as listener:
        try:
            wrong = ""
            while len(here) < ranks.size and not wrong and (left := end - time.monotonic()) > 0.0:
                listener.settimeout(left)
                with suppress(TimeoutError):
                    other = listener.accept()[0]
                    others.append(other)
                    wrong = _heard(ranks, _line(other, _LINE_S), here)
            missing = [rank for rank in range(ranks.size) if rank not in here]
            if missing and not wrong:
                who = f"rank {', '.join(map(str, missing))} of {ranks.size}"
                wrong = f"{who} did not come to {ranks.address} within {ranks.wait_s:,.0f} s"
            for other in others:
                with suppress(OSError):
                    other.sendall(json.dumps({"wrong": wrong}).encode() + b"\n")
        finally:
            for other in others:
                other.close()
    if wrong:
        raise _missing(wrong)


def _heard(ranks: Ranks, said: dict[str, Any], here: dict[int, str]) -> str:
    """What is wrong with one that has come; empty for nothing, and for a stranger."""
    rank, size, host = (said.get(name) for name in ("rank", "size", "host"))
    if not isinstance(rank, int) or not isinstance(size, int):
        return ""
    if size != ranks.size:
        return f"rank {rank} on {host} is of {size} workers, rank 0 of {ranks.size}"
    if rank in here:
        return f"two are rank {rank}: on {here[rank]} and on {host}"
    here[rank] = str(host)
    return ""


def _come(ranks: Ranks, end: float) -> None:
    mine = json.dumps({"rank": ranks.rank, "size": ranks.size, "host": socket.gethostname()}).encode() + b"\n"
    answered = False
    while (left := end - time.monotonic()) > 0.0:
        # It is not there yet, nor its name, or it is one of a run before this one, which ends.
        with suppress(OSError), socket.create_connection((ranks.host, ranks.port), timeout=min(left, _LINE_S)) as rank0:
            answered = True
            rank0.sendall(mine)
            wrong = _line(rank0, end - time.monotonic()).get("wrong")
            if wrong == "":
                return
            if isinstance(wrong, str):
                raise _missing(wrong)
        time.sleep(_LOOK_S)
    why = "what is there is not rank 0" if answered else "rank 0 is not there"
    raise _missing(f"rank {ranks.rank} met nobody at {ranks.address} within {ranks.wait_s:,.0f} s: {why}")


@contextmanager
def _listening(ranks: Ranks) -> Iterator[socket.socket]:
    # Frameworks listen so too: the name of a machine may be that of another interface, or of what is before it.
    try:
        listener = socket.create_server(("127.0.0.1" if ranks.near else "", ranks.port))
    except OSError as error:
        raise ZenplanError(
            f"the workers cannot meet at {ranks.address}: {os.strerror(error.errno or 0)}",
            "another MASTER_PORT",
            kind=FailureKind.NO_COLLECTIVES,
            type=type(error).__name__,
        ) from error
    with listener:
        yield listener


def _line(other: socket.socket, patience_s: float) -> dict[str, Any]:
    """What one says; empty where it says nothing, or something else."""
    found, end = b"", time.monotonic() + patience_s
    with suppress(OSError, ValueError):
        while not found.endswith(b"\n") and len(found) < _MOST_BYTES:
            other.settimeout(max(0.001, end - time.monotonic()))
            more = other.recv(_MOST_BYTES)
            if not more:
                break
            found += more
        value = json.loads(found)
        return value if isinstance(value, dict) else {}
    return {}


def _missing(wrong: str) -> ZenplanError:
    if "did not come" in wrong or "met nobody" in wrong:
        hint = "is each started, and does its machine reach that address? --rendezvous-timeout 20min waits longer"
        return ZenplanError(wrong, hint, kind=FailureKind.NO_COLLECTIVES)
    return UsageError(wrong, "each rank is started once, with the same WORLD_SIZE")
