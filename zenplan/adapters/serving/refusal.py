"""A request that is not answered with what it asks for, and the status that says why."""

from __future__ import annotations

from zenplan.errors import ZenplanError

# Seconds after which whoever was refused may try again.
_SOON_S = 1


class Refusal(ZenplanError):
    """One.

    Attributes:
        status: of HTTP.
        retry_after_s: None where trying again is of no use.
    """

    def __init__(self, status: int, message: str, hint: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(message, hint)
        self.status, self.retry_after_s = status, retry_after_s


def overloaded(waiting: int) -> Refusal:
    """Too many wait already."""
    return Refusal(429, f"{waiting} samples wait already", "try again later, or give --queue more", _SOON_S)


def not_ready() -> Refusal:
    """The model is being opened."""
    return Refusal(503, "the model is not ready", "GET /ready says when it is", 5 * _SOON_S)


def gone(why: str) -> Refusal:
    """The model's worker ended while it had the request."""
    return Refusal(503, f"the model's worker ended: {why}", "another is started; try again", 5 * _SOON_S)


def late(limit_s: float) -> Refusal:
    """The answer took too long."""
    return Refusal(504, f"no answer within {limit_s:g} s", "give --timeout more, or ask for less")
