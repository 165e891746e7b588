"""Flags of ``zenplan calibrate`` into what is wanted, each checked on its own and against the others; and its measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.settings.settings import Settings
from zenplan.adapters.store.store import CalibrationStore
from zenplan.commands.calibrate.asked import Vary
from zenplan.commands.calibrate.data_parallel import BACKENDS
from zenplan.commands.calibrate.how import ALL, engines_of, gpu_of, how_of
from zenplan.commands.calibrate.running import Show
from zenplan.commands.calibrate.use_case import Machine, Wanted, calibrate
from zenplan.commands.profile.use_case import profile
from zenplan.commands.shared.request import request_of, whole
from zenplan.commands.shared.tables import catalogue, price_tables
from zenplan.domain.measured.calibrated import Calibrations
from zenplan.errors import UsageError
from zenplan.plugins import Plugins
from zenplan.units import parse_usd

_MOST: Final = 1e12
# Options that say nothing where no model is asked about.
_OF_A_MODEL = ("batch", "image_size", "seq_len", "samples", "tokens", "epochs", "usd_per_hour", "workers")


def how_flags(
    *,
    device: str | None,
    precision: str | None,
    compiled: bool | None,
    compare: bool,
    strict: bool,
    threads: str | None,
    minutes: float,
    workers: int | None = None,
) -> dict[str, Any]:
    """What ``how_of`` takes beside the profile. Raises UsageError: a flag is no such thing, or two contradict."""
    if compare and compiled is not None:
        flag = "--compiled" if compiled else "--eager"
        raise UsageError(f"{flag} does not go with --compare", "a comparison is of both")
    count = whole(threads, "--threads", _MOST)
    if not 0.0 < minutes <= 1440.0:
        raise UsageError(f"--minutes must be more than 0 and at most a day, not {minutes:g}", "as in: --minutes 1")
    return {
        "device": device,
        "precision": precision,
        "compiled": compiled,
        "strict": strict,
        "threads": count,
        "minutes": minutes,
        "workers": workers or 1,
    }


def workers_of(
    workers: str | None, backend: str | None, compiled: bool | None, compare: bool
) -> tuple[int | None, str | None]:
    """How many workers, None for one; and the backend, of which several have one.

    Raises:
        UsageError: several do not go with another flag.
    """
    count = whole(workers, "--workers", _MOST)
    if count is None:
        return None, backend
    if count < 2:
        raise UsageError(f"--workers {count} are not several", "as in: --workers 2; without it one is measured")
    if compare:
        raise UsageError("--workers does not go with --compare", "several workers run on one backend")
    if backend not in (None, *BACKENDS):
        raise UsageError(f"--workers runs on {' or '.join(BACKENDS)}, not on {backend}", "leave --backend out")
    chosen = backend or BACKENDS[0]
    if compiled is not None and compiled != (chosen == "jax"):
        flag, how = ("--compiled", "without a compiler") if compiled else ("--eager", "compiled")
        raise UsageError(f"--workers does not go with {flag}", f"workers of {chosen} step {how}")
    return count, chosen


def wanted_of(
    settings: Settings,
    given: Mapping[str, Any],
    keras: str | None,
    family: str | None,
    vary: str | None,
    depth: str | None,
    compare: bool,
    usd_per_hour: str | None,
) -> Wanted:
    """What is to be measured.

    Args:
        given: flags of the request, as texts, None where not given.
        keras, family, vary, depth, compare, usd_per_hour: the other flags.

    Raises:
        UsageError: a flag is no such thing, or two contradict.
    """
    said = [f"--{name}" for name in ("model", "config", "params") if given[name] is not None]
    said += ["--keras"] if keras is not None else []
    if len(said) > 1:
        raise UsageError(f"{' and '.join(said)} contradict", "give one of them")
    if said and family is not None:
        raise UsageError(f"--family does not go with {said[0]}", "it is for a calibration of no model in particular")
    of_model = {**given, "usd_per_hour": usd_per_hour}
    alone = [f"--{name.replace('_', '-')}" for name in _OF_A_MODEL if of_model[name] is not None]
    if alone and not said:
        raise UsageError(f"{alone[0]} is of a model, and none was given", "as in: --model gpt2 --batch 8")
    if depth is not None and keras is None:
        raise UsageError("--depth is for --keras", "it goes with --vary, as in: --vary depth=1,2,4 --depth 12")
    return Wanted(
        request=request_of(settings, **given),
        keras=keras,
        family=family or "all",
        compare=compare,
        vary=_vary(vary),
        depth=whole(depth, "--depth", _MOST),
        usd_per_h=None if usd_per_hour is None else parse_usd(usd_per_hour, "--usd-per-hour"),
    )


def _vary(text: str | None) -> Vary | None:
    """``depth=1,2,4``: the argument, and its values."""
    if text is None:
        return None
    name, _, values = text.partition("=")
    parts = [part.strip() for part in values.split(",")]
    if not name.strip().isidentifier() or not all(p.isascii() and p.isdigit() and 0 < int(p) < 1e6 for p in parts):
        raise UsageError(f"--vary must be an argument and its values, not '{text}'", "as in: --vary depth=1,2,4")
    depths = tuple(sorted({int(part) for part in parts}))
    if len(depths) < 2:
        raise UsageError("--vary needs two depths or more", "as in: --vary depth=1,2,4")
    return Vary(argument=name.strip(), depths=depths)


def measured(
    wanted: Wanted,
    backend: str | None,
    how: Mapping[str, Any],
    prices: Path | None,
    plugins: Plugins,
    show: Show,
    warn: Callable[[str], None],
) -> Calibrations:
    """Measure this machine, on the engines that plugins give; samples go to the user's store.

    Args:
        backend: one by its name, ``all``, or None for the usual one.
        how: as of ``how_flags``.
        prices: the user's own table.
        show, warn: as of ``use_case.calibrate``.

    Raises:
        UsageError: what was asked for is not possible.
        ZenplanError: nothing at all was measured.
    """
    sheets = catalogue(plugins)
    found, by_index, _ = profile(sheets)
    chosen = how_of(found, **how)
    engines = engines_of(ALL if wanted.compare and backend is None else backend, plugins.engines())
    gpu = gpu_of(found) if chosen.device == "gpu" else None
    tables = price_tables(plugins, sheets, prices) if gpu else ()
    sheet = by_index.get(gpu.index) if gpu else None
    machine = Machine(profile=found, sheet=sheet, tables=tables, families=plugins.workloads())
    with CalibrationStore.open() as store:
        if store.warning:
            warn(store.warning)
        return calibrate(wanted, engines, chosen, machine, store, show, warn)
