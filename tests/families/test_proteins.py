"""The Evoformer, as OpenFold's own code counts it on the meta device."""

from __future__ import annotations

import pytest

from zenplan.families.proteins import MODELS


def test_as_openfold_counts_it() -> None:
    """EvoformerStack with the sizes of openfold/config.py; FLOP of one layer and the last product, by PyTorch's counter, on
    128 sequences of 256 residues. DeepMind prints 93M of the whole network, and no FLOP."""
    load = MODELS["evoformer"]()
    assert load.parameters == 87_936_384
    assert MODELS["evoformer"](layers=1).flop_per_sample == pytest.approx(216_157_650_944, rel=1e-3)
    assert load.unit == "proteins"


def test_twice_the_residues_are_more_than_twice_the_work() -> None:
    short, long = (MODELS["evoformer"](residues=residues) for residues in (256, 512))
    assert long.parameters == short.parameters
    assert 2 < long.flop_per_sample / short.flop_per_sample < 8
