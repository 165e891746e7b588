"""Data from Python: a folder to train from, as ``zenplan data prepare`` makes it. Arguments are as in ``zenplan.api``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from zenplan.arguments import flags, unseen
from zenplan.commands.shared.request_file import lines_named, with_request
from zenplan.errors import UsageError
from zenplan.results import DataCard, result

Number = float | str
Names = str | Sequence[str]
File = str | os.PathLike[str]


def prepare_data(
    source: File | None = None,
    *,
    out: File,
    label: str | None = None,
    label_kind: str | None = None,
    classes: Number | None = None,
    features: Names | None = None,
    ids: Names | None = None,
    vocabulary: Number | None = None,
    end_token: str | None = None,
    channels: Number | None = None,
    validation: Number | None = None,
    test: Number | None = None,
    split_by: str | None = None,
    duplicates: str | None = None,
    near_duplicates: str | None = None,
    similarity: Number | None = None,
    min_chars: Number | None = None,
    max_chars: Number | None = None,
    quality: str | None = None,
    include: Names | None = None,
    encoding: str | None = None,
    seed: Number | None = None,
    text_column: str | None = None,
    tokenizer: File | None = None,
    seq_len: Number | None = None,
    image_size: Number | None = None,
    params: Number | None = None,
    tokens: Number | None = None,
    overwrite: bool = False,
    request: File | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> DataCard:
    """Prepare data to train on, and return the data card. As ``zenplan data prepare``.

    After an interrupt, the same call goes on where it was.

    Args:
        source: a file, a folder, or "python-library" for the sources of Python's own; None for ``data`` of ``request``.
        out: the folder that is written.
        label: the column to learn to predict, or "folder"; None for a language model.
        label_kind: class or number; None to see by the labels.
        classes: labels are whole numbers from 0 to below this.
        features: columns of numbers to learn from; None for all of a table.
        ids: columns of names to learn from, each an input: ("user", "item").
        vocabulary: tokens of the tokenizer that is trained; 8192 by default.
        end_token: what ends a document, in the given tokenizer.
        channels: 3 for images in colour, 1 for grey.
        validation, test: shares that are set aside; None for what the data come with in train/, validation/ and test/,
            else 0.05 each.
        split_by: what is never parted: folder, file or record; a split that the data come with is then not kept.
        duplicates: exact ones: drop or keep.
        near_duplicates: texts that are nearly the same: drop, keep or ignore.
        similarity: from which on texts are near duplicates, 0.8 by default.
        min_chars, max_chars: of a text; others are dropped.
        quality: any, or prose.
        include: names of files that are read as text, whatever their suffix: ("README", "*.log").
        encoding: of texts, as in "cp1252"; None for what each says, else UTF-8 or cp1252.
        seed: of the split.
        text_column: the column of text; None to find it.
        tokenizer: a tokenizer.json, instead of one that is trained.
        seq_len: tokens of a sample of text with a label; 256 by default.
        image_size: pixels of a side; 32 by default.
        params, tokens: of the plan that the data are for.
        overwrite: prepared data that are there, or an unfinished preparation of something else.
        request: a TOML file of these arguments; those given beside it come first.
        progress: called with the share that is done, 0 to 1, and what is being done.

    Raises:
        UsageError: an argument is wrong, or does not go with the data.
        DataError: nothing of the data can be used, or too little.
        ZenplanError: the disk is full, or another process prepares the same folder.
    """
    given = flags(locals())
    from zenplan.commands.data.use_case import prepare

    for name, value in (("source", source), ("out", out)):
        if value is not None and not isinstance(value, str | os.PathLike):
            raise UsageError(f"--{name} cannot be a {type(value).__name__}", "give a path")
    where, to = given.pop("source"), given.pop("out")
    with lines_named(request, given):
        every = with_request(request, given, preparing=True)
        return result(DataCard, prepare(where, to, every, overwrite, progress or unseen))
