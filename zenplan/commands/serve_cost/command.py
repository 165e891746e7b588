"""``zenplan serve-cost``: GPUs, latency and dollars of a language model that answers requests."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from zenplan.commands.shared.options import SERVE, takes
from zenplan.commands.shared.settings import Format, resolved


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar, rich_help_panel="Serving")


Text = str | None


def _of_run(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar, rich_help_panel="Of a run")


@takes(*SERVE)
def serve_cost(
    run: Annotated[
        Text, typer.Argument(help="A finished run, to be measured here, in place of a model.", metavar="[RUN]")
    ] = None,
    rate: Annotated[Text, _option("--rate", "Requests that come, as in 10/s, 600/min, 1M/day.", "RATE")] = None,
    concurrency: Annotated[Text, _option("--concurrency", "Or requests in flight, as in 64.", "COUNT")] = None,
    input_tokens: Annotated[Text, _option("--in", "Tokens of a prompt; 800 by default.", "COUNT")] = None,
    output_tokens: Annotated[Text, _option("--out", "Tokens of an answer; 200 by default.", "COUNT")] = None,
    tp: Annotated[Text, _option("--tp", "Tensor-parallel degree; the cheapest by default.", "COUNT")] = None,
    dtype: Annotated[
        Text, _option("--dtype", "Of the weights: bf16 (default), fp16, fp8, int8, fp4, int4.", "NAME")
    ] = None,
    kv_dtype: Annotated[
        Text, _option("--kv-dtype", "Of the KV cache: bf16 (default), fp16, fp8, int8.", "NAME")
    ] = None,
    engine: Annotated[
        Text, _option("--engine", "vllm (default), sglang, tensorrt-llm, lmdeploy or tgi.", "NAME")
    ] = None,
    max_num_seqs: Annotated[
        Text, _option("--max-num-seqs", "The most requests in flight in a replica; the engine's by default.", "COUNT")
    ] = None,
    gpu_memory_utilization: Annotated[
        Text, _option("--gpu-memory-utilization", "Share of the memory that it may fill; 90% by default.", "PERCENT")
    ] = None,
    slo_ttft: Annotated[Text, _option("--slo-ttft", "The most to the first token, as in 500ms.", "TIME")] = None,
    slo_tpot: Annotated[Text, _option("--slo-tpot", "The most for each token after it, as in 50ms.", "TIME")] = None,
    api_price: Annotated[
        Text,
        _option("--api-price", "An API's dollars for 1M tokens, to compare: 0.60, or 0.15/0.60 for in and out.", "USD"),
    ] = None,
    manifest: Annotated[
        Text, _option("--manifest", "Print what serves it instead: vllm, trtllm, compose, kubernetes.", "KIND")
    ] = None,
    max_batch: Annotated[Text, _of_run("--max-batch", "Samples of a call at most; 32 by default.", "COUNT")] = None,
    max_wait: Annotated[Text, _of_run("--max-wait", "That a sample waits for others; 2ms by default.", "TIME")] = None,
    threads: Annotated[Text, _of_run("--threads", "Of the model; else those of the run.", "COUNT")] = None,
    backend: Annotated[Text, _of_run("--backend", "jax, torch or tensorflow; else the run's.", "NAME")] = None,
    output: Format = None,
    **given: Any,
) -> None:
    """What serving a language model takes: GPUs, latency, dollars a month and for 1M tokens, on reservation and on usage.

    On reservation you pay for GPUs around the clock, whatever they do; on usage alone flatters. Physics, fitted to
    published measurements: docs/serving.md. Of a finished run its server is measured on this machine, which takes half a
    minute, and latency and throughput follow for any rate.

    \b
    Examples:
      zenplan serve-cost --model llama3-8b --gpu L4 --rate 10/s --in 800 --out 200
      zenplan serve-cost --model llama3-70b --gpu H100 --rate 5/s --slo-tpot 40ms
      zenplan serve-cost --model mixtral-8x7b --gpu A100-80GB --concurrency 64
      zenplan serve-cost --model llama3-8b --gpu L4 --rate 1/s --api-price 0.40
      zenplan serve-cost --model llama3-8b --gpu L4 --rate 1/s --manifest vllm
      zenplan serve-cost RUN --rate 200/s --usd-per-hour 0.10
    """
    from zenplan.commands.serve_cost.manifests import manifest_of
    from zenplan.commands.serve_cost.report import serving_report
    from zenplan.commands.serve_cost.use_case import Asked, serving
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.request import filters_of

    own = {
        "rate": rate,
        "concurrency": concurrency,
        "in": input_tokens,
        "out": output_tokens,
        "tp": tp,
        "dtype": dtype,
        "kv-dtype": kv_dtype,
        "engine": engine,
        "max-num-seqs": max_num_seqs,
        "gpu-memory-utilization": gpu_memory_utilization,
        "slo-ttft": slo_ttft,
        "slo-tpot": slo_tpot,
        "api-price": api_price,
        "manifest": manifest,
    }
    of_run = {"max-batch": max_batch, "max-wait": max_wait, "threads": threads, "backend": backend}
    if run is not None:
        _say_of_run(run, {**own, **of_run, **given}, output)
        return
    if stray := next((name for name, text in of_run.items() if text is not None), None):
        from zenplan.errors import UsageError

        raise UsageError(f"--{stray} is of a run", "as in: zenplan serve-cost RUN --rate 10/s")
    settings = resolved(format=output, **{name: given.get(name) for name in _SETTINGS})
    asked = Asked.of(own, {**given, "gpu": settings["gpu"]})
    with loaded_plugins() as plugins:
        found = serving(asked, filters_of(settings), known(plugins, settings["prices"], None))
        if manifest is not None:
            typer.echo(manifest_of(found, asked.manifest))
        else:
            from zenplan.adapters.clock import today

            say(serving_report(found, today()), settings["format"], plugins)


def _say_of_run(run: str, flags: dict[str, Any], output: str | None) -> None:
    """The answer of a finished run, which is measured."""
    import time

    from zenplan.commands.run_serving.report import run_serving_report
    from zenplan.commands.run_serving.use_case import Asked, run_serving
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.progress import elapsed

    asked, begin = Asked.of({name.replace("_", "-"): text for name, text in flags.items()}), time.monotonic()
    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        with elapsed(run) as tell:
            found = run_serving(run, asked, lambda what: tell(what, time.monotonic() - begin))
        say(run_serving_report(found), settings["format"], plugins)


# Of its flags, those that are settings too.
_SETTINGS = ("gpu", "provider", "exclude_provider", "provider_class", "region", "max_price_age", "prices")
