"""Data that a user points to: counted, with progress, and what they are as an amount to train on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zenplan import units
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.training.data_set import DataKind, DataSet
from zenplan.errors import DataError, UsageError


def counted(
    path: Path,
    text_column: str | None,
    tokenizer: Path | None,
    tell: Callable[[float], None] | None = None,
    **read: Any,
) -> DataSet:
    """The data at a path.

    Args:
        path: a file or a folder.
        text_column: the column of text of a table; None to find it.
        tokenizer: a ``tokenizer.json``; None to go by bytes a token.
        tell: called with the share that is done; None for a bar on stderr.
        read: how files are read: ``include`` and ``encoding``, where that was said.

    Raises:
        DataError: nothing there can be used, or the tokenizer is none.
        UsageError: a column is not there, or what reads a format is not installed.
    """
    from zenplan.adapters.data.count import Asked, count
    from zenplan.commands.shared.progress import progress

    asked = Asked(
        path=path,
        text_column=text_column,
        tokenize=None if tokenizer is None else _tokenize(tokenizer),
        tokenizer="" if tokenizer is None else tokenizer.name,
        **read,
    )
    if tell is not None:
        return count(asked, tell)
    with progress(f"counting {path.name}") as show:
        return count(asked, show)


def check_tokenizer(path: Path) -> None:
    """Raises DataError: it is no tokenizer. UsageError: it cannot be read, or ``tokenizers`` is not installed."""
    _tokenize(path)


def _tokenize(path: Path) -> Any:
    from zenplan.adapters.data.tokenizer import HINT, check_installed, read_tokenizer, tokenizer_of
    from zenplan.plugins.guard import attempt

    check_installed()
    text = read_tokenizer(path)
    found = attempt(lambda: tokenizer_of(text), None)
    if found.value is None:
        raise DataError(f"'{os.fspath(path)}' is no tokenizer: {found.reason.removeprefix('Exception: ')}", HINT)
    return found.value


def amount_of(data: DataSet, workload: Workload, most: int | None = None) -> tuple[float, list[Fact]]:
    """Samples of the data set for that model, and how they were counted.

    Args:
        most: tokens that a text is cut to; None where texts are packed whole.

    Raises:
        UsageError: the model does not learn from such data.
    """
    images = workload.unit == "images" or workload.input == "image"
    if images != (data.kind is DataKind.IMAGES) and (images or workload.unit == "tokens"):
        learns = "images" if images else "text"
        raise UsageError(
            f"--data {data.path} holds {_what(data)}, and {workload.name} is trained on {learns}",
            "give a folder of images, or count them: --samples 50k"
            if images
            else "give text, JSONL, Parquet or CSV, or a model of images: --model resnet50",
        )
    if workload.unit == "tokens":
        if data.tokens is None:
            raise UsageError(
                f"--data {data.path} has no text, and {workload.name} is trained on text",
                f"--text-column names one of its columns: {', '.join(data.columns[:8])}" if data.columns else "",
            )
        tokens, cut = _cut(data, data.tokens.mid, most)
        return tokens / workload.tokens_per_sample, [*_text_facts(data), *cut]
    value = f"{units.count(data.records.mid)} {data.kind.record}{_span(data.records)}"
    return data.records.mid, [Fact(name="samples", value=value, origin=Origin.MEASURED, why=data.how)]


def _what(data: DataSet) -> str:
    return "images" if data.kind is DataKind.IMAGES else "rows without text" if data.tokens is None else "text"


def _cut(data: DataSet, tokens: float, most: int | None) -> tuple[float, list[Fact]]:
    """Tokens that are left where each text is cut: of the average text, as ``--samples`` counts; and a fact where any is
    longer than that."""
    mean = data.tokens_per_record
    if most is None or mean is None or max(mean.mid, data.p95_tokens or 0.0) <= most:
        return tokens, []
    left = min(tokens, data.records.mid * most)
    why = f"cut to --seq-len {most:,}, as in fine-tuning; a text has {units.count(mean.mid)} on average"
    if left == tokens:
        why = f"{why}, of which the longest are cut to fewer than this"
    return left, [Fact(name="dataset tokens", value=units.count(left), origin=Origin.DERIVED, why=why)]


def _text_facts(data: DataSet) -> list[Fact]:
    tokens, mean = data.tokens, data.tokens_per_record
    origin = Origin.MEASURED if data.tokenizer else Origin.DERIVED
    facts = [
        Fact(
            name="tokens of the data",
            value=f"{units.count(tokens.mid)}{_span(tokens)}",
            origin=origin,
            why=data.how,
        )
        for tokens in (tokens,)
        if tokens
    ]
    if mean is not None and data.kind in (DataKind.CHAT, DataKind.INSTRUCTIONS):
        value = f"{units.count(data.records.mid)} {data.kind.record}{_span(data.records)}"
        why = f"{units.count(mean.mid)} tokens each on average, packed into sequences"
        facts.append(Fact(name="samples", value=value, origin=Origin.MEASURED, why=why))
    return facts


def span_of(figure: Range, show: Callable[[float], str] = units.count) -> str:
    """Low and high of a figure; empty where they do not differ as shown."""
    low, high = show(figure.low), show(figure.high)
    return "" if low == high else units.span(low, high)


def _span(figure: Range) -> str:
    found = span_of(figure)
    return f" ({found})" if found else ""
