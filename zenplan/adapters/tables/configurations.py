"""What Hugging Face's library takes for absent keys of a model configuration: ``data/huggingface.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from zenplan.adapters.files.data import data_text
from zenplan.families.configurations.fields import TypeDefaults


@cache
def read_type_defaults() -> Mapping[str, TypeDefaults]:
    """Type to its defaults. ``python benchmarks/configurations.py --write`` writes the file."""
    read = json.loads(data_text("huggingface.json"))
    return MappingProxyType({name: _defaults(entry) for name, entry in read.items()})


def _defaults(entry: Mapping[str, Mapping[str, object]]) -> TypeDefaults:
    parts = {key: (part[0], part[1] if len(part) > 1 else {}) for key, part in entry.get("parts", {}).items()}  # type: ignore[index]
    return TypeDefaults(values=entry.get("defaults", {}), aliases=entry.get("aliases", {}), parts=parts)  # type: ignore[arg-type]
