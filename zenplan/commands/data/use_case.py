"""``zenplan data prepare``: flags to what is asked for, and that to a folder of prepared data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zenplan.commands.shared.options import parsed
from zenplan.commands.shared.preparing import PREPARE
from zenplan.domain.training.data_card import DataCard
from zenplan.errors import UsageError
from zenplan.families.transformer import recipe


def prepare(
    source: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    given: Mapping[str, Any],
    overwrite: bool,
    tell: Callable[[float, str], None],
) -> DataCard:
    """Prepare data.

    Args:
        source: a file, a folder, or ``python-library``; None for ``data`` of what was given.
        out: the folder that is written.
        given: flags by their names.
        overwrite: prepared data that are there, or an unfinished preparation of something else.
        tell: called with the share that is done, and what is being done.

    Raises:
        UsageError: a flag is wrong, or does not go with the data.
        DataError: nothing of the data can be used, or too little.
        ZenplanError: the disk is full, or another process prepares the same folder.
    """
    from zenplan.adapters.corpus.asked import Asked
    from zenplan.adapters.corpus.bpe import LEAST_VOCABULARY
    from zenplan.adapters.corpus.prepare import prepare as prepared
    from zenplan.adapters.corpus.sources import PYTHON
    from zenplan.commands.shared.data import check_tokenizer

    where = source if source is not None else given.get("data")
    if where is None or not os.fspath(where):
        raise UsageError("nothing says which data to prepare", "name a file, a folder, or python-library")
    if not os.fspath(out) or "\0" in os.fspath(out):
        raise UsageError("--out is no path", "name a folder that is not there yet")
    fields = parsed(given, PREPARE)
    params, tokens = fields.pop("params", None), fields.pop("tokens", None)
    needed = tokens or (params * recipe.TOKENS_PER_PARAMETER if params else None)
    fields |= {"text_column": given.get("text_column"), "parameters": params, "needed_tokens": needed}
    if given.get("tokenizer") is not None:
        fields["tokenizer"] = Path(given["tokenizer"])
        check_tokenizer(fields["tokenizer"])
    elif fields.get("vocabulary", LEAST_VOCABULARY) < LEAST_VOCABULARY:
        raise UsageError(
            f"--vocabulary {fields['vocabulary']} is too small: there are 256 bytes and the end of a document",
            f"give {LEAST_VOCABULARY} or more",
        )
    built_in = os.fspath(where) == PYTHON and not Path(where).exists()
    return prepared(
        Asked(source=PYTHON if built_in else Path(where), out=Path(out), overwrite=overwrite, **fields), tell
    )
