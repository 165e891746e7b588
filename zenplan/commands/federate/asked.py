"""What a federated run is to be: its flags, read before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from zenplan import units
from zenplan.commands.shared.options import read_flag, whole
from zenplan.errors import UsageError
from zenplan.worker.protocol import Federated

_CLIENTS, _ROUNDS = 8, 20
_MOST_CLIENTS: Final = 1000


def federated_of(given: Mapping[str, str | None]) -> tuple[Federated, int]:
    """How it is federated, and how many rounds it has.

    Args:
        given: the flags ``clients``, ``rounds``, ``local_epochs``, ``alpha``, ``dropout``, ``dp_noise``, ``dp_clip`` as
            texts; None of one that was not given.

    Raises:
        UsageError: one cannot be what was given, or they do not go together.
    """
    clients = _whole(given, "clients", _CLIENTS, _MOST_CLIENTS)
    if clients < 2:
        raise UsageError("--clients 1 is no federation", "take 2 or more; or 'zenplan train'")
    if given.get("dp_noise") is not None and given.get("dp_clip") is None:
        raise UsageError("--dp-noise is of what a client may change, and nothing says how much", "as in: --dp-clip 1")
    chance = read_flag(given, "dropout", units.or_zero(units.parse_share), 0.0)
    if chance >= 1.0:
        raise UsageError("with --dropout 1 every client fails", "as in: --dropout 0.2")
    found = Federated(
        clients=clients,
        local_epochs=_whole(given, "local_epochs", 1, 1e6),
        alpha=read_flag(given, "alpha", lambda text, what: units.parse_count(text, what, 1e6, "0.5")),
        dropout=chance,
        noise=read_flag(given, "dp_noise", units.or_zero(_number), 0.0),
        clip=read_flag(given, "dp_clip", _number, 0.0),
    )
    return found, _whole(given, "rounds", _ROUNDS, 1e6)


def _number(text: str, what: str) -> float:
    return units.parse_count(text, what, 1e6, "1")


def _whole(given: Mapping[str, str | None], name: str, usual: int, most: float) -> int:
    return int(read_flag(given, name, whole(most, usual), usual))
