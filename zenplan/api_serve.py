"""Serving from Python: ``serve_cost``, as ``zenplan serve-cost``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from zenplan.arguments import flags, settings_of, warn
from zenplan.results import ServingCost, result

Number = float | str
Names = str | Sequence[str]
File = str | os.PathLike[str]


def serve_cost(
    *,
    model: str | None = None,
    config: File | Mapping[str, Any] | None = None,
    params: Number | None = None,
    gpu: str | None = None,
    rate: Number | None = None,
    concurrency: Number | None = None,
    input_tokens: Number | None = None,
    output_tokens: Number | None = None,
    tp: Number | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    engine: str | None = None,
    max_num_seqs: Number | None = None,
    gpu_memory_utilization: Number | None = None,
    slo_ttft: str | None = None,
    slo_tpot: str | None = None,
    api_price: Number | None = None,
    provider: Names | None = None,
    exclude_provider: Names | None = None,
    provider_class: Names | None = None,
    region: Names | None = None,
    max_price_age: timedelta | str | None = None,
    usd_per_hour: Number | None = None,
    prices: File | None = None,
) -> ServingCost:
    """GPUs, latency and dollars of a language model that answers requests. As ``zenplan serve-cost``.

    Args:
        model, config, params: one of them: a named decoder, a Hugging Face config.json, a size.
        gpu: the accelerator, as in "L4".
        rate: requests that come, a second's number or "600/min"; or
        concurrency: requests in flight.
        input_tokens, output_tokens: of a request; 800 and 200 where they are None.
        tp: tensor-parallel degree; None for the cheapest.
        dtype, kv_dtype: of the weights and of the KV cache; bf16 where they are None.
        engine: vllm, sglang, tensorrt-llm, lmdeploy or tgi.
        max_num_seqs: the most requests in flight in a replica; None for the engine's own limit.
        gpu_memory_utilization: share of the memory that it may fill; 0.9 where it is None.
        slo_ttft, slo_tpot: the most to the first token and for each after it, as in "500ms".
        api_price: dollars for 1M tokens of an API, or "0.15/0.60" for input and output.
        provider, exclude_provider, provider_class, region: whose offers are looked at.
        max_price_age: older prices are left out.
        usd_per_hour: your price of one device, instead of all offers.
        prices: your own prices, a CSV or a price book.

    Raises:
        UsageError: an argument cannot be, or two contradict.
        UnknownName: there is no such model, accelerator, provider or region.
        NoFit: no degree of parallelism within a node does it.
    """
    given = flags(dict(locals()))
    from zenplan.commands.serve_cost.use_case import Asked, serving
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins
    from zenplan.commands.shared.request import filters_of

    own = {_FLAGS.get(name, name.replace("_", "-")): given[name] for name in given if name not in _SHARED}
    settings = settings_of({name: given[name] for name in _SHARED})
    asked = Asked.of(own, {**{name: given[name] for name in _SHARED}, "gpu": settings["gpu"]})
    with loaded_plugins(warn) as plugins:
        found = serving(asked, filters_of(settings), known(plugins, settings["prices"], None, tell=warn))
    return result(ServingCost, found)


_FLAGS = {"input_tokens": "in", "output_tokens": "out"}
# Arguments that are flags of other commands too.
_SHARED = (
    *("model", "config", "params", "gpu", "provider", "exclude_provider", "provider_class", "region"),
    *("max_price_age", "usd_per_hour", "prices"),
)
