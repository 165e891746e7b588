"""Names are shown to people: with any others, a model is the same to the program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.commands.shared import tables as inputs
from zenplan.domain.model.workload import Workload
from zenplan.planning.calibration.features import features_of_blocks
from zenplan.planning.explain.method import with_adapters
from zenplan.plugins import load_plugins

FAMILIES = load_plugins({"ZENPLAN_PLUGINS": ""}).workloads()
SIZES: dict[str, dict[str, Any]] = {
    "1e8": {"params": 1e8},
    "1e9": {"params": 1e9},
    "7e10": {"params": 7e10},
    "a mixture": {"params": 1e11, "active_params": 2e10},
}
ASKED = {**{name: {"model": name} for f in FAMILIES for name in f.presets()}, **SIZES}
# What names have meant.
WORDS = ("add", "residual sum", "norm", "router", "attention key-value", "loss", "shape", "image size", "backend")


def renamed(of: Workload) -> Workload:
    """The same with its operators, blocks and facts under other names."""
    draw = np.random.default_rng(len(of.blocks))

    def name() -> str:
        return str(draw.choice(WORDS)) if draw.random() < 0.5 else draw.bytes(5).hex()

    blocks = tuple(
        replace(b, name=name(), operators=tuple(replace(o, name=name()) for o in b.operators)) for b in of.blocks
    )
    return replace(of, blocks=blocks, facts=tuple(replace(f, name=name()) for f in of.facts))


def nameless(of: Workload) -> list[Any]:
    return [(b.repeat, b.place, [replace(o, name="o") for o in b.operators]) for b in of.blocks]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_features_and_adapters_do_not_go_by_names(asked: dict[str, Any]) -> None:
    own = inputs.lowered(FAMILIES, asked)
    other = renamed(own)
    assert features_of_blocks(other.blocks, 8) == features_of_blocks(own.blocks, 8)
    assert nameless(with_adapters(other)) == nameless(with_adapters(own))
