"""How many tokens a model takes at once, by its name or its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from zenplan.adapters.tables.context_windows import read_context_windows, window_of
from zenplan.adapters.tables.models import models_by_name
from zenplan.errors import DataError


def test_names_are_of_known_models_and_no_window_is_shorter_than_what_they_learn_at() -> None:
    models = models_by_name()
    for name, window in read_context_windows().items():
        assert window.tokens >= 1024
        if name in models and models[name].shape.positions:
            # OPT keeps two positions for itself.
            assert 0 <= models[name].shape.positions - window.tokens <= 2


def test_models_of_one_shape_may_have_different_windows() -> None:
    of = [window_of({"model": name}) for name in ("llama3-8b", "meta-llama/Llama-3.1-8B", "LLAMA3_8B")]
    assert [window and window.tokens for window in of] == [8192, 131072, 8192]
    assert window_of({"model": "unheard-of"}) is None
    assert window_of({"params": 1e9}) is None


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
        (
            {
                "max_position_embeddings": 40960,
                "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            },
            131072,
        ),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 131072),
        ({"max_position_embeddings": 4096, "rope_scaling": None}, 4096),
        ({"max_position_embeddings": "many"}, None),
        ({"max_position_embeddings": True, "rope_scaling": {"factor": 2}}, None),
        ({}, None),
    ],
)
def test_a_configuration_says_its_window(config: dict[str, Any], tokens: int | None) -> None:
    found = window_of({"config": config})
    assert (found and found.tokens) == tokens


@pytest.mark.parametrize("rows", ["a,0,s,read,2026-01-01", "a,5,s,seen,2026-01-01", "a b A,5,s,read,2026-01-01"])
def test_a_row_that_cannot_be_is_refused(rows: str) -> None:
    with pytest.raises(DataError):
        read_context_windows(f"names,tokens,source,status,date\n{rows}\n")
