"""Blocks of a workload as JSON types and back: what a worker process builds a stand-in of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from zenplan.domain.model.operator_document import operator_document, own, read_operator
from zenplan.domain.model.workload import Block
from zenplan.errors import DataError


def blocks_document(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """The blocks as dictionaries of JSON types, in order; an operator has its class as ``type``."""
    return [{**asdict(b), "operators": [operator_document(o) for o in b.operators]} for b in blocks]


def read_blocks(documents: Any) -> tuple[Block, ...]:
    """The blocks that ``blocks_document`` wrote.

    Raises:
        DataError: it is something else.
    """
    try:
        return tuple(
            Block(**{**own(Block, each), "operators": tuple(map(read_operator, each["operators"]))})
            for each in documents
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"these are no blocks: {type(error).__name__}: {error}") from error
