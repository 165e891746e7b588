"""How a model is to be served, from the texts of flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from zenplan import units
from zenplan.errors import UsageError

_MOST, _LONGEST_S, _MOST_PORT = 10**6, 86_400.0, 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a model is to be served: the flags, in base units; None for what is usual on this machine.

    Attributes:
        tls: files of a certificate and its key, for HTTPS; None for plain HTTP.
    """

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
    tls: tuple[str, str] | None = None


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
