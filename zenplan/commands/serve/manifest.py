"""A language model of a catalogue: the command or the manifest of the engine that serves it, in place of a server."""

from __future__ import annotations

from zenplan.commands.serve_cost.manifests import manifest_of
from zenplan.commands.serve_cost.use_case import Asked, serving
from zenplan.commands.shared.known import known
from zenplan.commands.shared.output import loaded_plugins
from zenplan.commands.shared.request import filters_of
from zenplan.commands.shared.settings import resolved

# What is planned for where nothing is said.
_RATE = "1/s"


def manifest(model: str, gpu: str | None, rate: str | None, kind: str | None) -> str:
    """The text that serves it, as of ``zenplan serve-cost --manifest``.

    Args:
        model: a preset.
        gpu, rate: that it is planned for; a request a second where no rate is given.
        kind: ``vllm``, ``trtllm``, ``compose`` or ``kubernetes``.

    Raises:
        UsageError: there is no such model, GPU or kind.
        NoFit: it does not fit.
    """
    settings = resolved(gpu=[gpu] if gpu else None)
    asked = Asked.of({"rate": rate or _RATE, "manifest": kind or "vllm"}, {"model": model, "gpu": settings["gpu"]})
    with loaded_plugins() as plugins:
        found = serving(asked, filters_of(settings), known(plugins, settings["prices"], None))
    planned = f"# planned for {rate or _RATE}; 'zenplan serve-cost --model {model}' has latency and price"
    return f"{planned}\n{manifest_of(found, asked.manifest)}\n"
