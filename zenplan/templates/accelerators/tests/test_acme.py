"""Acme's data sheets keep the contract of accelerators."""

from __future__ import annotations

from zenplan_acme import zenplan_accelerators

from zenplan.testing import AcceleratorsContract


class TestAcme(AcceleratorsContract):
    accelerators = tuple(zenplan_accelerators())
