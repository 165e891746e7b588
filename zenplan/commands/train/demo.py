"""``zenplan train --demo``: a small decoder on sources that every machine with Python has, and what it then writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.corpus.bpe import decoded
from zenplan.adapters.corpus.sources import PYTHON
from zenplan.adapters.data.tokenizer import read_tokenizer
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.finished import backend_of_model
from zenplan.commands.train.flags import Flags
from zenplan.domain.measured.training_run import RunResult
from zenplan.worker.protocol import Write, Written

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
# That it writes at most.
_TOKENS: Final = 120


def demo_flags(flags: Flags) -> Flags:
    """The flags of the demonstration; those that were given come first."""
    own = flags.own
    if "epochs" in own:
        own["steps"] = None
    return replace(flags, given={**_GIVEN, **own}, options=(*_OPTIONS, *flags.options), demo=False)


def written(asked: Asked, result: RunResult) -> str:
    """A few lines that the model writes, beginning a document of its own.

    Empty where it is no language model of a tokenizer that is known.

    Raises:
        ZenplanError: it cannot write.
    """
    data = asked.data
    backend = backend_of_model(result.status)
    if data.end is None or not data.tokenizer or not result.model.endswith(".keras") or not backend:
        return ""
    job = Write(what=asked.name, model=result.model, tokens=(data.end,), count=_TOKENS)
    found = run_job(job, backend, Limits())
    if not isinstance(found, Written):
        return ""
    tokens = found.tokens[: found.tokens.index(data.end)] if data.end in found.tokens else found.tokens
    return decoded(read_tokenizer(Path(data.folder) / data.tokenizer), tokens)
