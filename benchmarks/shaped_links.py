"""Links of a known rate between processes of this machine: network namespaces on a bridge, their ends shaped by tc.

Each worker has a namespace of its own with one interface, whose outgoing bytes a token bucket (tc-tbf(8)) holds to the
rate. How long a byte takes on its way is not shaped: that takes netem, which not every kernel has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zenplan.adapters.workers.process import own_worker
from zenplan.adapters.workers.ranks import environments_of

MBIT = 1e6 / 8
# No address of the machine's own: the bridge has none, and nothing leaves the namespaces.
_NETWORK = "10.213.7"
_PORT = 29500
# Of a token bucket: what may go at once, a little more than the largest packet that is handed to it whole (64 KiB: one that
# is taken apart is slower than the rate); and how long a byte may wait for its turn.
_BURST, _LATENCY = "72kb", "50ms"
_VARIABLE = "ZENPLAN_NAMESPACE"


class NoNamespaces(Exception):
    """This machine gives no namespaces or shapes no links; the message says why."""


@dataclass(frozen=True, slots=True)
class Links:
    """Namespaces that are joined; each has one worker.

    Attributes:
        names: of the namespaces; each has an interface that is called the same.
    """

    names: tuple[str, ...]

    @property
    def address(self) -> str:
        """Where rank 0 waits."""
        return f"{_NETWORK}.1:{_PORT}"

    @property
    def command(self) -> tuple[str, ...]:
        """Of a worker, in the namespace that its environment names."""
        return ("sh", "-c", f'exec ip netns exec "${_VARIABLE}" "$@"', "sh", *own_worker())

    def environments(self, threads: int) -> tuple[dict[str, str], ...]:
        """Of each worker."""
        usual = environments_of("cpu", threads, len(self.names), 1, os.environ)
        return tuple(
            {**each, _VARIABLE: name, "GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name}
            for name, each in zip(self.names, usual, strict=True)
        )

    def shape(self, mbit: int) -> None:
        """Hold each worker to so many millions of bits a second."""
        for name in self.names:
            bucket = ("rate", f"{mbit}mbit", "burst", _BURST, "latency", _LATENCY)
            _do("tc", "-n", name, "qdisc", "replace", "dev", name, "root", "tbf", *bucket)


@contextmanager
def joined(workers: int) -> Iterator[Links]:
    """Within it there are so many namespaces; they are gone at the end, whatever happens.

    Raises:
        NoNamespaces: they cannot be had here.
    """
    for program in ("ip", "tc"):
        if shutil.which(program) is None:
            raise NoNamespaces(f"there is no program {program}")
    bridge = f"zb{os.getpid()}"
    names, outer = (tuple(f"{kind}{os.getpid()}n{number}" for number in range(workers)) for kind in ("zn", "zv"))
    try:
        _do("ip", "link", "add", bridge, "type", "bridge")
        _do("ip", "link", "set", bridge, "up")
        for number, name in enumerate(names):
            _do("ip", "netns", "add", name)
            _do("ip", "link", "add", outer[number], "type", "veth", "peer", "name", name, "netns", name)
            _do("ip", "link", "set", outer[number], "master", bridge, "up")
            _do("ip", "-n", name, "address", "add", f"{_NETWORK}.{number + 1}/24", "dev", name)
            _do("ip", "-n", name, "link", "set", name, "up")
            _do("ip", "-n", name, "link", "set", "lo", "up")
        yield Links(names)
    finally:
        # What was not made is not there to be taken away. An interface would go with its namespace, but later.
        for kind, gone in (*(("link", each) for each in (*outer, bridge)), *(("netns", name) for name in names)):
            subprocess.run(["ip", kind, "delete", gone], capture_output=True, check=False)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(f"'{' '.join(command)}' says: {done.stderr.strip() or done.returncode}")
