"""PatchTST, as the reference library counts it."""

from __future__ import annotations

import pytest

from zenplan.errors import UsageError
from zenplan.families.series import MODELS


def test_as_transformers_counts_it() -> None:
    """PatchTSTForPrediction of transformers 5.24.0 with these sizes: 420,064 parameters, and 348,794,880 FLOP of a window of
    seven channels by PyTorch's counter, which does not see the products of attention."""
    load = MODELS["patchtst"]()
    attention = 3 * 7 * 4 * 63 * 63 * 128
    assert load.parameters == 420_064
    assert load.flop_per_sample == 348_794_880 + attention
    assert load.unit == "windows"


def test_channels_share_their_weights() -> None:
    seven, one = MODELS["patchtst"](), MODELS["patchtst"](channels=1)
    assert seven.parameters == one.parameters
    assert seven.flop_per_sample == pytest.approx(7 * one.flop_per_sample)
    with pytest.raises(UsageError, match="do not fit"):
        MODELS["patchtst"](length=8)
