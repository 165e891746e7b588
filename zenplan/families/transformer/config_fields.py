"""Reading the fields of a model configuration: each is checked, each default that is used is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError, shown
from zenplan.families.transformer.huggingface_types import DERIVED, REQUIRED

# Beyond these a number is a mistake, and lowering so many layers would take minutes.
MOST_LAYERS = 10_000
MOST_HEADS = 100_000
MOST_WIDTH = 10_000_000
MOST_ENTRIES = 100_000_000


class ConfigFields:
    """The fields of one configuration; ``facts`` grows by each default that is used."""

    def __init__(self, config: Mapping[str, Any], model_type: str) -> None:
        """``model_type`` is named in errors and assumptions."""
        self._config = config
        self._model_type = model_type
        self.facts: list[Fact] = []

    def raw(self, *keys: str) -> Any:
        """The value of the first of the keys that is there and not null, else None."""
        return next((self._config[key] for key in keys if self._config.get(key) is not None), None)

    def has(self, key: str) -> bool:
        """Whether the key is written at all, be it as null."""
        return key in self._config

    def whole(self, *keys: str, default: Any = REQUIRED, most: int = MOST_WIDTH, least: int = 1) -> int | None:
        """A whole number from ``least`` to ``most``; None where it is absent and to be derived.

        Raises:
            UsageError: absent and required, or something else than such a number.
        """
        value = self.raw(*keys)
        if value is None:
            return self._absent(keys[0], default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(keys[0], value, f"a whole number from {least} to {most:,}")
        return value

    def needed(self, *keys: str, default: Any = REQUIRED, most: int = MOST_WIDTH, least: int = 1) -> int:
        """As ``whole``, of a field that cannot be derived."""
        value = self.whole(*keys, default=default, most=most, least=least)
        if value is None:
            raise self._missing(keys[0])
        return value

    def switch(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(key)
        if value is None:
            self._assume(key, default)
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def ratio(self, key: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self.raw(key)
        if value is None:
            self._assume(key, default)
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.wrong(key, value, "a number from 0 to 1")
        return float(value)

    def text(self, key: str, default: str) -> str:
        """A text."""
        value = self.raw(key)
        if value is None:
            self._assume(key, default)
            return default
        if not isinstance(value, str):
            raise self.wrong(key, value, "a text")
        return value

    def texts(self, key: str, length: int) -> list[str] | None:
        """A list of that many texts; None where there is none."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(key, value, "a list of texts")
        if len(value) != length:
            raise UsageError(
                f"the model configuration's '{key}' lists {len(value)} layers of {length}",
                "it has one entry for each layer",
            )
        return value

    def wrong(self, key: str, value: Any, wanted: str) -> UsageError:
        """The error for a value that is not what its key holds."""
        told = "not a number (NaN)" if isinstance(value, float) and math.isnan(value) else shown(value)
        return UsageError(f"the model configuration's '{key}' is {told}", f"it must be {wanted}")

    def _absent(self, key: str, default: Any) -> int | None:
        if default == REQUIRED:
            raise self._missing(key)
        if default == DERIVED:
            return None
        self._assume(key, default)
        return int(default)

    def _missing(self, key: str) -> UsageError:
        return UsageError(
            f"the model configuration has no '{key}'", f"a configuration of type '{self._model_type}' needs it"
        )

    def _assume(self, key: str, value: Any) -> None:
        why = f"Hugging Face default for {self._model_type}: the configuration does not say"
        self.facts.append(Fact(name=key, value=shown(value), origin=Origin.ASSUMED, why=why))
