"""PatchTST (Nie et al. 2023, arXiv 2211.14730): pieces of a time series as tokens, each channel by itself."""

from __future__ import annotations

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.domain.model.workload import Workload
from zenplan.errors import UsageError
from zenplan.families.named import Builder
from zenplan.families.parts import block, dense, elementwise
from zenplan.families.vision import encoder_layers, windowed


def _patchtst(
    *,
    layers: int = 3,
    width: int = 128,
    heads: int = 16,
    wide: int = 256,
    patch: int = 16,
    stride: int = 8,
    length: int = 512,
    horizon: int = 96,
    channels: int = 7,
) -> Workload:
    """An encoder over pieces of each channel, and a product from their mean to what comes next.

    Args:
        wide: of the feed-forward network. patch, stride: values of a piece, and from one to the next.
        length, horizon: values that are read and foretold. channels: series that are read together, as of ETT.

    Raises:
        UsageError: not one piece fits.
    """
    if length < patch or stride < 1:
        raise UsageError(f"pieces of {patch} do not fit into {length} values", "give a length of one piece or more")
    pieces = (length - patch) // stride + 1
    rows = channels * pieces
    stem: list[Operator] = [
        dense("pieces", rows, patch, width, first=True),
        elementwise(ElementwiseKind.OTHER, "positions", rows * width, 3, weights=pieces * width),
    ]
    layer = windowed(encoder_layers(layers, width, heads, wide, rows), channels, pieces)
    head: list[Operator] = [
        elementwise(ElementwiseKind.MEAN_POOL, "mean", rows * width, 1),
        dense("horizon", channels, width, horizon),
        elementwise(ElementwiseKind.LOSS, "loss", channels * horizon, 4, kept=channels * horizon),
    ]
    return Workload(
        name="patchtst",
        family="time series",
        blocks=(
            block("pieces", stem, rows * width, place="first"),
            layer,
            block("head", head, 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="windows",
        heads=heads,
    )


MODELS: dict[str, Builder] = {"patchtst": _patchtst}
