"""What a plan has to keep: the rules of a policy file and of ``--fail-over``, and which of them a comparison breaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.toml_file import TomlFile, read_toml_file
from zenplan.commands.diff.comparison import Comparison, Figure
from zenplan.errors import UsageError, shown

_HINT: Final = "a policy is TOML, a rule a line, as in: max_usd = 5000"
# Which end of a range is held against a limit, and what becomes of a rule that cannot be checked.
_ENDS: Final = ("mid", "high")
_UNKNOWN: Final = ("fail", "pass")
_PERCENT_LIMIT: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much more is let through: a share of the old figure, or an amount in its unit."""

    text: str
    share: float | None = None
    amount: float | None = None

    def of(self, figure: Figure) -> float | None:
        """The most that the new figure may be more; None where the old one is not known."""
        if self.share is None:
            return self.amount
        return None if figure.old is None else self.share * figure.old.mid


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that is not kept.

    Attributes:
        rule: its key in the file, or the flag.
        limit: as it was given.
        message: what was found, in words.
        known: whether it is broken; False where it cannot be checked.
    """

    rule: str
    limit: str
    message: str
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Rules by their keys, each with what was given for it.

    Attributes:
        end: which end of a range a limit holds for: ``mid`` or ``high``.
        unknown: whether a rule that cannot be checked is broken: ``fail`` or ``pass``.
    """

    rules: Mapping[str, Any] = field(default_factory=dict)
    end: str = "mid"
    unknown: str = "fail"

    def findings(self, comparison: Comparison, today: date) -> tuple[Finding, ...]:
        """Every rule that is broken, or cannot be checked, in the order of the file."""
        return tuple(
            found for rule, limit in self.rules.items() for found in _check(self, rule, limit, comparison, today)
        )

    def broken(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Those for which the answer is no."""
        return tuple(each for each in findings if each.known or self.unknown == "fail")


# --- what may be given for a rule: each takes the value and returns what is held, or raises UsageError


def _amount(value: Any) -> float:
    if isinstance(value, str):
        return units.parse_usd(value, "it")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise UsageError(f"must be a number of zero or above, not {shown(value)}")
    return float(value)


def _limit(value: Any) -> Limit:
    if isinstance(value, str):
        return parse_limit(value, units.parse_usd)
    return Limit(text=f"{_amount(value):,g}", amount=_amount(value))


def _days_limit(value: Any) -> Limit:
    if isinstance(value, str):
        return parse_limit(value, _days)
    return Limit(text=f"{_amount(value):g} d", amount=_amount(value) * units.DAY_S)


def _names(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n.strip() for n in names):
        raise UsageError(f"must be a list of names, not {shown(value)}", 'write it as in: ["aws", "gcp"]')
    return tuple(names)


def _days(text: str, what: str) -> float:
    """Seconds of ``2``, which are days, or of ``36h``."""
    return units.parse_duration_s(f"{text.strip()}d" if units.number_of(text) is not None else text, what)


def parse_limit(text: str, parse: Callable[[str, str], float], what: str = "it") -> Limit:
    """The most that something may grow by: ``10%`` of it, or an amount; zero lets nothing through.

    Raises:
        UsageError: it is neither.
    """
    plain = text.strip()
    number = units.number_of(plain.removesuffix("%"))
    if plain.endswith("%"):
        if number is None or not 0 <= number <= _PERCENT_LIMIT:
            raise UsageError(f"{what} is no percentage: '{text}'", "write it as in: 10%")
        return Limit(text=plain, share=number / 100)
    return Limit(text=plain, amount=0.0 if number == 0 else parse(plain, what))


def rules_of(path: str | os.PathLike[str] | None, usd: str | None, days: str | None) -> Policy:
    """The rules of a file, if there is one, and of ``--fail-over`` and ``--fail-over-days``. Raises as ``read_policy``."""
    policy = read_policy(path) if path is not None else Policy()
    flags = {}
    if usd is not None:
        flags["--fail-over"] = parse_limit(usd, units.parse_usd, "--fail-over")
    if days is not None:
        flags["--fail-over-days"] = parse_limit(days, _days, "--fail-over-days")
    return replace(policy, rules={**policy.rules, **flags})


# --- the rules

# Those that hold a figure of the new plan against a number: the figure, and how many of its unit one of the rule is.
_MOST: Final = {
    "max_usd": ("total_usd", 1.0),
    "max_days": ("wall_clock_s", units.DAY_S),
    "max_gpu_hours": ("gpu_hours", 1.0),
    "max_kwh": ("kwh", 1.0),
    "max_kg_co2e": ("co2e_kg", 1.0),
    "max_gpus": ("devices", 1.0),
    "max_usd_per_hour": ("usd_per_h", 1.0),
}
# Those that hold its growth: the figure, and what is parsed of the value.
_GROWTH: Final[dict[str, tuple[str, Callable[[Any], Limit]]]] = {
    "max_usd_increase": ("total_usd", _limit),
    "max_days_increase": ("wall_clock_s", _days_limit),
}
_ALLOWED: Final = ("allowed_providers", "allowed_regions", "allowed_gpus", "allowed_billing")
_AGE: Final = "max_price_age_days"
_FLAGS: Final = {"--fail-over": "total_usd", "--fail-over-days": "wall_clock_s"}
RULES: Final = (*_MOST, *_GROWTH, *_ALLOWED, _AGE)


def read_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in a TOML file.

    Raises:
        UsageError: a key that is no rule, or a value that it cannot have; the message names the line.
        InputFileError: the file cannot be read.
    """
    file = read_toml_file(path, os.fspath(path), _HINT)
    rules: dict[str, Any] = {}
    options = {"end": "mid", "unknown": "fail"}
    for key, value in file.values.items():
        name = key.replace("-", "_")
        if name in rules:
            raise UsageError(f"{file.at(key)}: {name} is there already", "keep one of the two")
        try:
            if name in options:
                options[name] = _one_of(value, _ENDS if name == "end" else _UNKNOWN)
            elif name in RULES:
                rules[name] = _held(name, value)
            else:
                raise file.unknown((key,), (*RULES, *options), "rule")
        except UsageError as error:
            raise _in_line(file, key, error) from error
    if not rules:
        raise UsageError(f"{file.name} has no rule", f"rules: {', '.join(RULES)}")
    return Policy(rules=rules, **options)


def _in_line(file: TomlFile, key: str, error: UsageError) -> UsageError:
    if error.message.startswith(file.name):
        return error
    return UsageError(f"{file.at(key)}: {key} {error.message.removeprefix('it ')}", error.hint or _HINT)


def _one_of(value: Any, names: tuple[str, ...]) -> str:
    if value not in names:
        raise UsageError(f"must be {' or '.join(names)}, not {shown(value)}")
    return str(value)


def _held(name: str, value: Any) -> Any:
    if name in _GROWTH:
        return _GROWTH[name][1](value)
    if name == "max_days" and isinstance(value, str):
        return _days(value, "it") / units.DAY_S
    return _names(value) if name in _ALLOWED else _amount(value)


def _check(policy: Policy, rule: str, limit: Any, comparison: Comparison, today: date) -> Iterator[Finding]:
    if rule in _MOST:
        yield from _at_most(policy, rule, limit, comparison)
    elif isinstance(limit, Limit):
        name = _FLAGS[rule] if rule in _FLAGS else _GROWTH[rule][0]
        yield from _growth(rule, limit, comparison.figure(name))
    elif rule == _AGE:
        yield from _age(limit, comparison, today)
    else:
        yield from _allowed(rule, limit, comparison)


def _at_most(policy: Policy, rule: str, limit: float, comparison: Comparison) -> Iterator[Finding]:
    name, unit = _MOST[rule]
    figure = comparison.figure(name)
    said = f"{limit:,g}"
    if figure.new is None:
        yield Finding(rule=rule, limit=said, message=f"{figure.what} not known", known=False)
        return
    value = figure.new.high if policy.end == "high" else figure.new.mid
    if value > limit * unit:
        end = " at its high end" if policy.end == "high" else ""
        yield Finding(rule=rule, limit=said, message=f"{figure.what} {show(figure.name, value)}{end}")


def _growth(rule: str, limit: Limit, figure: Figure) -> Iterator[Finding]:
    most = limit.of(figure)
    if most is None or figure.change is None:
        yield Finding(rule=rule, limit=limit.text, message=f"how {figure.what} changed is not known", known=False)
    elif figure.change > most and figure.changed:
        share = "" if figure.ratio is None else f" ({signed_percent(figure.ratio)})"
        yield Finding(rule=rule, limit=limit.text, message=f"{figure.what} +{show(figure.name, figure.change)}{share}")


def _age(limit: float, comparison: Comparison, today: date) -> Iterator[Finding]:
    price = comparison.new.price
    said = f"{limit:,g} d"
    if price is None or price.as_of is None:
        what = "no price" if price is None else "its price has no date"
        yield Finding(rule=_AGE, limit=said, message=what, known=False)
    elif (days := (today - date.fromisoformat(price.as_of)).days) > limit:
        yield Finding(rule=_AGE, limit=said, message=f"its price is of {price.as_of}, {days:,} days ago")


def _allowed(rule: str, names: tuple[str, ...], comparison: Comparison) -> Iterator[Finding]:
    quote = comparison.new.quote
    value = {
        "allowed_providers": quote.provider,
        "allowed_regions": quote.region,
        "allowed_gpus": quote.accelerator,
        "allowed_billing": str(comparison.new.document.billing),
    }[rule]
    said = ", ".join(names)
    if rule == "allowed_regions" and value == "any":
        message = f"{quote.provider} does not say in which region {quote.instance} is"
        yield Finding(rule=rule, limit=said, message=message, known=False)
    elif not any(fnmatchcase(value.lower(), name.strip().lower()) for name in names):
        yield Finding(rule=rule, limit=said, message=f"the recommended plan has {value}")


# --- how a figure is shown


def show(name: str, value: float) -> str:
    """The value of a figure for people."""
    by_name: dict[str, Callable[[float], str]] = {
        "total_usd": units.usd,
        "wall_clock_s": units.duration,
        "run_usd": units.usd,
        "run_wall_clock_s": units.duration,
        "gpu_hours": lambda hours: f"{units.count(hours)} GPU-h",
        "kwh": lambda kwh: f"{units.count(kwh)} kWh",
        "co2e_kg": lambda kg: f"{units.count(kg)} kg",
        "memory_bytes": units.size,
        "devices": lambda devices: f"{devices:,.0f}",
        "usd_per_h": lambda usd: f"{units.usd(usd)}/h",
    }
    return by_name[name](value)


def signed_percent(ratio: float) -> str:
    """A change as a percentage, with its sign."""
    return f"{'+' if ratio >= 0 else '−'}{units.percent(abs(ratio))}"
