"""Acme's models keep the contract of a family."""

from __future__ import annotations

from zenplan_acme import Acme

from zenplan.testing import WorkloadContract


class TestAcme(WorkloadContract):
    family = Acme()
    grows = {"image_size": (128, 224, 384)}  # noqa: RUF012 - an attribute that pytest reads
    # Layers of two products with their biases and a norm, the patches, the classes.
    published = {"acme-base": 12 * (8 * 768**2 + 5 * 768 + 2 * 768) + 768 * 768 + 768 * 1000}  # noqa: RUF012
