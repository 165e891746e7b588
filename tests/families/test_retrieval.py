"""DeepFM, two towers and SASRec, as those who wrote them down count them."""

from __future__ import annotations

import pytest

from zenplan.families.recommenders import MODELS as RECOMMENDERS
from zenplan.families.retrieval import MODELS


def test_sasrec_as_its_implementation_counts_it() -> None:
    """pmixer/SASRec.pytorch on MovieLens-1M, 200 items: parameters, and FLOP by PyTorch's counter, masked scores too."""
    load = MODELS["sasrec"]()
    assert load.parameters == 212_000
    assert sum(b.repeat * getattr(o, "full_flop", o.flop) for b in load.blocks for o in b.operators) == 28_000_000


def test_deepfm_as_deepctr_counts_it() -> None:
    """DeepCTR-Torch 0.2.9 of 26 tables with 26,325 entries: 720,389 and 194,871 parameters."""
    for sizes, counted in (
        ({"width": 400, "layers": 3, "factors": 10}, 720_389),
        ({"width": 400, "layers": 2}, 559_989),
    ):
        assert RECOMMENDERS["deepfm"](entries=26_325, **sizes).parameters == counted
    whole = RECOMMENDERS["deepfm"]()
    assert whole.parameters == 11 * 33_762_577 + 430_814
    assert whole.flop_per_sample == pytest.approx(2 * (273 * 400 + 2 * 400 * 400 + 400 + 13))


def test_two_towers_as_torchrec_has_them() -> None:
    """examples/retrieval: two tables of 1,048,576 × 64, layers of 128 and 64 on each side."""
    load = MODELS["two-tower"]()
    tower = 64 * 128 + 128 + 128 * 64 + 64
    assert load.parameters == 2 * (1_048_576 * 64 + tower)
    assert load.flop_per_sample == 2 * 2 * (64 * 128 + 128 * 64)
    assert MODELS["two-tower"](users=100_000_000).parameters > 6.4e9
