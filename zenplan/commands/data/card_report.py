"""A data card for people: what came in, what was dropped, what is there, and whether it is enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from zenplan import units
from zenplan.commands.data.report import left_out
from zenplan.domain.report import Column, Report, Table
from zenplan.domain.training.data_card import DataCard, PartCard
from zenplan.errors import printable
from zenplan.families.own_data import FINE_TUNED_SHARE, LEAST_FINE_TUNING
from zenplan.families.transformer import recipe

# Passes over data that are nearly as good as new data, and after how many more are worth nothing (Muennighoff et al.
# 2023, arXiv 2305.16264).
_GOOD_PASSES: Final = 4.0
_MOST_PASSES: Final = 40.0
# Of the compute-optimal tokens: from here on a plan is not called small.
_LITTLE: Final = 0.8
_MOST_CLASSES: Final = 20
# Of fewer bytes, most of the time is spent on starting.
_SCALED_FROM: Final = 1_000_000


def card_report(card: DataCard) -> Report:
    """The card as tables, and what should be known."""
    return Report(
        make_document=lambda: _document(card),
        make_records=lambda: [_record(card, part) for part in card.parts],
        verdict=_verdict(card),
        tables=(_parts(card), *left_out(card.dropped, whole=True), *_classes(card)),
        notes=(*_figures(card), *_unused(card), *card.notes),
    )


def _document(card: DataCard) -> Any:
    from zenplan.commands.data.document import card_document

    return card_document(card)


def _record(card: DataCard, part: PartCard) -> dict[str, Any]:
    return {
        "source": card.source,
        "part": part.name,
        "records": part.records,
        "bytes": part.bytes,
        "tokens": part.tokens,
        "fingerprint": card.fingerprint,
    }


def _verdict(card: DataCard) -> str:
    """Whether it is enough for the plan, and the plan for the model; empty without a plan."""
    train = next((part for part in card.parts if part.name == "train"), None)
    if card.needed_tokens is None or card.passes is None or train is None or train.tokens is None:
        return ""
    has, needed = units.count(train.tokens), units.count(card.needed_tokens)
    passes, small = units.significant(card.passes, 2), _small(card.needed_tokens, card.parameters)
    if small and card.needed_tokens < LEAST_FINE_TUNING:
        return f"Not enough, whatever the data: {small}."
    but = f"; but {small}" if small else ""
    if card.passes <= 1.0:
        return f"Enough: {has} tokens to train on, and the plan needs {needed}{but}."
    again = f"{has} tokens to train on are {passes} passes of the plan's {needed}"
    if card.passes <= _GOOD_PASSES:
        return f"Enough: {again}; up to four are nearly as good as new data (Muennighoff et al. 2023){but}."
    if card.passes <= _MOST_PASSES:
        return f"Not enough: {again}; after four, each is worth less (Muennighoff et al. 2023){but}."
    return f"Far from enough: {again}; after forty, more are worth nothing (Muennighoff et al. 2023){but}."


def _small(tokens: float, parameters: float | None) -> str:
    """Why the plan itself is small for its model; empty where it is not, or nothing says of which model it is.

    A model that is trained from the start wants 20 tokens for each parameter (Hoffmann et al. 2022); a trained one is tuned
    on less, down to what ``LEAST_FINE_TUNING`` says.
    """
    if parameters is None:
        return ""
    optimum = recipe.TOKENS_PER_PARAMETER * parameters
    if tokens >= _LITTLE * optimum:
        return ""
    plan, model = units.count(tokens), units.count(parameters)
    wanted = f"{model} parameters want {units.count(optimum)} from the start, 20 each (Hoffmann et al. 2022)"
    if tokens < LEAST_FINE_TUNING:
        least = units.count(LEAST_FINE_TUNING)
        return f"{wanted}, a fine-tuning some {least} (Zhou et al. 2023), and the plan needs {plan}"
    if tokens < FINE_TUNED_SHARE * optimum:
        return f"the plan's {plan} are for fine-tuning: {wanted}"
    return f"the plan's {plan} are few: {wanted}"


def _parts(card: DataCard) -> Table:
    tokens = any(part.tokens is not None for part in card.parts)
    columns = [Column(name="part"), Column(name="records", numeric=True), Column(name="size", numeric=True)]
    rows = []
    for part in card.parts:
        row = [part.name, f"{part.records:,}", units.size(part.bytes) if part.bytes else "0"]
        rows.append((*row, units.count(part.tokens) if part.tokens else "0") if tokens else tuple(row))
    if tokens:
        columns.append(Column(name="tokens", numeric=True))
    return Table(
        title=f"{card.source}: {card.what}, split {'as given' if card.split_by == 'given' else f'by {card.split_by}'}",
        columns=tuple(columns),
        rows=tuple(rows),
    )


def _classes(card: DataCard) -> Iterator[Table]:
    if not card.classes:
        return
    columns = (Column(name="class"), *(Column(name=part.name, numeric=True) for part in card.parts))
    counts = list(zip(card.classes, *(part.classes for part in card.parts), strict=True))
    rows = tuple((printable(name), *(f"{count:,}" for count in own)) for name, *own in counts[:_MOST_CLASSES])
    more = len(counts) - len(rows)
    yield Table(title="Classes", columns=columns, rows=rows, caption=f"and {more:,} more" if more else "")


def _unused(card: DataCard) -> Iterator[str]:
    if card.unused:
        yield f"Not learned from: {card.unused_columns}."


def _figures(card: DataCard) -> Iterator[str]:
    came, files = "record" if card.records == 1 else "records", "file" if card.files == 1 else "files"
    read = [
        f"{count:,} {'file was' if count == 1 else 'files were'} read as {n}" for n, count in card.encodings.items()
    ]
    yield f"{card.records:,} {came} came in, from {card.files:,} {files}{'; ' if read else ''}{', '.join(read)}."
    if card.vocabulary and card.bytes_per_token:
        text = f"{card.bytes_per_token:.2f} bytes a token, with a vocabulary of {card.vocabulary:,}"
        cut = f"; {card.cut:,} texts are cut to {card.longest:,} tokens" if card.cut and card.longest else ""
        yield f"{text}{cut}."
    if card.cpu_h_per_tb and card.read_bytes >= _SCALED_FROM:
        fixed = f", of which {card.fixed_cpu_s:,.1f} s for the tokenizer" if card.fixed_cpu_s else ""
        yield f"It took {card.cpu_s:,.1f} s of the processor{fixed}: {card.cpu_h_per_tb:,.0f} CPU-hours for a TB."
    yield f"Fingerprint {card.fingerprint}, by zenplan {card.version}, seed {card.seed}."
