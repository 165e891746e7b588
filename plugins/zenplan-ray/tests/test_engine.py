"""The engine keeps zenplan's contract, with a worker of Ray's."""

from __future__ import annotations

import pytest
from zenplan.testing import EngineContract

from zenplan_ray import Ray


@pytest.mark.slow
class TestRay(EngineContract):
    engine = Ray()
