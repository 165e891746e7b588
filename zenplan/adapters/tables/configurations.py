"""What Hugging Face's library takes for absent keys of a model configuration: ``data/huggingface.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from zenplan.adapters.files.data import data_text
from zenplan.families.configurations.fields import TypeDefaults


@cache
def read_type_defaults() -> Mapping[str, TypeDefaults]:
    """Type to its defaults; ``python benchmarks/configurations.py --defaults`` writes the file."""
    every = json.loads(data_text("huggingface.json"))
    return MappingProxyType({name: _defaults(entry) for name, entry in every.items()})


def _defaults(entry: Mapping[str, Any]) -> TypeDefaults:
    parts = {key: (usual, other[0] if other else {}) for key, (usual, *other) in entry.get("parts", {}).items()}
    return TypeDefaults(values=entry.get("defaults", {}), aliases=entry.get("aliases", {}), parts=parts)
