"""How runs are operated, as people write it: ``pue=1.1,startup=5min``, or a table of ``zenplan.toml``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from zenplan import units
from zenplan.domain.training.operations import Operations
from zenplan.errors import DataError, UsageError, nearest

# Between the low, the middle and the high of a figure.
_BETWEEN: Final = ":"
_G_PER_KG: Final = 1000.0


def _or_zero(parse: Callable[[str, str], float]) -> Callable[[str, str], float]:
    usual = units.or_zero(parse)
    return lambda text, what: 0.0 if text.strip() in ("0s", "0min") else usual(text, what)


def _number(text: str, what: str) -> float:
    value = units.number_of(text)
    if value is None or not 0.0 <= value < 1e15:
        raise UsageError(f"{what} must be a number, not '{text}'", f"as in: {what} = 1.2")
    return value


def _whole(text: str, what: str) -> float:
    return float(units.parse_whole(text, what, 1e6, 3))


def _of_an_hour(text: str, what: str) -> float:
    return _or_zero(units.parse_share)(text, what) / units.HOUR_S


def _grid(text: str, what: str) -> float:
    return _number(text, what) / _G_PER_KG / units.KWH_J


def _three(parse: Callable[[str, str], float]) -> Callable[[str, str], Any]:
    def parsed(text: str, what: str) -> tuple[float, ...]:
        found = tuple(parse(each, what) for each in text.split(_BETWEEN))
        if len(found) == 1:
            return found * 3
        if len(found) != 3:
            raise UsageError(f"{what} has {len(found)} figures, not one or three", f"as in: {what} = 0.6:0.8:1")
        return found

    return parsed


_duration = _or_zero(units.parse_duration_s)
_share = _or_zero(units.parse_share)
# Name to field of ``Operations``, how a value is read, and what it is for people.
KEYS: Final[Mapping[str, tuple[str, Callable[[str, str], Any], str]]] = {
    "startup": ("startup_s", _duration, "from the first billed second to the first step, as in 5min"),
    "restart": ("restart_s", _duration, "from an interruption to the next step"),
    "replace": ("replace_s", _duration, "to get another spot machine"),
    "device_mtbf": ("device_mtbf_s", units.parse_duration_s, "between two failures of one device, as in 50000h"),
    "preemption": (
        "preemptions_per_node_s",
        _three(_of_an_hour),
        "chance in an hour that a spot machine is taken, as in 0.2%",
    ),
    "checkpoint_speed": ("checkpoint_bytes_per_s", units.parse_bytes, "what a machine writes in a second, as in 1GB"),
    "checkpoints_kept": ("kept_checkpoints", _whole, "how many are stored at a time"),
    "evaluation": ("evaluation_share", _share, "of the steps' time, as in 1%"),
    "production": ("production", _three(_number), "a whole run over its steps, as in 1:1.44:2.07"),
    "production_half_devices": ("production_half_devices", _number, "so many devices have half of it"),
    "production_half": ("production_half_s", units.parse_duration_s, "so long a run has half of it"),
    "power_share": ("power_share", _three(_share), "of the power limit while training, as in 0.6:0.8:1"),
    "idle_power_share": ("idle_power_share", _share, "of the limit, by a device that stands by"),
    "host_power": ("host_w", _or_zero(units.parse_power_w), "watts of the host for each device"),
    "pue": ("pue", _number, "of a data centre that publishes none, as in 1.2"),
    "grid": ("grid_kg_per_j", _grid, "grams of CO2e for a kWh of your electricity, as in 50"),
    "disk": ("disk_bytes", _or_zero(units.parse_bytes), "of each machine, as in 200GB"),
}


def parse_operations(value: object) -> str:
    """What was given, as one text that ``operations_of`` reads.

    Args:
        value: a text, or a mapping of names to values, as the table of a file.

    Raises:
        UsageError: a name is unknown, or a value cannot be used.
    """
    if isinstance(value, Mapping):
        value = units.pairs(value)
    if not isinstance(value, str) or not value.strip():
        raise UsageError("must be a table of names and values", "write it as in: pue = 1.1")
    operations_of(value)
    return value


def operations_of(text: str | None) -> Operations:
    """The operations that a text gives; what it does not name is as assumed.

    Raises:
        UsageError: a name is unknown or comes twice, or a value cannot be used.
    """
    if text is None:
        return Operations()
    found: dict[str, Any] = {}
    for pair in text.split(","):
        key, between, value = pair.partition("=")
        name = key.strip().replace("-", "_")
        if name not in KEYS:
            near = nearest(name, KEYS)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(KEYS)}"
            raise UsageError(f"has no '{name[:60]}'", hint)
        field, parse, what = KEYS[name]
        if not between or not value.strip():
            raise UsageError(f"has no value of {name}", f"{name}: {what}")
        if field in found:
            raise UsageError(f"has {name} twice", "keep one of the two")
        try:
            found[field] = parse(value.strip(), name)
        except UsageError as error:
            raise UsageError(f"cannot be used: {error.message}", error.hint or f"{name}: {what}") from error
    if "kept_checkpoints" in found:
        found["kept_checkpoints"] = int(found["kept_checkpoints"])
    try:
        return Operations(**found, given=tuple(found))
    except DataError as error:
        raise UsageError(f"cannot be used: {error.message}", error.hint) from error
