"""A federated training as people write it: ``clients=100,rounds=50,local_epochs=1``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from zenplan import units
from zenplan.domain.training.federated import Federated
from zenplan.errors import UsageError, nearest

_EXAMPLE: Final = "as in --federated clients=100,rounds=50"


def _whole(text: str, what: str) -> int:
    return units.parse_whole(text, what, 1e9, 100)


def _count(text: str, what: str) -> float:
    return units.parse_count(text, what, 1e18, 1)


def _spread(text: str, what: str) -> float:
    value = units.number_of(text)
    if value is None or not 0.0 <= value <= 3.0:
        raise UsageError(f"{what} must be from 0 to 3, not '{text[:60]}'", "in ln, as in spread=0.5")
    return value


def _penalty(text: str, what: str) -> tuple[float, float, float]:
    found = [units.parse_count(each, what, 1e6, 2) for each in text.split(":")]
    if len(found) not in (1, 3) or found != sorted(found):
        raise UsageError(f"{what} is one figure, or low, middle and high: '{text[:60]}'", "as in penalty=1:2:4")
    return found[0], found[len(found) // 2], found[-1]


# Key to field, and how its value is read.
_KEYS: Final[Mapping[str, tuple[str, Callable[[str, str], Any]]]] = {
    "clients": ("clients", _whole),
    "rounds": ("rounds", _whole),
    "local_epochs": ("local_epochs", _count),
    "participating": ("participating", _whole),
    "bandwidth": ("bytes_per_s", units.parse_bytes),
    "flops": ("flop_per_s", _count),
    "spread": ("spread", _spread),
    "penalty": ("penalty", _penalty),
    "usd_per_hour": ("usd_per_h", units.or_zero(units.parse_usd)),
}


def parse_federated(given: Any, what: str) -> Federated:
    """What was asked.

    Args:
        given: ``key=value`` with commas, or several of them.
        what: the flag.

    Raises:
        UsageError: a key is unknown, there twice or missing, or a value cannot be used.
    """
    text = ",".join(given) if isinstance(given, list | tuple) else str(given)
    found: dict[str, Any] = {}
    for pair in text.split(","):
        key, between, value = (part.strip() for part in pair.partition("="))
        name = key.lower().replace("-", "_")
        if name not in _KEYS:
            near = nearest(name, _KEYS)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(_KEYS)}"
            raise UsageError(f"{what} has no '{key[:60]}'", hint)
        field, parse = _KEYS[name]
        if not between or not value:
            raise UsageError(f"{what} has no value of {name}", _EXAMPLE)
        if field in found:
            raise UsageError(f"{what} has {name} twice", "keep one of the two")
        found[field] = parse(value, f"{what} {name}")
    for name in ("clients", "rounds"):
        if name not in found:
            raise UsageError(f"{what} does not say how many {name}", _EXAMPLE)
    if found.get("participating", 0) > found["clients"]:
        raise UsageError(f"{what}: more clients take part than there are", _EXAMPLE)
    return Federated(**found)
