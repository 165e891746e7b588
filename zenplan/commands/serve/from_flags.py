"""A server from the texts of flags, to its end."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from zenplan import units
from zenplan.commands.shared.output import warned
from zenplan.commands.train.finished import finished_run
from zenplan.errors import UnknownName, UsageError

_MOST, _LONGEST_S, _MOST_PORT = 10**6, 86_400.0, 65_535
_LIBRARIES = ("starlette", "uvicorn", "httptools", "uvloop", "prometheus_client")
_LOOPBACK = ("127.", "localhost", "::1")
_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
FORMS = ("table", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a model is to be served: the flags, in base units; None for what is usual on this machine."""

    host: str
    port: int
    max_batch: int
    max_wait_s: float
    queue: int
    max_body_bytes: float
    body_s: float
    time_s: float
    max_tokens: int
    drain_s: float
    memory_bytes: float | None
    threads: int | None
    usd_per_h: float | None
    window: int
    threshold: float
    token: str


def wanted_of(flags: Mapping[str, str], host: str, token: str) -> Wanted:
    """What the flags say.

    Raises:
        UsageError: one is wrong.
    """

    def whole(name: str, most: float = _MOST) -> int:
        return units.parse_whole(flags[name], name, most, example=32)

    port = 0 if flags["port"].strip() == "0" else whole("port", _MOST_PORT)
    threshold = units.number_of(flags["drift"])
    if threshold is None or not 0 < threshold < math.inf:
        raise UsageError(f"drift must be a number above zero: '{flags['drift']}'", "as in: --drift 0.2")
    if token and not (token.isascii() and token.isprintable()):
        raise UsageError("the token has letters that a header may not have", "ASCII alone, without line breaks")
    return Wanted(
        host=host,
        port=port,
        max_batch=whole("max-batch", 4096),
        max_wait_s=seconds(flags["max-wait"], "max-wait"),
        queue=whole("queue"),
        max_body_bytes=units.parse_bytes(flags["max-body"], "max-body"),
        body_s=seconds(flags["body-timeout"], "body-timeout"),
        time_s=seconds(flags["timeout"], "timeout"),
        max_tokens=whole("max-tokens"),
        drain_s=seconds(flags["drain"], "drain"),
        memory_bytes=units.parse_bytes(flags["memory"], "memory") if "memory" in flags else None,
        threads=whole("threads", 4096) if "threads" in flags else None,
        usd_per_h=units.parse_usd(flags["usd-per-hour"], "usd-per-hour") if "usd-per-hour" in flags else None,
        window=whole("window"),
        threshold=threshold,
        token=token,
    )


def seconds(text: str, what: str) -> float:
    """A duration, which here may be of milliseconds: ``5ms``.

    Raises:
        UsageError: it is none, or longer than a day.
    """
    short = text.strip().lower()
    if short.endswith("ms"):
        number = units.number_of(short.removesuffix("ms").strip())
        found = math.inf if number is None else number / 1e3
    else:
        found = units.parse_duration_s(text, what)
    if not 0 < found <= _LONGEST_S:
        raise UsageError(f"{what} must be a duration of at most a day: '{text}'", "as in: 5ms, 30s")
    return found


def served(run: str, flags: Mapping[str, str], host: str, backend: str | None, token: str, form: str) -> int:
    """Serve the model of that run until a signal comes.

    Returns:
        The exit code.

    Raises:
        UsageError: a flag is wrong, the run is none that is finished, or the port is taken.
        ZenplanError: the model's worker does not come to be ready.
    """
    if form not in FORMS:
        raise UnknownName("format", form, FORMS)
    missing = next((each for each in _LIBRARIES if not find_spec(each)), None)
    if missing:
        raise UsageError(f"{missing} is not installed, and nothing is served without", "pip install 'zenplan[serve]'")
    wanted = wanted_of(flags, host, token)
    found = finished_run(run)
    if not token and not host.startswith(_LOOPBACK):
        warned(f"whoever reaches {host} can ask this model; ZENPLAN_SERVE_TOKEN=... asks for a token")
    from zenplan.commands.serve.screen import Screen
    from zenplan.commands.serve.use_case import serve_run

    cut = serve_run(found, wanted, backend, Screen(sys.stdout, sys.stderr, form == "json"))
    return _CODES.get(signal.Signals(cut), 1) if cut is not None else 0
