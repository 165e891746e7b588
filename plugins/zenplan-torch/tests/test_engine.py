"""The engine keeps zenplan's contract."""

from __future__ import annotations

import pytest
from zenplan.testing import EngineContract

from zenplan_torch import PyTorch


@pytest.mark.slow
class TestPyTorch(EngineContract):
    engine = PyTorch()
