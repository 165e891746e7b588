"""``zenplan train --demo``: a small decoder on sources that every machine with Python has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from zenplan.adapters.corpus.sources import PYTHON
from zenplan.commands.train.flags import Flags

# A model and a length that two cores train in about two minutes.
_GIVEN: Final[dict[str, Any]] = {
    "model": "decoder",
    "data": PYTHON,
    "vocabulary": "2048",
    "steps": "400",
    "batch": "16",
    "learning_rate": "3e-3",
    "warmup_steps": "20",
    "schedule": "cosine",
    "clip_norm": "1",
    "evaluate_every": "100",
    "evaluate_batches": "20",
}
_OPTIONS: Final = ("layers=2", "width=128", "heads=4", "length=64")


def demo_flags(flags: Flags) -> Flags:
    """The flags of the demonstration; those that were given come first."""
    own = flags.own
    if "epochs" in own:
        own["steps"] = None
    return replace(flags, given={**_GIVEN, **own}, options=(*_OPTIONS, *flags.options), demo=False)
