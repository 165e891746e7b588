"""A published plan, made once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from zenplan.commands.estimate.report import estimate_report


@pytest.fixture(scope="session")
def published(ask: Callable[..., Any]) -> dict[str, Any]:
    return estimate_report(ask(model="llama3-8b", tokens=15e9)).document


@pytest.fixture
def document(published: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(published)
