"""``zenplan count``: what a Keras model computes, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared.settings import Format, resolved

if TYPE_CHECKING:
    from zenplan.domain.model.count import ModelCount

# Neither a batch nor a depth is larger.
_MOST = 1e12
# Of an axis of an input.
_MOST_SIZE = 999_999_999


def _option(text: str, metavar: str) -> Any:
    return typer.Option(help=text, metavar=metavar)


def count(
    target: Annotated[str, typer.Argument(help="package.module:function, or a .keras file.", metavar="TARGET")],
    backend: Annotated[
        str | None, _option("jax, torch or tensorflow; else KERAS_BACKEND, or what is installed.", "NAME")
    ] = None,
    input_shape: Annotated[
        str | None, _option("Shape of one sample, as in 224,224,3; several with ; between.", "SHAPE")
    ] = None,
    batch: Annotated[str | None, _option("Samples of a step; totals are given for it too.", "COUNT")] = None,
    loop: Annotated[str | None, _option("Turns of a loop that ends by a condition; else unknown.", "COUNT")] = None,
    precision: Annotated[str | None, _option("Precision of activations in memory; bf16 by default.", "NAME")] = None,
    depth: Annotated[str | None, _option("Levels of nested layers that the table shows.", "COUNT")] = None,
    timeout: Annotated[str, _option("How long building and counting may take.", "TIME")] = "120s",
    memory: Annotated[str | None, _option("How much memory it may take; else 80 % of this machine's.", "BYTES")] = None,
    output: Format = None,
) -> None:
    """Count a Keras model: parameters, FLOP, activations and operators, layer by layer and in total.

    The function takes no arguments and returns the model; it is called in a process of its own. Of a .keras file only
    the configuration is read, and no code that is in it is run. Exit code 1: a layer's cost is unknown.

    \b
    Examples:
      zenplan count keras.applications:ResNet50 --batch 256 --depth 1
      zenplan count mine:build --input-shape 224,224,3
    """
    from zenplan.commands.count.report import count_report
    from zenplan.commands.shared.counting import count_keras
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.progress import elapsed
    from zenplan.domain.precision import PRECISIONS
    from zenplan.units import parse_bytes, parse_duration_s

    settings = resolved(format=output, precision=precision)
    samples, levels, turns = _wholes(("--batch", batch), ("--depth", depth), ("--loop", loop))
    limits: dict[str, Any] = {
        "time_s": parse_duration_s(timeout, "timeout"),
        "memory_bytes": parse_bytes(memory, "memory") if memory else None,
    }
    shapes = _shapes(input_shape)
    with loaded_plugins() as plugins:
        with elapsed(target) as tell:
            asked: dict[str, Any] = {"input_shapes": shapes, "batch": samples, "loop": turns}
            counted = count_keras(target, backend, **asked, **limits, tell=tell)
        report = count_report(counted, samples or 1, PRECISIONS[settings["precision"] or "bf16"], levels)
        say(report, settings["format"], plugins)
    _own_up(counted)


def _wholes(*given: tuple[str, str | None]) -> list[int | None]:
    """Whole numbers by their flags; None for those that were not given."""
    from zenplan.units import parse_whole

    return [None if text is None else parse_whole(text, flag, _MOST, example=32) for flag, text in given]


def _own_up(counted: ModelCount) -> None:
    """An error after the answer, if it lacks the cost of a layer."""
    from zenplan.errors import ZenplanError

    if counted.unknown:
        names = ", ".join(layer.label for layer in counted.unknown[:3])
        more = f" and {len(counted.unknown) - 3} more" if len(counted.unknown) > 3 else ""
        hint = "tell it with zenplan.register_layer; the rest is counted"
        if any("--loop" in layer.note for layer in counted.unknown):
            hint = "tell the turns of loops of unknown length, as in --loop 5; the rest is counted"
        raise ZenplanError(f"unknown cost: {names}{more}", hint)


def _shapes(text: str | None) -> list[list[int]]:
    """``224,224,3;10`` as lists of sizes."""
    from zenplan.errors import UsageError
    from zenplan.units import digits_of

    if text is None:
        return []
    shapes = [[digits_of(size.strip(), _MOST_SIZE) for size in shape.split(",")] for shape in text.split(";")]
    if any(None in shape for shape in shapes):
        raise UsageError(
            f"input shape must be sizes with commas between them, not '{text}'",
            "write it as in: 224,224,3 and several as in: '128,64;10'",
        )
    return [list(filter(None, shape)) for shape in shapes]
