"""``zenplan calibrate``: measure this machine through the framework, and say what a model's step will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.settings import Format, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zenplan.adapters.settings.settings import Settings
    from zenplan.commands.calibrate.use_case import Wanted


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar)


Backend = Annotated[str | None, _option("--backend", "jax, torch, tensorflow, a plugin's, or all.", "NAME")]
DeviceKind = Annotated[str | None, _option("--device", "cpu or gpu; a GPU where there is one.", "KIND")]
Precision = Annotated[str | None, _option("--precision", "fp32, tf32, bf16 or fp16.", "NAME")]
Threads = Annotated[str | None, _option("--threads", "Threads of the host to run on; all cores by default.", "COUNT")]
Minutes = Annotated[float, _option("--minutes", "Minutes that measuring may take on each backend.", "NUMBER")]
Family = Annotated[str | None, _option("--family", "transformer, convnet, recurrent or all.", "NAME")]
Batch = Annotated[str | None, _option("--batch", "Samples of a step on one device.", "COUNT")]
Vary_ = Annotated[str | None, _option("--vary", "An argument of the builder, with values: depth=1,2,4.", "NAME=LIST")]
Depth = Annotated[str | None, _option("--depth", "The whole model's value of that argument.", "COUNT")]
Compiled = Annotated[
    bool | None,
    typer.Option("--compiled/--eager", help="Compiled by XLA or torch.compile, or not; else Keras's choice."),
]
Compare = Annotated[bool, typer.Option("--compare", help="All backends, compiled and not, side by side.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse a machine that is busy, hot or on battery.")]
Workers = Annotated[str | None, _option("--workers", "Also predict the step of this many processes together.", "COUNT")]
Usd = Annotated[str | None, _option("--usd-per-hour", "What an hour of the device costs.", "USD")]


# Of a request, what a calibration of its model needs.
_REQUEST = tuple(
    options.FLAGS[name]
    for name in (
        "model",
        "config",
        "params",
        "keras",
        "image_size",
        "seq_len",
        "samples",
        "tokens",
        "epochs",
        "prices",
    )
)


@options.takes(*_REQUEST)
def calibrate(
    vary: Vary_ = None,
    depth: Depth = None,
    batch: Batch = None,
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
    usd_per_hour: Usd = None,
    output: Format = None,
    **given: Any,
) -> None:
    """Measure this machine through the framework that trains on it.

    Without a model: operators and small models of three families, for what 'zenplan estimate' says of any model. With
    --model, --config, --params or --keras: the whole model where the minutes allow a step of it; else its own blocks at
    full width, a few deep, or parts of the batch, and the whole predicted from what is counted of both. Every step is
    kept as it is measured; after Ctrl-C, the same command goes on.

    Several: '--workers 2' also times two processes of this machine, each with a batch and threads or a GPU of its own,
    and collectives among them, through PyTorch (gloo, NCCL) or JAX; then predicts their step, and that of more workers.

    \b
    Examples:
      zenplan calibrate --minutes 1
      zenplan calibrate --model gpt2 --batch 8
      zenplan calibrate --model gpt2 --batch 4 --workers 2
      zenplan calibrate --keras mine:build --vary depth=1,2,4 --depth 12
    """
    from zenplan.commands.calibrate.flags import how_flags, wanted_of, workers_of

    keras, prices = given.pop("keras"), given.pop("prices")
    settings = resolved(format=output, precision=precision, prices=prices)
    several, backend = workers_of(workers, backend, compiled, compare)
    how = how_flags(
        device=device,
        precision=settings["precision"],
        compiled=compiled,
        compare=compare,
        strict=strict,
        threads=threads,
        minutes=minutes,
        workers=several,
    )
    wanted = wanted_of(
        settings, {**given, "batch": batch, "workers": several}, keras, family, vary, depth, compare, usd_per_hour
    )
    _answer(wanted, backend, how, settings)


def _answer(wanted: Wanted, backend: str | None, how: Mapping[str, Any], settings: Settings) -> None:
    """Measure, with progress and warnings on stderr."""
    import sys

    from zenplan.commands.calibrate.flags import measured
    from zenplan.commands.calibrate.report import calibrate_report
    from zenplan.commands.shared.output import loaded_plugins, say, warned, write
    from zenplan.commands.shared.progress import staged

    said: set[str] = set()

    def warn(text: str) -> None:
        if text not in said:
            said.add(text)
            warned(text)

    with loaded_plugins() as plugins:
        try:
            with staged("calibrate") as show:
                answer = measured(wanted, backend, how, settings["prices"], plugins, show, warn)
        except KeyboardInterrupt:
            write(sys.stderr, "what was measured is kept: run it again to go on\n")
            raise
        say(calibrate_report(answer, said), settings["format"], plugins)
