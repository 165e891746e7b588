"""The fields of a model configuration, each checked as it is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import InputFileError, shown

REQUIRED = "required"  # no default is used: the size of the model hangs on it
DERIVED = "derived"  # absent or null: it follows from the others

# Beyond these a number is a mistake, and lowering so many layers would take minutes.
MOST_LAYERS = 10_000
MOST_HEADS = 100_000
MOST_WIDTH = 10_000_000
MOST_ENTRIES = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeDefaults:
    """What the reference library takes for a type's absent keys.

    Attributes:
        values: key to value.
        aliases: another name of a key, to the key.
        parts: key of a configuration inside it to the type of that, and to what differs from that type's own values.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)


# Type to its defaults.
Known = Mapping[str, TypeDefaults]


def inner_config(
    config: Mapping[str, Any], model_type: str, key: str, known: Known
) -> tuple[Mapping[str, Any] | None, str, Mapping[str, Any]]:
    """The configuration inside one of ``model_type``, None where there is none; and the type and the values that it has
    there by default.

    Raises:
        InputFileError: it is something else than an object.
    """
    inner = config.get(key)
    if inner is not None and not isinstance(inner, Mapping):
        raise InputFileError(f"the model configuration's '{key}' is {shown(inner)}", "it must be a JSON object")
    return inner, *known.get(model_type, TypeDefaults()).parts.get(key, ("", {}))


class Fields:
    """The fields of one configuration; ``facts`` grows by each default that is used."""

    def __init__(
        self, config: Mapping[str, Any], model_type: str, known: TypeDefaults | None = None, inner: bool = False
    ) -> None:
        """``model_type`` is named in errors and assumptions; ``inner``: it lies in another one, which may leave out
        whatever equals its defaults."""
        self._config = config
        self._known = known or TypeDefaults()
        self._back: dict[str, list[str]] = {}
        for alias, key in self._known.aliases.items():
            self._back.setdefault(key, []).append(alias)
        self.model_type = model_type
        self.inner = inner
        self.facts: list[Fact] = []

    def _names(self, keys: Iterable[str]) -> Iterable[str]:
        for key in keys:
            yield key
            if key in self._known.aliases:
                yield self._known.aliases[key]
            yield from self._back.get(key, ())

    def raw(self, *keys: str) -> Any:
        """The value of the first of the keys that is there and not null, else None."""
        return next((self._config[key] for key in self._names(keys) if self._config.get(key) is not None), None)

    def has(self, *keys: str) -> bool:
        """Whether one of the keys is written at all, be it as null."""
        return any(key in self._config for key in self._names(keys))

    def known(self, *keys: str) -> Any:
        """What the reference library takes for an absent key; None where it says nothing."""
        values = self._known.values
        return next((values[key] for key in self._names(keys) if key in values), None)

    def found(self, *keys: str) -> Any:
        """The value of the configuration, else what the reference library takes, without a word; None for neither."""
        value = self.raw(*keys)
        return self.known(*keys) if value is None else value

    def null(self, *keys: str) -> bool:
        """Whether one of the keys is written, and none has a value."""
        return self.has(*keys) and self.raw(*keys) is None

    def whole(
        self, *keys: str, default: Any = REQUIRED, most: int = MOST_WIDTH, least: int = 1, hard: bool = False
    ) -> int | None:
        """A whole number from ``least`` to ``most``; None where it is absent and to be derived.

        ``hard``: of a configuration that stands alone no default is used.

        Raises:
            InputFileError: absent and required, or something else than such a number.
        """
        value = self.raw(*keys)
        if value is None:
            return self._absent(keys, default, hard and not self.inner)
        if not _is_whole(value, least, most):
            raise self.wrong(keys[0], value, f"a whole number from {least} to {most:,}")
        return value

    def needed(
        self, *keys: str, default: Any = REQUIRED, most: int = MOST_WIDTH, least: int = 1, hard: bool = False
    ) -> int:
        """As ``whole``, of a field that cannot be derived."""
        value = self.whole(*keys, default=default, most=most, least=least, hard=hard)
        if value is None:
            raise self._missing(keys[0])
        return value

    def count(self, *keys: str, default: int = 0, most: int = MOST_ENTRIES) -> int:
        """A whole number from 0, without a word where it is absent: the library's default, else ``default``."""
        value = self.found(*keys)
        if value is None:
            return default
        if not _is_whole(value, 0, most):
            raise self.wrong(keys[0], value, f"a whole number from 0 to {most:,}")
        return value

    def number(self, *keys: str, default: float = 0.0) -> float:
        """A number from 0 to a million, without a word where it is absent."""
        value = self.found(*keys)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
            raise self.wrong(keys[0], value, "a number from 0 to 1,000,000")
        return float(value)

    def flag(self, *keys: str, default: bool = False) -> bool:
        """True or false, without a word where it is absent: the library's default, else ``default``."""
        value = self.found(*keys)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(keys[0], value, "true or false")
        return value

    def switch(self, key: str, default: bool) -> bool:
        """True or false; the default is told."""
        value = self.raw(key)
        if value is None:
            known = self.known(key)
            default = known if isinstance(known, bool) else default
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
            known = self.known(key)
            default = known if isinstance(known, str) else default
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
            raise InputFileError(
                f"the model configuration's '{key}' lists {len(value)} layers of {length}",
                "it has one entry for each layer",
            )
        return value

    def numbers(self, *keys: str, least: int = 1, most: int = MOST_WIDTH, longest: int = 100) -> list[int]:
        """A list of whole numbers, of the configuration or the library's default.

        Raises:
            InputFileError: there is none, or it is something else.
        """
        value = self.found(*keys)
        if value is None:
            raise self._missing(keys[0])
        right = isinstance(value, list | tuple) and 0 < len(value) <= longest
        if not right or not all(_is_whole(v, least, most) for v in value):
            raise self.wrong(keys[0], value, f"a list of whole numbers from {least} to {most:,}")
        return list(value)

    def edge(self, *keys: str, default: int | None = None) -> int:
        """A whole number, or a pair of equal ones of which the first counts: edges of images and patches."""
        value = self.found(*keys)
        if isinstance(value, list | tuple) and value:
            value = value[0]
        if isinstance(value, Mapping):
            value = next(iter(value.values()), None)
        if value is None:
            value = default
        if value is None:
            raise self._missing(keys[0])
        if not _is_whole(value, 1, MOST_HEADS):
            raise self.wrong(keys[0], value, f"a whole number from 1 to {MOST_HEADS:,}")
        return value

    def wrong(self, key: str, value: Any, wanted: str) -> InputFileError:
        """The error for a value that is not what its key holds."""
        text = "not a number (NaN)" if isinstance(value, float) and math.isnan(value) else shown(value)
        return InputFileError(f"the model configuration's '{key}' is {text}", f"it must be {wanted}")

    def _absent(self, keys: tuple[str, ...], default: Any, hard: bool) -> int | None:
        key = keys[0]
        if default == DERIVED:
            return None
        known = self.known(*keys)
        if isinstance(known, int) and not isinstance(known, bool) and not hard:
            default = known
        if default == REQUIRED:
            raise self._missing(key)
        self._assume(key, default)
        return int(default)

    def _missing(self, key: str) -> InputFileError:
        return InputFileError(
            f"the model configuration has no '{key}'", f"a configuration of type '{self.model_type}' needs it"
        )

    def _assume(self, key: str, value: Any) -> None:
        why = f"Hugging Face default for {self.model_type}: the configuration does not say"
        self.facts.append(Fact(name=key, value=shown(value), origin=Origin.ASSUMED, why=why))


def _is_whole(value: Any, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
