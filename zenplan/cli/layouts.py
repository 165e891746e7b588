"""``zenplan layouts``: the ways to lay a training step out over so many devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.cli.request import request_of
from zenplan.cli.settings import Format, Gpu, Prices, resolved

if TYPE_CHECKING:
    from zenplan.adapters.config import Settings
    from zenplan.domain.request import Request


def _option(text: str, metavar: str) -> Any:
    return typer.Option(help=text, metavar=metavar)


def layouts(
    params: Annotated[str | None, _option("Parameters, as in 1e9, 7B, 350M.", "COUNT")] = None,
    model: Annotated[str | None, _option("A named model; 'zenplan workloads' lists them.", "NAME")] = None,
    config: Annotated[Path | None, _option("A Hugging Face config.json.", "FILE")] = None,
    active_params: Annotated[
        str | None, _option("Parameters a token meets, for a mixture of experts.", "COUNT")
    ] = None,
    gpu: Gpu = None,
    gpus: Annotated[str | None, _option("How many devices.", "COUNT")] = None,
    seq_len: Annotated[str | None, _option("Tokens of a sequence.", "COUNT")] = None,
    global_batch: Annotated[str | None, _option("Tokens of an optimizer step, as in 4M.", "COUNT")] = None,
    precision: Annotated[str | None, _option("bf16, fp16, fp8, mxfp8, nvfp4, tf32 or fp32.", "NAME")] = None,
    optimizer: Annotated[
        str | None, _option("adamw, adamw-8bit, lion, sgd, sgd-momentum, adafactor.", "NAME")
    ] = None,
    software: Annotated[str | None, _option("eager, fused (Megatron-LM), compiled or xla.", "KIND")] = None,
    method: Annotated[str | None, _option("full, lora or qlora.", "NAME")] = None,
    by: Annotated[str, _option("time or memory: what the list is ordered by.", "ORDER")] = "time",
    top: Annotated[str, _option("How many layouts to list.", "COUNT")] = "10",
    tokens: Annotated[str | None, typer.Option(hidden=True)] = None,
    prices: Prices = None,
    output: Format = None,
) -> None:
    """List the best layouts of a training step on so many devices of one kind.

    A layout is the degrees of data, tensor, pipeline, context and expert parallelism, the ZeRO stage, the
    micro-batch and what is recomputed. Every one that can be run is compared. Exit code 3: none fits.
    """
    if tokens is not None:
        from zenplan.errors import UsageError

        raise UsageError(
            "layouts takes no --tokens", "it is about one step; 'zenplan estimate' is about a whole run"
        )
    settings = resolved(gpu=gpu, gpus=gpus, precision=precision, optimizer=optimizer, software=software,
                        top=top, format=output, prices=prices)  # fmt: skip
    request = request_of(settings, params=params, model=model, config=config, active_params=active_params,
                         seq_len=seq_len, global_batch=global_batch, method=method)  # fmt: skip
    _answer(request, by, settings)


def _answer(request: Request, by: str, settings: Settings) -> None:
    from zenplan.adapters.coefficient_table import read_coefficients
    from zenplan.app.inputs import catalogue, price_tables
    from zenplan.app.layouts import layouts as use_case
    from zenplan.cli.output import loaded_plugins, say
    from zenplan.reports.layouts import layouts_report

    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"])
        found = use_case(request, by, sheets, tables, plugins.workloads(), read_coefficients())
        say(layouts_report(found), settings["format"], plugins)
