"""A few lines that a trained language model writes, beginning a document of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from zenplan.adapters.corpus.bpe import decoded
from zenplan.adapters.data.tokenizer import read_tokenizer
from zenplan.adapters.workers.process import BACKENDS, Limits, run_job
from zenplan.commands.train.asked import Asked
from zenplan.domain.measured.training_run import RunResult
from zenplan.worker.protocol import Write, Written

_TOKENS: Final = 120


def written(asked: Asked, result: RunResult) -> str:
    """What the model writes; empty where it is no language model of a tokenizer that is known.

    Raises:
        ZenplanError: it cannot write.
    """
    data = asked.data
    if data.end is None or not data.tokenizer or not result.model.endswith(".keras") or asked.backend not in BACKENDS:
        return ""
    job = Write(what=asked.name, model=result.model, tokens=(data.end,), count=_TOKENS)
    found = run_job(job, asked.backend, Limits(), lambda stage, seconds: None)
    if not isinstance(found, Written):
        return ""
    tokens = found.tokens[: found.tokens.index(data.end)] if data.end in found.tokens else found.tokens
    return decoded(read_tokenizer(Path(data.folder) / data.tokenizer), tokens)
