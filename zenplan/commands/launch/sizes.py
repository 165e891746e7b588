"""How large the run's model is: by its options where they say it, else as a worker counts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from zenplan.adapters.corpus.prepared import read_card
from zenplan.adapters.workers.engines import is_installed
from zenplan.commands.launch.trained import Trained
from zenplan.commands.shared.counting import count_job, keras_model
from zenplan.commands.train.asked import model_of
from zenplan.commands.train.data import is_prepared, read_prepared
from zenplan.commands.train.kinds import KINDS
from zenplan.errors import InputFileError, ZenplanError
from zenplan.units import digits_of
from zenplan.worker.protocol import Count

# Of a tokenizer that is trained before the run: bytes and the end of a document, to what 16 bits hold.
_VOCABULARY: Final = (257, 65_536)
# Of a sample: more is no number.
_MOST_TOKENS: Final = 10**9


def seq_len_of(trained: Trained) -> int | None:
    """Tokens of a sample; None of other samples, and where the model's own code says it."""
    found = trained.number("seq_len", _MOST_TOKENS) or _option(trained, "length")
    return found if isinstance(found, int) else None


def parameters_of(trained: Trained) -> tuple[float, float]:
    """Least and most of its parameters: of a decoder the data say the vocabulary; any other model is built and counted.

    Raises:
        ZenplanError: it cannot be counted here; the message says why.
    """
    if (found := _of_decoder(trained)) is not None:
        return found
    backend = trained.backend if is_installed(trained.backend) else None
    counted = count_job(_to_count(trained), backend).parameters
    return counted, counted


def _to_count(trained: Trained) -> Count:
    name = str(trained.given.get("model") or trained.given.get("keras") or "")
    data = trained.given.get("data")
    options = trained.given.get("options") or {}
    if isinstance(data, Path) and is_prepared(data):
        prepared = read_prepared(data)
        length = trained.number("seq_len", _MOST_TOKENS)
        _, model, _ = model_of({"model": name, "options": options}, {"seq_len": length}, prepared)
        return Count(what=name, model=model, data=prepared.folder)
    if name in KINDS:
        raise InputFileError(
            f"the data say its form, and {data or 'the data'} are not prepared here",
            "'zenplan data prepare' makes such a folder",
        )
    return Count(what=name, model=keras_model(name, options))


def _option(trained: Trained, name: str) -> Any:
    """Of the model's kind, given or its own; None where it has none."""
    given = trained.given.get("options")
    if isinstance(given, dict) and name in given:
        return given[name]
    kind = KINDS.get(str(trained.given.get("model")))
    lines = dict(line.split(" = ", 1) for line in kind.options) if kind else {}
    return digits_of(lines.get(name, ""), 10**9)


def _of_decoder(trained: Trained) -> tuple[float, float] | None:
    """Of a decoder; None of other models."""
    if trained.given.get("model") != "decoder":
        return None
    layers, width, length, inner = (_option(trained, name) for name in ("layers", "width", "length", "feedforward"))
    if not (isinstance(inner, int) and inner > 0):
        inner = 4 * width if isinstance(width, int) else None
    if not (isinstance(layers, int) and isinstance(width, int) and isinstance(length, int) and inner):
        return None
    # Attention and the two products with their biases, two norms of a gain and a shift.
    block = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    known = _vocabulary(trained.given.get("data"))
    low, high = (known, known) if known else _VOCABULARY
    rest = layers * block + 2 * width + length * width
    return rest + 2.0 * width * low, rest + 2.0 * width * high


def _vocabulary(data: Any) -> int | None:
    """Of data that are prepared already, where they can be read here."""
    if not isinstance(data, Path) or not data.is_dir():
        return None
    try:
        return read_card(data).vocabulary
    except ZenplanError:
        return None
