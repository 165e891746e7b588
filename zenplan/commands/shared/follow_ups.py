"""What follows the training, as people write it: ``export,compress:5%,explain:100,serve:30d``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from zenplan import units
from zenplan.domain.training.follow_up import COMPRESS, EXPLAIN, EXPORT, FOLLOW_UPS, SERVE, FollowUp
from zenplan.errors import UnknownName, UsageError

_MOST_SAMPLES: Final = 1e12


def _samples(text: str, what: str) -> float:
    return float(units.parse_whole(text, what, _MOST_SAMPLES, 100))


_AMOUNTS: Final[Mapping[str, Callable[[str, str], float]]] = {
    EXPORT: _samples,
    COMPRESS: units.parse_share,
    EXPLAIN: _samples,
    SERVE: units.parse_duration_s,
}


def parse_follow_ups(texts: Sequence[str], what: str) -> tuple[FollowUp, ...]:
    """What was asked, in its order.

    Args:
        texts: each a name, or a name and its amount.
        what: the flag.

    Raises:
        UnknownName: nothing of that name follows a training.
        UsageError: an amount cannot be used, or one is missing or there twice.
    """
    found: dict[str, FollowUp] = {}
    for text in texts:
        key, between, amount = (part.strip() for part in text.partition(":"))
        name = key.lower()
        if name not in FOLLOW_UPS:
            raise UnknownName(what, key, FOLLOW_UPS)
        if name in found:
            raise UsageError(f"{what} has {name} twice", "keep one of the two")
        if name == SERVE and not between:
            raise UsageError(f"{what} {SERVE} has no time", f"say how long, as in: {what} {SERVE}:30d")
        if between and not amount:
            raise UsageError(
                f"{what} {name}: has no amount", f"leave out the colon, or write it as in: {_example(name)}"
            )
        found[name] = FollowUp(name=name, amount=_AMOUNTS[name](amount, f"{what} {name}") if between else None)
    if not found:
        raise UsageError(f"{what} names nothing", f"as in: {what} export,explain,serve:30d")
    return tuple(found.values())


def _example(name: str) -> str:
    return {COMPRESS: f"{COMPRESS}:5%", SERVE: f"{SERVE}:30d"}.get(name, f"{name}:100")
