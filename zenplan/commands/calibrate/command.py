"""``zenplan calibrate``: measure this machine through the framework, and say what a model's step will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.request import request_of, whole
from zenplan.commands.shared.settings import Format, Prices, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zenplan.adapters.settings.settings import Settings
    from zenplan.commands.calibrate.asked import Vary
    from zenplan.commands.calibrate.use_case import Wanted
    from zenplan.domain.hardware.catalogue import Catalogue
    from zenplan.domain.hardware.device import Profile
    from zenplan.domain.measured.calibrated import Calibrations
    from zenplan.plugins import Plugins

_MOST = 1e12
# Options that say nothing where no model is asked about.
_OF_A_MODEL = ("batch", "image_size", "seq_len", "samples", "tokens", "epochs", "usd_per_hour", "workers")


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar)


Backend = Annotated[str | None, _option("--backend", "jax, torch, tensorflow, a plugin's, or all.", "NAME")]
DeviceKind = Annotated[str | None, _option("--device", "cpu or gpu; a GPU where there is one.", "KIND")]
Precision = Annotated[str | None, _option("--precision", "fp32, tf32, bf16 or fp16.", "NAME")]
Threads = Annotated[str | None, _option("--threads", "Of the host; all cores by default.", "COUNT")]
Minutes = Annotated[float, _option("--minutes", "What measuring may take on each backend.", "NUMBER")]
Family = Annotated[str | None, _option("--family", "transformer, convnet, recurrent or all.", "NAME")]
Batch = Annotated[str | None, _option("--batch", "Samples of a step on one device.", "COUNT")]
Vary_ = Annotated[str | None, _option("--vary", "An argument of the builder: depth=1,2,4.", "NAME=LIST")]
Depth = Annotated[str | None, _option("--depth", "The whole model's value of that argument.", "COUNT")]
Compiled = Annotated[
    bool | None, typer.Option("--compiled/--eager", help="By XLA or torch.compile, or not; else as Keras does.")
]
Compare = Annotated[bool, typer.Option("--compare", help="All backends, compiled and not, side by side.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse a machine that is busy, hot or on battery.")]
Workers = Annotated[str | None, _option("--workers", "Also the step of so many that train together.", "COUNT")]
Usd = Annotated[str | None, _option("--usd-per-hour", "What an hour of the device costs.", "USD")]
Count = Annotated[str | None, _option("--samples", "Samples of the data set, as in 1.2M.", "COUNT")]
Tokens = Annotated[str | None, _option("--tokens", "Tokens to train on, as in 300B.", "COUNT")]
Epochs = Annotated[str | None, _option("--epochs", "Passes over that data.", "NUMBER")]


def calibrate(
    model: options.Model = None,
    config: options.Config = None,
    params: options.Params = None,
    keras: options.Keras = None,
    vary: Vary_ = None,
    depth: Depth = None,
    batch: Batch = None,
    image_size: options.ImageSize = None,
    seq_len: options.SeqLen = None,
    backend: Backend = None,
    compare: Compare = False,
    compiled: Compiled = None,
    device: DeviceKind = None,
    precision: Precision = None,
    threads: Threads = None,
    family: Family = None,
    minutes: Minutes = 1.0,
    strict: Strict = False,
    workers: Workers = None,
    samples: Count = None,
    tokens: Tokens = None,
    epochs: Epochs = None,
    usd_per_hour: Usd = None,
    prices: Prices = None,
    output: Format = None,
) -> None:
    """Measure this machine through the framework that trains on it.

    Without a model: operators and small models of three families, for what 'zenplan estimate' says of any model. With
    --model, --config, --params or --keras: that model's own blocks at full width, a few deep, and the whole predicted
    from them. Every step is kept as it is measured; after Ctrl-C, the same command goes on.

    Several: '--workers 2' also predicts the step of two processes of this machine, each with a batch and threads of its
    own, whose gradients PyTorch averages over gloo.

    \b
    Examples:
      zenplan calibrate --minutes 1
      zenplan calibrate --model gpt2 --batch 8
      zenplan calibrate --model gpt2 --batch 4 --workers 2
      zenplan calibrate --keras mine:build --vary depth=1,2,4 --depth 12 --batch 16
    """
    settings = resolved(format=output, precision=precision, prices=prices)
    given = {
        "model": model,
        "config": config,
        "params": params,
        "batch": batch,
        "image_size": image_size,
        "seq_len": seq_len,
        "samples": samples,
        "tokens": tokens,
        "epochs": epochs,
    }
    several = whole(workers, "--workers", _MOST)
    if several is not None:
        backend, device = _together(several, backend, device, compiled, compare)
    how = {
        "device": device,
        "precision": settings["precision"],
        "compiled": _compiled(compiled, compare),
        "strict": strict,
        "threads": whole(threads, "--threads", _MOST),
        "workers": several or 1,
        "minutes": _minutes(minutes),
    }
    wanted = _wanted(settings, given, keras, family, vary, depth, compare, usd_per_hour, several)
    _answer(wanted, backend, how, settings)


def _together(
    workers: int, backend: str | None, device: str | None, compiled: bool | None, compare: bool
) -> tuple[str, str]:
    """The backend and the device of several workers, of which there is one each. Raises UsageError: another is asked for."""
    from zenplan.errors import UsageError

    if workers < 2:
        raise UsageError(f"--workers {workers} are not several", "as in: --workers 2; without it one is measured")
    if compare:
        raise UsageError("--workers does not go with --compare", "several workers run on one backend, torch")
    if backend not in (None, "torch"):
        raise UsageError(f"--workers runs on torch, not on {backend}", "leave --backend out")
    if device not in (None, "cpu"):
        raise UsageError(f"--workers runs on the processor, not on a {device}", "leave --device out")
    if compiled:
        raise UsageError("--workers does not go with --compiled", "its workers step without a compiler")
    return "torch", "cpu"


def _compiled(value: bool | None, compare: bool) -> bool | None:
    from zenplan.errors import UsageError

    if compare and value is not None:
        raise UsageError(
            f"{'--compiled' if value else '--eager'} does not go with --compare", "a comparison is of both"
        )
    return value


def _minutes(value: float) -> float:
    from zenplan.errors import UsageError

    if not 0.0 < value <= 1440.0:
        raise UsageError(f"--minutes must be more than 0 and at most a day, not {value:g}", "as in: --minutes 1")
    return value


def _wanted(
    settings: Settings,
    given: Mapping[str, Any],
    keras: str | None,
    family: str | None,
    vary: str | None,
    depth: str | None,
    compare: bool,
    usd_per_hour: str | None,
    workers: int | None,
) -> Wanted:
    from zenplan.commands.calibrate.use_case import Wanted
    from zenplan.errors import UsageError
    from zenplan.units import parse_usd

    said = [f"--{name}" for name in ("model", "config", "params") if given[name] is not None]
    said += ["--keras"] if keras is not None else []
    if len(said) > 1:
        raise UsageError(f"{' and '.join(said)} contradict", "give one of them")
    if said and family is not None:
        raise UsageError(f"--family does not go with {said[0]}", "it is for a calibration of no model in particular")
    of_model = {**given, "usd_per_hour": usd_per_hour, "workers": workers}
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
    from zenplan.commands.calibrate.asked import Vary
    from zenplan.errors import UsageError

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


def _answer(wanted: Wanted, backend: str | None, how: Mapping[str, Any], settings: Settings) -> None:
    from zenplan.commands.calibrate.how import ALL, engines_of, how_of
    from zenplan.commands.calibrate.report import calibrate_report
    from zenplan.commands.profile.use_case import profile
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue

    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        found, by_index = profile(sheets)
        chosen = how_of(found, **how)
        engines = engines_of(ALL if wanted.compare and backend is None else backend, plugins.engines())
        answer = _measured(wanted, engines, chosen, found, by_index, plugins, sheets, settings)
        say(calibrate_report(answer), settings["format"], plugins)


def _measured(
    wanted: Wanted,
    engines: Any,
    how: Any,
    found: Profile,
    by_index: Mapping[int, Any],
    plugins: Plugins,
    sheets: Catalogue,
    settings: Settings,
) -> Calibrations:
    """Measure, with progress and warnings on stderr."""
    import sys

    from zenplan.adapters.store.store import CalibrationStore
    from zenplan.commands.calibrate.how import gpu_of
    from zenplan.commands.calibrate.use_case import Machine, calibrate
    from zenplan.commands.shared.output import write
    from zenplan.commands.shared.progress import staged
    from zenplan.commands.shared.tables import price_tables

    warned: list[str] = []

    def warn(text: str) -> None:
        if text not in warned:
            warned.append(text)
            write(sys.stderr, f"warning: {text}\n")

    gpu = gpu_of(found) if how.device == "gpu" else None
    tables = price_tables(plugins, sheets, settings["prices"]) if gpu else ()
    machine = Machine(
        profile=found, sheet=by_index.get(gpu.index) if gpu else None, tables=tables, families=plugins.workloads()
    )
    with CalibrationStore.open() as store:
        if store.told:
            warn(store.told)
        try:
            with staged("calibrate") as show:
                return calibrate(wanted, engines, how, machine, store, show, warn)
        except KeyboardInterrupt:
            write(sys.stderr, "what was measured is kept: run it again to go on\n")
            raise
