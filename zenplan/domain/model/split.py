"""Split: what tensor parallelism divides in an operator."""

from __future__ import annotations

from enum import StrEnum


class Split(StrEnum):
    """What tensor parallelism of degree t divides in an operator."""

    COLUMNS = "columns"  # outputs of a product: each device has n/t columns
    ROWS = "rows"  # inputs of a product: each device has k/t rows, then an all-reduce
    HEADS = "heads"  # attention heads, and what lies between two divided products
    SEQUENCE = "sequence"  # divided only with sequence parallelism
    NONE = "none"
