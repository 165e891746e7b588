"""What was asked of a launch: its flags, each in its units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from zenplan import units
from zenplan.domain.launch.job import NAME
from zenplan.errors import UsageError

_MOST_HOURS: Final = 1e6
# Options that may be given several times, for as many values.
_LISTS: Final = ("node-selector", "toleration", "pull-secret")


def _name(text: str, what: str) -> str:
    if not NAME.fullmatch(text):
        raise UsageError(f"{what} is '{text}'", "small letters, digits and hyphens, a letter first, 40 at most")
    return text


def _whole(most: float, example: str) -> Callable[[str, str], int]:
    return lambda text, what: units.parse_whole(text, what, most, example)


_PARSE: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "name": _name,
    "retries": units.or_zero(_whole(1e3, "3")),
    "nodes": _whole(1e5, "2"),
    "gpus_per_node": _whole(1e3, "8"),
    "max_usd": units.parse_usd,
    "usd_per_hour": units.or_zero(units.parse_usd),
    "max_hours": lambda text, what: units.parse_hours(text, what, _MOST_HOURS),
    "port": _whole(65_535, "29500"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """As of ``zenplan launch``, whose help says what each is."""

    FLAGS: ClassVar[tuple[str, ...]] = (
        *("plan", "on", "out", "overwrite", "train", "data", "name", "run_folder", "spot", "retries", "nodes"),
        *("gpus_per_node", "gpu", "max_usd", "max_hours", "shared", "volume", "accelerator", "image", "venv", "port"),
        *("package", "usd_per_hour"),
    )

    plan: Path
    on: str
    out: Path | None = None
    overwrite: bool = False
    train: Path | None = None
    data: str | None = None
    name: str | None = None
    run_folder: str | None = None
    spot: bool | None = None
    retries: int | None = None
    nodes: int | None = None
    gpus_per_node: int | None = None
    gpu: str | None = None
    max_usd: float | None = None
    max_hours: float | None = None
    shared: str | None = None
    volume: str | None = None
    accelerator: str | None = None
    image: str | None = None
    venv: str | None = None
    port: int | None = None
    package: str | None = None
    usd_per_hour: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any], env: tuple[str, ...], options: tuple[str, ...]) -> Asked:
        """Of texts. Raises UsageError: one cannot be what was given."""
        for name, value in given.items():
            # As of a variable of the shell that is not set: without the flag it would be another job.
            if isinstance(value, str) and not value.strip():
                raise UsageError(f"--{name.replace('_', '-')} is empty", "give what it says, or leave it out")
        if given.get("venv") and not given["venv"].startswith("/"):
            raise UsageError(f"--venv {given['venv']} is no folder that every node finds", "an absolute path")
        values = {
            name: _PARSE[name](value, f"--{name.replace('_', '-')}") if name in _PARSE and value is not None else value
            for name, value in given.items()
        }
        return cls(**values, environment=_pairs(env, "--env"), options=_pairs(options, "--option"))


def _pairs(texts: tuple[str, ...], flag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"{flag} {text} is none", f"write it as in: {flag} NAME=VALUE")
        if name in found and name in _LISTS:
            found[name] += f",{value}"
            continue
        if name in found:
            raise UsageError(f"{flag} {name} was given twice", "give one")
        found[name] = value
    return found
