"""Flower's network: a SuperLink, a SuperNode for each client, and the run that they do; over TLS on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zenplan import ZenplanError

from zenplan_flower import wire
from zenplan_flower.certificates import Certificates, made

_HOST = "127.0.0.1"
_START_S, _ASK_S, _LEAVE_S, _LOOK_S = 120.0, 300.0, 5.0, 0.1
_APP = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "federation"
version = "1.0.0"
description = "A run of zenplan federate."
license = {{ file = "LICENSE" }}
dependencies = ["flwr>={version}"]

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "zenplan"
fab-format-version = 1
flwr-version-target = "{version}"

[tool.flwr.app.components]
serverapp = "federation.app:server"
clientapp = "federation.app:client"
"""
# What Flower bundles and hands to its processes: all of it is in this package, which is installed where they run.
_MODULE = """
from zenplan_flower import flower_app

client = flower_app.client
server = flower_app.server
"""

# A program that Flower starts for a message has 30 s to be there, and another one is started after that. Where more clients
# than cores start theirs at once, or the machine is busy, none is there in time, and they pile up. It cannot be set.
_PATIENT = """
import runpy, sys
from flwr.supercore.corestate import in_memory_corestate, sql_corestate
for each in (in_memory_corestate, sql_corestate):
    each.HEARTBEAT_DEFAULT_INTERVAL = 180
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(slots=True, kw_only=True)
class Network:
    """A network that runs.

    Attributes:
        folder: for what it writes, thrown away with the run.
        processes: by what they are called.
        run: the number of the run in it.
    """

    folder: Path
    certificates: Certificates
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    run: str = ""

    def check(self) -> None:
        """Raise ZenplanError where one of its processes is gone."""
        for name, process in self.processes.items():
            code = process.poll()
            if code is not None:
                raise ZenplanError(f"Flower's {name} ended with {code}", self._last_words(name))

    def begin(self) -> None:
        """Give it the run. Raises ZenplanError: it does not take it."""
        app = self.folder / "app"
        (app / "federation").mkdir(parents=True)
        (app / "pyproject.toml").write_text(_APP.format(version=version("flwr")), encoding="utf-8")
        (app / "LICENSE").write_text("Apache-2.0\n", encoding="utf-8")
        (app / "README.md").write_text("# A run of zenplan federate\n", encoding="utf-8")
        (app / "federation" / "__init__.py").touch()
        (app / "federation" / "app.py").write_text(_MODULE, encoding="utf-8")
        found = self._asked("run", str(app), "here")
        if not found.get("success"):
            raise ZenplanError(
                f"Flower does not take the run: {' '.join(str(found.get('error-message')).split())[:300]}"
            )
        self.run = str(found["run-id"])

    def moved(self) -> tuple[int, int]:
        """Bytes that clients sent to the server, and it to them, as its SuperLink counted them; 0 where it does not say."""
        for found in self._asked("ls", "here").get("runs", []):
            if str(found.get("run-id")) == self.run:
                traffic = found.get("network-traffic", {})
                return int(traffic.get("inbound-bytes", 0)), int(traffic.get("outbound-bytes", 0))
        return 0, 0

    def start(self, name: str, *command: str) -> None:
        """One more process of it; what it says is in the folder."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - Flower's own programs
                [sys.executable, "-c", _PATIENT, _program(command[0]), *command[1:]],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _asked(self, *command: str) -> dict[str, Any]:
        try:
            done = subprocess.run(  # noqa: S603 - Flower's own program
                [_program("flwr"), *command, "--format", "json"],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_ASK_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            why = f"Flower did not answer '{command[0]}' within {_ASK_S:g} s"
            raise ZenplanError(why, "is the machine busy?") from None
        text = done.stdout.decode(errors="replace")
        try:
            found: dict[str, Any] = json.loads(text[text.index("{") :])
        except ValueError:
            last = done.stderr.decode(errors="replace").strip() or text.strip()
            raise ZenplanError(f"Flower does not answer '{command[0]}': {_line(last)}") from None
        return found

    def _last_words(self, name: str) -> str:
        with suppress(OSError):
            return _line((self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace"))
        return ""


def _line(text: object) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "without a word"


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@contextmanager
def network(folder: Path, clients: int, path: Path, stop: Callable[[], str]) -> Iterator[Network]:
    """One with so many clients, which has begun no run; it is gone at the end.

    Args:
        folder: for what it writes.
        path: of the socket at which the worker is asked.
        stop: says why it is not to be waited for; empty while it is.

    Raises:
        ZenplanError: it does not start.
    """
    certificates = made(folder)
    # Flower starts programs of its own by their names, and keeps its settings in a home.
    bin = str(Path(sys.executable).parent)
    environment = {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_HOME": str(folder / "home"),
        "PATH": os.pathsep.join([bin, os.environ.get("PATH", "")]),
        wire.VARIABLE: str(path),
    }
    found = Network(folder=folder, certificates=certificates, environment=environment)
    link, *nodes = _ports(clients + 1)
    (folder / "home").mkdir()
    settings = [
        "[superlink]",
        'default = "here"',
        "[superlink.here]",
        f'address = "{_HOST}:{link}"',
        f"root-certificates = {json.dumps(str(certificates.authority))}",
    ]
    (folder / "home" / "config.toml").write_text("\n".join(settings) + "\n", encoding="utf-8")
    try:
        tls = [
            *("--ssl-ca-certfile", str(certificates.authority)),
            *("--ssl-certfile", str(certificates.server)),
            *("--ssl-keyfile", str(certificates.key)),
        ]
        where = ("--host", _HOST, "--port")
        found.start(
            "SuperLink", "flower-superlink", *tls, *where, str(link), "--disable-runtime-dependency-installation"
        )
        _listening(found, link, stop)
        for number, port in enumerate(nodes):
            trust = ("--root-certificates", str(certificates.authority), "--superlink", f"{_HOST}:{link}")
            split = ("--node-config", f"partition-id={number} num-partitions={clients}")
            found.start(f"SuperNode {number}", "flower-supernode", *trust, *tls, *split, *where, str(port))
        yield found
    finally:
        for process in found.processes.values():
            process.terminate()
        end = time.monotonic() + _LEAVE_S
        for process in found.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
            process.kill()
            process.wait()


def _ports(count: int) -> list[int]:
    """So many that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((_HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _listening(found: Network, port: int, stop: Callable[[], str]) -> None:
    end = time.monotonic() + _START_S
    while not stop():
        found.check()
        with suppress(OSError), socket.create_connection((_HOST, port), timeout=1.0):
            return
        if time.monotonic() > end:
            raise ZenplanError(f"Flower's SuperLink was not there after {_START_S:g} s", "is the machine busy?")
        time.sleep(_LOOK_S)
