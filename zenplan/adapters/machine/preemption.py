"""Notices of a cloud that it is about to take the machine away, read from its metadata service.

AWS: ``spot/instance-action`` of IMDSv2, a 404 until there is one (two minutes before). Google: ``instance/preempted``,
``TRUE`` once it is (30 seconds before). Azure: ``scheduledevents``, an event of type ``Preempt`` (30 seconds before).
The services are at link-local addresses; nothing is asked of them but on a machine whose firmware names the cloud, or
where an address is given in a variable.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

# So often a service is asked: the shortest notice is of half a minute.
_EVERY_S: Final = 5.0
_TIMEOUT_S: Final = 1.0
_MOST_BYTES: Final = 65_536
_LINK_LOCAL: Final = "http://169.254.169.254"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A cloud with notices.

    Attributes:
        name: for people.
        variable: of the environment, that its address is in; empty there for nothing to be asked.
        vendor: how its machines' firmware begins to name their maker.
        notice: asks the service at an address; the words of the notice, or empty where there is none.
    """

    name: str
    variable: str
    vendor: str
    notice: Callable[[str], str]


def _aws(address: str) -> str:
    seconds = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    status, token = _asked(address, "PUT", "/latest/api/token", seconds)
    headers = {"X-aws-ec2-metadata-token": token} if status == 200 else {}
    status, text = _asked(address, "GET", "/latest/meta-data/spot/instance-action", headers)
    found = _object(text) if status == 200 else {}
    action, when = found.get("action"), found.get("time")
    return f"{action} at {when}" if isinstance(action, str) else ""


def _google(address: str) -> str:
    status, text = _asked(address, "GET", "/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
    return "preempted" if status == 200 and text.strip().upper() == "TRUE" else ""


def _azure(address: str) -> str:
    status, text = _asked(address, "GET", "/metadata/scheduledevents?api-version=2020-07-01", {"Metadata": "true"})
    events = _object(text).get("Events") if status == 200 else None
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("EventType") in ("Preempt", "Terminate"):
            return f"{event['EventType']} not before {event.get('NotBefore') or 'now'}".lower()
    return ""


CLOUDS: Final = (
    Cloud(name="AWS", variable="ZENPLAN_AWS_METADATA", vendor="Amazon EC2", notice=_aws),
    Cloud(name="Google Cloud", variable="ZENPLAN_GCP_METADATA", vendor="Google", notice=_google),
    Cloud(name="Azure", variable="ZENPLAN_AZURE_METADATA", vendor="Microsoft Corporation", notice=_azure),
)


def _asked(address: str, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and text of an answer; 0 where there is none. Proxies are not asked: the service is the machine's own."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        return 0, ""
    with suppress(OSError, http.client.HTTPException, ValueError):
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_BYTES).decode("utf-8", "replace")
        finally:
            connection.close()
    return 0, ""


def _object(text: str) -> dict[str, object]:
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}


def here(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> tuple[tuple[Cloud, str], ...]:
    """The clouds whose service is to be asked on this machine, with its address."""
    vendor = ""
    with suppress(OSError):
        vendor = (root / "sys/class/dmi/id/sys_vendor").read_text(encoding="utf-8", errors="replace").strip()
    found = []
    for cloud in CLOUDS:
        given = environ.get(cloud.variable)
        if given or (given is None and vendor.startswith(cloud.vendor)):
            found.append((cloud, given or _LINK_LOCAL))
    return tuple(found)


@contextmanager
def preemption(
    clouds: tuple[tuple[Cloud, str], ...] | None = None, every_s: float = _EVERY_S
) -> Iterator[Callable[[], str]]:
    """A function that says whether a notice has come: ``AWS: terminate at …``, or empty; a thread asks meanwhile.

    Args:
        clouds: to ask; None for those of this machine. Without any no thread is started.
        every_s: seconds between questions.
    """
    asked = here() if clouds is None else clouds
    found: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            for cloud, address in asked:
                if notice := cloud.notice(address):
                    found.append(f"{cloud.name}: {notice[:200]}")
                    return
            over.wait(every_s)

    if asked:
        threading.Thread(target=ask, name="preemption", daemon=True).start()
    try:
        yield lambda: found[0] if found else ""
    finally:
        over.set()
