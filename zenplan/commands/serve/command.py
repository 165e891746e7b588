"""``zenplan serve``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Text = str | None


def _option(text: str, metavar: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, metavar=metavar, **more)


def _large(text: str, metavar: str, name: str) -> Any:
    return _option(text, metavar, name, rich_help_panel="Large language models")


def serve(
    run: Annotated[
        Text,
        typer.Argument(help="A finished run: its id, four letters of it at least, or its folder.", metavar="[RUN]"),
    ] = None,
    host: Annotated[str, _option("Address to listen on.", "ADDRESS", "--host")] = "127.0.0.1",
    port: Annotated[str, _option("0 for any that is free.", "COUNT", "--port")] = "8000",
    max_batch: Annotated[str, _option("Samples, or texts, of a call at most.", "COUNT", "--max-batch")] = "32",
    max_wait: Annotated[str, _option("That a sample waits for others.", "TIME", "--max-wait")] = "2ms",
    queue: Annotated[str, _option("Samples that may wait; more get 429.", "COUNT", "--queue")] = "1024",
    max_body: Annotated[str, _option("Of a body; more gets 413.", "BYTES", "--max-body")] = "10MB",
    body_timeout: Annotated[str, _option("For a body to come; later is 408.", "TIME", "--body-timeout")] = "10s",
    timeout: Annotated[str, _option("For an answer, or a token; later is 504.", "TIME", "--timeout")] = "30s",
    max_tokens: Annotated[str, _option("Of a text that is written.", "COUNT", "--max-tokens")] = "1024",
    drain: Annotated[str, _option("For requests in flight after SIGTERM.", "TIME", "--drain")] = "30s",
    memory: Annotated[Text, _option("Of the model's worker; else 80% of this machine's.", "BYTES", "--memory")] = None,
    threads: Annotated[Text, _option("Of the model; else those of the run.", "COUNT", "--threads")] = None,
    backend: Annotated[Text, _option("jax, torch or tensorflow; else the run's.", "NAME", "--backend")] = None,
    token: Annotated[
        Text,
        _option("That requests bear; better in the variable.", "TEXT", "--token", envvar="ZENPLAN_SERVE_TOKEN"),
    ] = None,
    cert: Annotated[Text, _option("Certificate chain in PEM, for HTTPS; with --key.", "FILE", "--cert")] = None,
    key: Annotated[Text, _option("Its private key in PEM, without a password.", "FILE", "--key")] = None,
    usd: Annotated[Text, _option("Of this machine, for dollars per 1000 requests.", "USD", "--usd-per-hour")] = None,
    window: Annotated[str, _option("Last samples that are looked at for drift.", "COUNT", "--window")] = "1000",
    drift: Annotated[str, _option("Population stability index that is warned of.", "NUMBER", "--drift")] = "0.2",
    model: Annotated[Text, _large("A preset in place of a run, as llama3-8b.", "NAME", "--model")] = None,
    gpu: Annotated[Text, _large("That it is to be served on.", "NAME", "--gpu")] = None,
    rate: Annotated[Text, _large("Requests that come; 1/s where none is given.", "RATE", "--rate")] = None,
    manifest: Annotated[Text, _large("vllm (default), trtllm, compose, kubernetes.", "KIND", "--manifest")] = None,
    output: Annotated[str, _option("table, or json: an object a line.", "FORMAT", "--format")] = "table",
) -> int:
    """Serve a trained model over HTTP: predictions, or text in pieces, with batches, limits, metrics and drift.

    The model is in a worker process, which is started anew where it ends. SIGTERM and Ctrl-C let requests in flight
    finish: exit code 0 where all of them had their answers; else 143, or 130. docs/after.md has the routes.
    Of a large language model (--model) the command of vLLM or TensorRT-LLM, or a manifest, is printed instead.

    \b
    Examples:
      zenplan serve RUN
      zenplan serve RUN --port 0 --max-batch 8 --usd-per-hour 0.50
      ZENPLAN_SERVE_TOKEN=... zenplan serve RUN --host 0.0.0.0
      zenplan serve RUN --host 0.0.0.0 --cert chain.pem --key key.pem
      zenplan serve --model llama3-8b --gpu L4 --rate 10/s --manifest kubernetes
    """
    if (run is None) == (model is None):
        from zenplan.errors import UsageError

        what = "there is nothing to serve" if run is None else "a run and --model contradict"
        raise UsageError(what, "as in: zenplan serve RUN; 'zenplan runs list' has them")
    if run is None:
        from zenplan.commands.serve.manifest import manifest as manifest_of

        typer.echo(manifest_of(model or "", gpu, rate, manifest), nl=False)
        return 0
    if stray := [name for name, text in (("gpu", gpu), ("rate", rate), ("manifest", manifest)) if text is not None]:
        from zenplan.errors import UsageError

        raise UsageError(f"--{stray[0]} is of --model alone", "leave it out")
    from zenplan.commands.serve.from_flags import served

    flags = {"port": port, "max-batch": max_batch, "max-wait": max_wait, "queue": queue, "max-body": max_body}
    flags |= {"body-timeout": body_timeout, "timeout": timeout, "max-tokens": max_tokens, "drain": drain}
    more = {"memory": memory, "threads": threads, "usd-per-hour": usd, "window": window, "drift": drift}
    given = {name: text for name, text in {**flags, **more}.items() if text is not None}
    return served(run, given, host=host, backend=backend, token=token or "", form=output, tls=(cert, key))
