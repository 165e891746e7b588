"""``zenplan estimate``: what a training run takes, on what, for how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.request import check_sizes, request_of
from zenplan.commands.shared.settings import Format, Gpu, Prices, Provider, Region, resolved

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings
    from zenplan.domain.training.request import Request


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar)


def estimate(
    params: options.Params = None,
    model: options.Model = None,
    config: options.Config = None,
    keras: options.Keras = None,
    active_params: options.ActiveParams = None,
    flops_per_sample: options.FlopsPerSample = None,
    activations_per_sample: options.ActivationsPerSample = None,
    tokens: Annotated[str | None, _option("--tokens", "Tokens to train on, as in 300B.", "COUNT")] = None,
    dataset_size: Annotated[
        str | None, _option("--dataset-size", "Bytes of text, as in 1TB, instead of --tokens.", "SIZE")
    ] = None,
    samples: Annotated[
        str | None, _option("--samples", "Images or other samples of the data set, as in 1.2M.", "COUNT")
    ] = None,
    data: options.Data = None,
    text_column: options.TextColumn = None,
    tokenizer: options.Tokenizer = None,
    epochs: Annotated[str | None, _option("--epochs", "Passes over that data.", "NUMBER")] = None,
    image_size: options.ImageSize = None,
    seq_len: options.SeqLen = None,
    global_batch: options.GlobalBatch = None,
    batch: options.Batch = None,
    precision: options.Precision = None,
    optimizer: options.Optimizer = None,
    software: options.Software = None,
    method: options.Method = None,
    gpu: Gpu = None,
    gpus: Annotated[str | None, _option("--gpus", "Exactly this many devices.", "COUNT")] = None,
    max_gpus: Annotated[
        str | None, _option("--max-gpus", "The largest cluster to consider; 1024 by default.", "COUNT")
    ] = None,
    provider: Provider = None,
    region: Region = None,
    billing: Annotated[
        str | None, _option("--billing", "The price to rank by: on-demand (default) or spot.", "KIND")
    ] = None,
    prices: Prices = None,
    deadline: Annotated[str | None, _option("--deadline", "The latest it may take, as in 7d, 36h.", "TIME")] = None,
    budget: Annotated[str | None, _option("--budget", "The most it may cost, in dollars.", "USD")] = None,
    top: Annotated[str | None, _option("--top", "How many quotes to show; 5 by default.", "COUNT")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show every formula and number of the first.")] = False,
    details: Annotated[bool, typer.Option("--details", help="Show every quote in full, not the first alone.")] = False,
    no_calibrations: options.NoCalibrations = False,
    output: Format = None,
) -> int:
    """Estimate time, GPU-hours, dollars and memory of a training run.

    One of --params, --model, --config and --keras says what to train; all the rest has a default that is shown
    with its origin. Exit code 3: it does not fit, or nothing meets the deadline or the budget.

    \b
    Examples:
      zenplan estimate --params 1e9
      zenplan estimate --model llama3-8b --tokens 10B --deadline 4d --budget 5000
      zenplan estimate --model resnet50 --gpu H100 --gpus 8 --explain
    """
    settings = resolved(
        gpu=gpu,
        gpus=gpus,
        max_gpus=max_gpus,
        provider=provider,
        region=region,
        billing=billing,
        precision=precision,
        optimizer=optimizer,
        software=software,
        top=top,
        format=output,
        prices=prices,
    )
    check_sizes(settings, gpus, max_gpus)
    request = request_of(
        settings,
        params=params,
        model=model,
        config=config,
        keras=keras,
        active_params=active_params,
        flops_per_sample=flops_per_sample,
        activations_per_sample=activations_per_sample,
        tokens=tokens,
        dataset_size=dataset_size,
        samples=samples,
        data=data,
        text_column=text_column,
        tokenizer=tokenizer,
        epochs=epochs,
        image_size=image_size,
        seq_len=seq_len,
        global_batch=global_batch,
        batch=batch,
        method=method,
        deadline=deadline,
        budget=budget,
    )
    return _answer(request, settings, explain, details, not no_calibrations)


def _answer(request: Request, settings: Settings, explain: bool, details: bool, calibrated: bool) -> int:
    from zenplan.adapters.tables.coefficients import read_coefficients
    from zenplan.commands.estimate.report import estimate_report
    from zenplan.commands.estimate.use_case import estimate as use_case
    from zenplan.commands.shared.evidence import stored
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue, price_tables
    from zenplan.errors import NoFit

    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"])
        answer = use_case(
            request,
            sheets,
            tables,
            plugins.workloads(),
            read_coefficients(),
            calibrations=stored() if calibrated else (),
        )
        say(estimate_report(answer, explain, details), settings["format"], plugins)
    return 0 if answer.met else NoFit.exit_code
