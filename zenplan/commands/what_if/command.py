"""``zenplan what-if``: the recommended plan with something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.options import FLAGS
from zenplan.commands.shared.settings import Format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zenplan.domain.training.request import Request


# Prices are between a hundredth and a hundred times what they are.
_LEAST_PRICE, _MOST_PRICE = 0.01, 100.0


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar, rich_help_panel="Changes")


@options.takes(*options.RUN, several=True)
def what_if(
    price: Annotated[list[str] | None, _option("--price", "All prices, as in -10% or x2.", "CHANGE")] = None,
    mfu: Annotated[list[str] | None, _option("--mfu", "MFU, as in 0.35, 35% or -10%.", "CHANGE")] = None,
    no_calibrations: options.NoCalibrations = False,
    request: options.RequestFile = None,
    output: Format = None,
    **given: Any,
) -> None:
    """Show the recommended plan beside the same with something changed.

    A value with a sign and a percentage, or x2, is a change: --tokens +50%, --price -10%. All other values are the
    question, as for 'estimate', so a flag can come twice: --tokens 2B --tokens +50%. Without any change, every input is
    shown by how far it moves the plan.

    \b
    Examples:
      zenplan what-if --params 1e9 --price -10% --tokens +50% --mfu 0.35
      zenplan what-if --model resnet50 --samples 1M --epochs x2 --batch x4
      zenplan what-if --params 7B --gpu H100 --gpus 64
    """
    from zenplan.commands.shared.request_file import lines_named, with_request

    base, changes = _parted(given)
    factors = _factors(changes)
    with lines_named(request, base):
        base = with_request(request, base)
        _answer(output, base, changes, factors, _one("--price", price), _one("--mfu", mfu), not no_calibrations)


def _answer(
    output: str | None,
    base: Mapping[str, Any],
    changes: Mapping[str, str],
    factors: Mapping[str, float],
    price: str | None,
    mfu: str | None,
    calibrated: bool,
) -> None:
    from zenplan.commands.estimate.use_case import estimate
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins, say, warned
    from zenplan.commands.shared.request import asked
    from zenplan.commands.what_if.report import sensitivity_report, what_if_report
    from zenplan.commands.what_if.use_case import Speed, changed_flags, what_if

    with loaded_plugins() as plugins:
        settings, request = asked(output, base)
        world = known(
            plugins, settings["prices"], warned if calibrated else None, settings["fresh"], settings["operations"]
        )
        before = estimate(request, world)
        told = before.recommended.quote.estimate.mfu
        speed = Speed(price=_price(price), mfu=_mfu(mfu, told))
        if not factors and speed == Speed():
            say(sensitivity_report(before), settings["format"], plugins)
            return

        def changed(some: Mapping[str, float]) -> Request:
            return asked(output, {**base, **changed_flags(before, some)})[1]

        each = {f"{FLAGS[name].flag} {changes[name]}": changed({name: factor}) for name, factor in factors.items()}
        together = changed(factors) if factors else request
        say(what_if_report(what_if(before, world, each, together, speed)), settings["format"], plugins)


def _parted(given: Mapping[str, Sequence[Any] | None]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that are the question, and those that are changes. Raises UsageError: two of one kind for a flag."""
    from zenplan.commands.what_if.use_case import factor_of
    from zenplan.errors import UsageError

    base: dict[str, Any] = dict.fromkeys(given)
    changes: dict[str, str] = {}
    for name, values in given.items():
        for value in values or ():
            flag = FLAGS[name].flag
            relative = isinstance(value, str) and factor_of(value, flag) is not None
            if changes.get(name) if relative else base[name] is not None:
                what = "changes" if relative else "values"
                raise UsageError(f"{flag} has two {what}", "'zenplan compare' takes several; here one, and one change")
            if relative:
                changes[name] = value
            else:
                base[name] = value
    return base, changes


def _one(flag: str, values: Sequence[str] | None) -> str | None:
    """The one value of a flag, None without any. Raises UsageError: there are several."""
    from zenplan.errors import UsageError

    if values and len(values) > 1:
        raise UsageError(f"{flag} has {len(values)} values", "give one")
    return values[0] if values else None


def _factors(changes: Mapping[str, str]) -> dict[str, float]:
    """What each change multiplies with. Raises UsageError: of a flag that has no amount."""
    from zenplan.commands.what_if.use_case import RELATIVE, factor_of
    from zenplan.errors import UsageError

    for name, text in changes.items():
        if name not in RELATIVE:
            raise UsageError(
                f"{FLAGS[name].flag} {text}: no such change is known",
                f"changes are of --price, --mfu, {', '.join(FLAGS[each].flag for each in RELATIVE)}",
            )
    factors = {name: factor_of(text, FLAGS[name].flag) for name, text in changes.items()}
    return {name: factor for name, factor in factors.items() if factor is not None}


def _price(text: str | None) -> float | None:
    """What prices are multiplied with. Raises UsageError: it is no change."""
    from zenplan.commands.what_if.use_case import factor_of
    from zenplan.errors import UsageError

    factor = None if text is None else factor_of(text, "--price")
    if text is not None and factor is None:
        raise UsageError(f"--price {text} is no change", "as in: --price -10%; --prices takes a table of your own")
    if factor is not None and not _LEAST_PRICE <= factor <= _MOST_PRICE:
        raise UsageError(f"--price {text} is no price that anybody asks", "as in: --price -10%, --price x2")
    return factor


def _mfu(text: str | None, now: float) -> float | None:
    """What the MFU is multiplied with, given as a change or as it would be. Raises UsageError: it is neither."""
    from zenplan.commands.what_if.use_case import factor_of
    from zenplan.units import parse_share

    if text is None:
        return None
    factor = factor_of(text, "--mfu")
    return parse_share(text, "--mfu") / now if factor is None else factor
