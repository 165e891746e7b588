"""Settings: from flags, then ZENPLAN_… variables, the project's file, the user's file, and defaults.

The project's file is the nearest ``zenplan.toml``, or ``[tool.zenplan]`` of a ``pyproject.toml``, from the
current folder upwards; the user's is ``config.toml`` in the configuration folder of the platform.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.regular_file import decoded, read_text
from zenplan.adapters.settings.operations import parse_operations
from zenplan.domain.market.offer import Billing
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software
from zenplan.domain.training.plan import OPTIMIZERS
from zenplan.domain.training.stack import STACKS
from zenplan.errors import InputFileError, UsageError, nearest

# --- files

PROJECT_FILE: Final = "zenplan.toml"
PYPROJECT: Final = "pyproject.toml"
MOST_BYTES: Final = int(units.MB)
_HINT: Final = 'settings are TOML, one "key = value" a line, as in: gpu = "H100-SXM5-80GB"'


def project_settings(cwd: Path, home: Path | None) -> tuple[Path, Mapping[str, Any]] | None:
    """The nearest project file and its settings, looking in ``cwd`` and upwards as far as ``home``.

    In one folder ``zenplan.toml`` comes before the ``[tool.zenplan]`` of ``pyproject.toml``.

    Raises:
        InputFileError: the nearest one cannot be used.
    """
    for folder in _upwards(cwd, home):
        own, shared = folder / PROJECT_FILE, folder / PYPROJECT
        if _is_there(own):
            return own, read_toml(own)
        if _is_there(shared) and (found := _of_pyproject(shared)) is not None:
            return shared, found
    return None


def user_settings(path: Path) -> Mapping[str, Any] | None:
    """The settings of the user's own file, or None where there is no such file. Raises InputFileError."""
    return read_toml(path) if _is_there(path) else None


def read_toml(path: Path) -> Mapping[str, Any]:
    """The decoded file.

    Raises:
        InputFileError: it cannot be read, is no regular file, larger than 1 MB, or not TOML in UTF-8.
    """
    return _decoded(path, read_text(path, str(path), MOST_BYTES, _HINT))


def _upwards(cwd: Path, home: Path | None) -> Iterator[Path]:
    for folder in (cwd, *cwd.parents):
        yield folder
        if folder == home:
            return


def _is_there(path: Path) -> bool:
    """Whether something has that name, a broken link included; not where we may not look."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def _of_pyproject(path: Path) -> Mapping[str, Any] | None:
    """The file's ``[tool.zenplan]``. A file that does not mention zenplan may be as it likes."""
    try:
        content = read_text(path, str(path), MOST_BYTES, _HINT)
    except InputFileError:
        # Not ours, and nothing says that it has anything for us.
        return None
    if "zenplan" not in content:
        return None
    tool = _decoded(path, content).get("tool")
    found = tool.get("zenplan") if isinstance(tool, dict) else None
    if found is not None and not isinstance(found, dict):
        raise InputFileError(f"tool.zenplan in {path} is no table", "write it as [tool.zenplan]")
    return found


def _decoded(path: Path, content: str) -> dict[str, Any]:
    import tomllib

    return decoded(content, tomllib.loads, str(path), "TOML", _HINT)


DEFAULT: Final = "default"
_MOST_LETTERS: Final = 1000
_MOST_SHOWN: Final = 60
_LARGE: Final = 10**60
# 8-64, 8..64, 8 to 64, 8,16,64.
_SEVERAL: Final = r"\d{1,7}(?:\s*(?:-|–|:|to|\.{2,3}|,|/| )\s*\d{1,7})+"

# --- what a value may be: each takes what was given and returns what is used, or raises UsageError


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError("must be a text", 'write it in quotes, as in: gpu = "H100-SXM5-80GB"')
    if not value.strip() or not value.isprintable() or len(value) > _MOST_LETTERS:
        raise UsageError("must be a text of one line with something in it")
    return value.strip()


def _names(value: object) -> tuple[str, ...]:
    """Several names: a text with commas, or a list of such. Each is kept once."""
    texts = value if isinstance(value, list | tuple) else (value,)
    names = [name.strip() for text in texts for name in _text(text).split(",")]
    if not names or not all(names):
        raise UsageError("must be names with commas between them", 'write them as in: provider = ["aws", "gcp"]')
    return tuple(dict.fromkeys(names))


def _each_of(*allowed: str) -> Callable[[object], tuple[str, ...]]:
    one = _one_of(*allowed)
    return lambda value: tuple(one(name) for name in _names(value))


def _age(value: object) -> str:
    text = _text(value)
    try:
        units.parse_duration_s(text)
    except UsageError as error:
        raise UsageError("must be a time with its unit", error.hint) from error
    return text


def _usd(value: object) -> float:
    number = _number(value.strip().lstrip("$") if isinstance(value, str) else value)
    if number is None or not units.is_amount(number):
        raise UsageError("must be dollars above zero")
    return float(number)


def _path(value: object) -> Path:
    return value if isinstance(value, Path) else Path(_text(value))


def _whole(most: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        number = _number(value)
        if number is None or not 1 <= number <= most or number != int(number):
            hint = units.separator_hint(value) if isinstance(value, str) else ""
            raise UsageError(f"must be a whole number from 1 to {most:,}", hint)
        return int(number)

    return parse


def _devices(value: object) -> int:
    """A number of devices. Several are several plans: which command plans each is in the hint."""
    try:
        return _whole(10**6)(value)
    except UsageError as error:
        several = re.findall(r"\d+", value) if isinstance(value, str) and re.fullmatch(_SEVERAL, value.strip()) else ()
        if not several:
            raise
        each = " ".join(f"--gpus {number}" for number in several)
        raise UsageError(error.message, f"several sizes side by side: zenplan compare {each}") from error


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            return units.parse_count(value)
        except UsageError:
            return None
    # True and False are whole numbers to Python.
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _yes_or_no(value: object) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = known.get(str(value).strip().lower())
    if found is None:
        raise UsageError("must be true or false")
    return found


def _one_of(*names: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        wanted = _text(value)
        for name in names:
            if name == wanted.lower():
                return name
        near = nearest(wanted, names)
        raise UsageError(f"must be one of {', '.join(names)}", f"did you mean {near[0]}?" if near else "")

    return parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting: its name, what it may be, and what it is where nobody says.

    Attributes:
        name: as in a file; the flag has hyphens, the variable capitals.
        parse: the value that is used for one that was given; raises UsageError.
        default: None where it is left to the command.
    """

    name: str
    parse: Callable[[object], Any]
    default: Any = None
    help: str

    @property
    def flag(self) -> str:
        """As in ``--max-gpus``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """As in ``ZENPLAN_MAX_GPUS``."""
        return f"ZENPLAN_{self.name.upper()}"


SETTINGS: Final = {
    setting.name: setting
    for setting in (
        Setting(name="gpu", parse=_names, help="the accelerators to plan for"),
        Setting(name="gpus", parse=_devices, help="how many of them"),
        Setting(name="max_gpus", parse=_whole(10**6), help="the largest cluster to consider"),
        Setting(name="provider", parse=_names, help="whose prices to look at"),
        Setting(name="exclude_provider", parse=_names, help="whose prices not to look at"),
        Setting(
            name="provider_class",
            parse=lambda value: tuple(map(ProviderClass, _each_of(*ProviderClass)(value))),
            help="hyperscaler, cloud or marketplace",
        ),
        Setting(name="region", parse=_names, help="where to rent"),
        Setting(name="max_usd_per_hour", parse=_usd, help="the most a cluster may cost an hour"),
        Setting(name="max_price_age", parse=_age, help="how old a price may be"),
        Setting(
            name="billing",
            parse=lambda value: Billing(_one_of(*Billing)(value)),
            default=Billing.ON_DEMAND,
            help="the price that quotes are ranked by",
        ),
        Setting(name="precision", parse=_one_of(*PRECISIONS), help="the arithmetic of a training step"),
        Setting(name="optimizer", parse=_one_of(*OPTIMIZERS), help="the optimizer"),
        Setting(name="software", parse=_one_of(*STACKS, *Software), help="the software that runs it, or its kind"),
        Setting(name="top", parse=_whole(10**4), default=5, help="how many quotes or layouts to show"),
        Setting(name="format", parse=_text, default="table", help="how an answer is written"),
        Setting(name="prices", parse=_path, help="a price table of your own, in CSV, or a price book, in TOML"),
        Setting(name="fresh", parse=_yes_or_no, default=False, help="whether prices are fetched first"),
        Setting(name="may_replace", parse=_names, help="plugins that may take built-in names"),
        Setting(name="operations", parse=parse_operations, help="how runs are operated: startup, pue, preemption, …"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a setting is, and who said so: ``flag --gpu``, ``ZENPLAN_GPU``, a file's path or ``default``."""

    value: Any
    origin: str

    @property
    def plain(self) -> Any:
        """As a number or a text; several names have commas between them."""
        if isinstance(self.value, tuple):
            return ",".join(self.value)
        return str(self.value) if isinstance(self.value, Path | Billing) else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its value.

    Attributes:
        values: by the name of the setting, in the order of ``SETTINGS``.
        files: the files that were read, the one with more weight first.
    """

    values: Mapping[str, Value]
    files: tuple[Path, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def origin(self, name: str) -> str:
        """Where the value comes from."""
        return self.values[name].origin


def user_config_file() -> Path:
    """Where this user's own settings are, whether or not there is such a file."""
    import platformdirs

    return platformdirs.user_config_path("zenplan", appauthor=False) / "config.toml"


def resolve(
    flags: Mapping[str, object | None], environ: Mapping[str, str], cwd: Path | None, user_file: Path | None
) -> Settings:
    """Every setting, from whoever comes first: flag, variable, project's file, user's file, default.

    A file is checked as a whole, also where a flag overrules it.

    Args:
        flags: by the name of the setting; None where the flag was not given.
        environ: an empty variable counts as none.
        cwd: where the search for the project's file starts; None to read none.
        user_file: see ``user_config_file``; None to read none.

    Raises:
        UsageError: a value that cannot be used, or an unknown key in a file.
        InputFileError: a file that cannot be used.
    """
    layers = [_of_flags(flags), _of_variables(environ)]
    files: list[Path] = []
    for found in (_project(environ, cwd) if cwd else None, _user(user_file)):
        if found:
            files.append(found[0])
            layers.append(_of_file(*found))
    layers.append({s.name: Value(value=s.default, origin=DEFAULT) for s in SETTINGS.values()})
    values = {name: next(layer[name] for layer in layers if name in layer) for name in SETTINGS}
    return Settings(values=values, files=tuple(files))


def _project(environ: Mapping[str, str], cwd: Path) -> tuple[Path, Mapping[str, Any]] | None:
    home = environ.get("HOME", "")
    return project_settings(cwd.absolute(), Path(home) if home else None)


def _user(path: Path | None) -> tuple[Path, Mapping[str, Any]] | None:
    found = user_settings(path) if path else None
    return (path, found) if path and found is not None else None


def _of_flags(flags: Mapping[str, object | None]) -> dict[str, Value]:
    given = {name: value for name, value in flags.items() if value is not None}
    return {name: _value(SETTINGS[name], v, f"flag {SETTINGS[name].flag}") for name, v in given.items()}


def _of_variables(environ: Mapping[str, str]) -> dict[str, Value]:
    given = {name: environ.get(setting.variable, "") for name, setting in SETTINGS.items()}
    return {name: _value(SETTINGS[name], v, SETTINGS[name].variable) for name, v in given.items() if v.strip()}


def _of_file(path: Path, content: Mapping[str, Any]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, given in content.items():
        # Who writes --max-gpus writes max-gpus as well.
        name = key.replace("-", "_")
        if name not in SETTINGS:
            near = nearest(key, SETTINGS)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(SETTINGS)}"
            raise UsageError(f"unknown setting {key!r} in {path}", hint)
        if name in values:
            raise UsageError(f"{name} comes twice in {path}", "keep one of the two")
        values[name] = _value(SETTINGS[name], given, str(path), path.parent)
    return values


def _value(setting: Setting, given: object, origin: str, folder: Path | None = None) -> Value:
    """The value that is used for the one given. A path in a file is one from that file's folder."""
    try:
        value = setting.parse(given)
        if isinstance(value, Path):
            value = value.expanduser()
            value = folder / value if folder else value
    except UsageError as error:
        hint = error.hint or f"{setting.name}: {setting.help}"
        raise UsageError(f"{setting.name} {error.message}, not {_shown(given)} ({origin})", hint) from error
    except RuntimeError as error:
        raise UsageError(f"{setting.name} {given!s} ({origin}): {error}", "write the whole path") from error
    return Value(value=value, origin=origin)


def _shown(given: object) -> str:
    if isinstance(given, list | tuple) and all(isinstance(each, str) for each in given):
        given = ",".join(given)
    # A whole number in hexadecimal may be longer than Python writes in decimal.
    text = hex(given) if isinstance(given, int) and abs(given) > _LARGE else repr(given)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
