"""Acme keeps the contract of an engine: events in order, killed and resumed, one error for a bad job."""

from __future__ import annotations

from zenplan_acme import Acme

from zenplan.testing import EngineContract


class TestAcme(EngineContract):
    engine = Acme()
    model, known, steps = (Acme().contract[name] for name in ("model", "known", "steps"))
