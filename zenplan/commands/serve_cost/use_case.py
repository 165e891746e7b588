"""What serving takes: flags into what is wanted, degrees of parallelism tried, offers priced."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from zenplan import units
from zenplan.adapters.tables.context_windows import window_of
from zenplan.adapters.tables.serving import read_serving
from zenplan.commands.shared.filters import Filters, filtered, too_old
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.machines import with_named_devices
from zenplan.commands.shared.options import one_of, read_flag, whole
from zenplan.commands.shared.rates import parse_rate
from zenplan.commands.shared.rents import is_doubtful, lead, rents
from zenplan.commands.shared.tables import lowered
from zenplan.domain.answer.serving import Service, Serving, Wanted
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import Offer, PriceTable
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.serving.deployment import CACHE_BYTES, WEIGHT_BYTES, Deployment, Traffic
from zenplan.domain.serving.efficiency import ServingFit
from zenplan.domain.serving.model import ServedModel
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UsageError
from zenplan.planning.serving.groups import groups_of, seen_on
from zenplan.planning.serving.served import served_model
from zenplan.planning.serving.service import BUSY, Sized, around, even_rate_per_s, sized
from zenplan.planning.serving.steady import Loaded
from zenplan.planning.serving.step import kept_bytes
from zenplan.planning.serving.work import RESERVED_BYTES, Work, work

ENGINES: Final = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "tensorrt-llm": "TensorRT-LLM",
    "lmdeploy": "LMDeploy",
    "tgi": "TGI",
}
MANIFESTS: Final = ("vllm", "trtllm", "compose", "kubernetes")
_EXAMPLE: Final = "as in: zenplan serve-cost --model llama3-8b --gpu L4 --rate 10/s --in 800 --out 200"
_INPUTS, _OUTPUTS = 800, 200
_MOST_TOKENS: Final = 10_000_000
_MOST_DEGREE: Final = 1024
# As --gpus.
_MOST_DEVICES: Final = 1_000_000
_MILLION: Final = 1e6


def parse_api_price(text: str, what: str) -> tuple[float, float]:
    """Dollars of an input and of an output token, given for a million: ``0.60`` for both, ``0.15/0.60``.

    Raises:
        UsageError: no price, or more than two.
    """
    parts = text.split("/")
    if len(parts) > 2:
        raise UsageError(f"{what} is no price for 1M tokens: '{text}'", "write it as in: 0.60, or 0.15/0.60")
    prices = [units.parse_usd(part, what) / _MILLION for part in parts]
    return prices[0], prices[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, in base units.

    Attributes:
        model: options of a family: one of ``model``, ``config`` and ``params``.
        tp: None to try them.
        given: names of the flags that were given.
        usd_per_h: of one device, by the user; None for offers.
    """

    model: Mapping[str, Any]
    gpu: str
    wanted: Wanted
    tp: int | None
    weights: str
    cache: str
    engine: str
    max_batch: int | None
    memory_share: float
    usd_per_h: float | None
    manifest: str
    given: frozenset[str]

    @classmethod
    def of(cls, texts: Mapping[str, str | None], flags: Mapping[str, Any]) -> Asked:
        """From flags. Raises UsageError: one cannot be used, or nothing says what is served, where, or how much of it."""
        model = {name: flags.get(name) for name in ("model", "config", "params") if flags.get(name) is not None}
        if len(model) != 1:
            named = " and ".join(f"--{name}" for name in model)
            raise UsageError(f"{named} contradict" if model else "nothing says which model is served", _EXAMPLE)
        gpu: Sequence[str] = flags.get("gpu") or ()
        if len(gpu) != 1:
            raise UsageError("serve-cost takes one --gpu", _EXAMPLE)
        own_usd = flags.get("usd_per_hour")
        return cls(
            model=_model_options(model),
            gpu=gpu[0],
            wanted=_wanted(texts),
            tp=read_flag(texts, "tp", whole(_MOST_DEGREE, 200)),
            weights=read_flag(texts, "dtype", one_of(*WEIGHT_BYTES), "bf16"),
            cache=read_flag(texts, "kv-dtype", one_of(*CACHE_BYTES), "bf16"),
            engine=ENGINES[read_flag(texts, "engine", one_of(*ENGINES), "vllm")],
            max_batch=read_flag(texts, "max-num-seqs", whole(_MOST_DEGREE * 1024, 200)),
            memory_share=units.parse_share(texts.get("gpu-memory-utilization") or "90%", "--gpu-memory-utilization"),
            usd_per_h=None if own_usd is None else units.or_zero(units.parse_usd)(own_usd, "--usd-per-hour"),
            manifest=read_flag(texts, "manifest", one_of(*MANIFESTS), ""),
            given=frozenset(name for name, text in texts.items() if text is not None),
        )


def _model_options(model: Mapping[str, Any]) -> Mapping[str, Any]:
    if "params" in model:
        return {"params": units.parse_count(model["params"], "--params", 1e14)}
    if "config" in model and not isinstance(model["config"], dict):
        from zenplan.adapters.settings.model_config import read_model_config

        return {"config": read_model_config(model["config"])}
    return model


def _wanted(texts: Mapping[str, str | None]) -> Wanted:
    if (texts.get("rate") is None) == (texts.get("concurrency") is None):
        nothing = texts.get("rate") is None
        what = "nothing says how much is asked" if nothing else "--rate and --concurrency contradict"
        raise UsageError(what, "give --rate 10/s, or --concurrency 64")
    prices = read_flag(texts, "api-price", parse_api_price, (None, None))
    return Wanted(
        traffic=Traffic(
            input_tokens=read_flag(texts, "in", whole(_MOST_TOKENS, 200), _INPUTS),
            output_tokens=read_flag(texts, "out", whole(_MOST_TOKENS, 200), _OUTPUTS),
        ),
        rate_per_s=read_flag(texts, "rate", parse_rate),
        concurrency=read_flag(texts, "concurrency", whole(10**9, 200)),
        ttft_s=read_flag(texts, "slo-ttft", _seconds),
        tpot_s=read_flag(texts, "slo-tpot", _seconds),
        usd_per_input_token=prices[0],
        usd_per_output_token=prices[1],
    )


_MS: Final = re.compile(r"\s*([\d.,]+)\s*(ms|s)\s*")


def _seconds(text: str, what: str) -> float:
    match = _MS.fullmatch(text)
    if match is None:
        raise UsageError(f"{what} is not a time: '{text}'", "write it as in: 500ms, 0.5s")
    return units.parse_count(match[1], what, 1e6, "500ms, 0.5s") * (1e-3 if match[2] == "ms" else 1.0)


def serving(asked: Asked, filters: Mapping[str, Any], known: Known) -> Serving:
    """The services that do what is wanted, the cheapest first.

    Args:
        asked: by flags.
        filters: which offers may be rented.
        known: data sheets, prices, fits.

    Raises:
        UsageError: an input cannot be.
        NoFit: no degree of parallelism within a node does it.
    """
    named = with_named_devices(Request(gpu=(asked.gpu,)), known.catalogue)
    if named.gpus is not None:
        raise UsageError(f"--gpu {asked.gpu} has a count", "how many is the answer; --tp says how many share one copy")
    sheet = known.catalogue.by_name(named.gpu[0])
    wanted_filters = Filters(**{**filters, "gpu": (sheet.name,), "max_usd_per_h": None})
    tables = () if asked.usd_per_h is not None else filtered(known.tables, known.catalogue, wanted_filters, known.today)
    # A model that generates no text may have no length that could be asked for.
    served_model(lowered(known.families, asked.model))
    model = served_model(lowered(known.families, {**asked.model, "seq_len": 16}))
    _check_window(asked, model)
    fit = seen_on(read_serving(), sheet)
    most = _most_joined(tables or known.tables, sheet)
    tried = [_tried(asked, model, fit, known, sheet, tp) for tp in _degrees(asked, model, most)]
    services = _services(asked, fit, known, tables, tried)
    if not services:
        raise NoFit(*_why_none(asked, model, fit, known, sheet, tried, most))
    _check_size(services[0], sheet)
    return Serving(
        model=model,
        wanted=asked.wanted,
        services=tuple(services),
        refused=tuple((on, found.why_not) for on, _, found in tried if found.why_not),
        facts=tuple(_facts(asked, model, fit, services[0])),
        basis=fit.throughput.basis,
        fresh=_fresh(asked, fit, known, tables, tried) if is_doubtful(services[0].offer, known.today) else None,
        left_out=too_old(tables),
    )


def _check_size(best: Service, sheet: Accelerator) -> None:
    if best.devices > _MOST_DEVICES:
        raise UsageError(
            f"that takes {best.devices:,} × {sheet.name}, more than zenplan plans for",
            f"the most is {_MOST_DEVICES:,} devices: a lower --rate or --concurrency, or fewer tokens",
        )


def _fresh(
    asked: Asked, fit: ServingFit, known: Known, tables: Sequence[PriceTable], tried: Sequence[_Tried]
) -> Service | None:
    """The cheapest at a fresh price of a machine that is listed; None where nobody has one."""
    sure = [replace(t, offers=tuple(o for o in t.offers if not is_doubtful(o, known.today))) for t in tables]
    return next((each for each in _services(asked, fit, known, sure, tried) if each.offer), None)


_Tried = tuple[Deployment, Work, Sized]


def _check_window(asked: Asked, model: ServedModel) -> None:
    """Raises NoFit: a prompt and its answer are more than the model takes at once."""
    window, traffic = window_of(asked.model), asked.wanted.traffic
    tokens = traffic.input_tokens + traffic.output_tokens
    if window is not None and tokens > window.tokens:
        raise NoFit(
            f"{model.name} takes {window.tokens:,} tokens at once, and {tokens:,.0f} are asked: {window.source}",
            "fewer of --in and --out, a model with a longer context, or --config of one whose positions are scaled",
        )


def _most_joined(tables: Sequence[PriceTable], sheet: Accelerator) -> int:
    """Devices of the largest machine: the usual node of the product, or one that somebody rents out."""
    rented = (o.instance.devices for table in tables for o in table.offers if o.instance.accelerator == sheet.name)
    return max(sheet.node_devices, *rented, 1)


def _degrees(asked: Asked, model: ServedModel, most: int) -> list[int]:
    if asked.tp is not None:
        if model.heads and model.heads % asked.tp:
            raise UsageError(
                f"--tp {asked.tp} does not divide the {model.heads} heads of {model.name}", "give 1, 2, 4 or 8"
            )
        return [asked.tp]
    powers = [2**k for k in range(11) if 2**k <= most]
    return [tp for tp in powers if not model.heads or model.heads % tp == 0]


def _tried(asked: Asked, model: ServedModel, fit: ServingFit, known: Known, sheet: Accelerator, tp: int) -> _Tried:
    on = Deployment(
        accelerator=sheet,
        tp=tp,
        weights=asked.weights,
        cache=asked.cache,
        memory_share=asked.memory_share,
        software=asked.engine,
        max_batch=asked.max_batch,
    )
    c = known.coefficients.all
    own = work(model, on, c["link"].value, c["pcie"].value, c["link_hop_s"].value)
    traffic = asked.wanted.traffic
    loaded = Loaded(
        work=own,
        efficiency=fit.of(tuple(groups_of(on).values())),
        inputs=traffic.input_tokens,
        outputs=traffic.output_tokens,
    )
    return on, own, sized(loaded, asked.wanted, fit.throughput)


def _services(
    asked: Asked, fit: ServingFit, known: Known, tables: Sequence[PriceTable], tried: Sequence[_Tried]
) -> list[Service]:
    """What does it of what was tried, the cheapest first."""
    found = [_service(asked, fit, known, tables, each) for each in tried if not each[2].why_not]
    return sorted(found, key=lambda each: _rank(each, known))


def _service(asked: Asked, fit: ServingFit, known: Known, tables: Sequence[PriceTable], tried: _Tried) -> Service:
    on, own, found = tried
    offers = _priced(tables, on, found.replicas.mid)
    priced = min(offers, key=lambda each: lead(each[2], each[1], known.today), default=None)
    if asked.usd_per_h is not None:
        each_usd, per_machine = asked.usd_per_h * on.devices, 1
    elif priced is not None:
        each_usd, per_machine = priced[0], priced[1].instance.devices // on.devices
    else:
        each_usd, per_machine = math.nan, 1
    machines = [math.ceil(n / per_machine) for n in found.replicas.ends]
    has_price = not math.isnan(each_usd)
    low, mid, high = (each_usd * n for n in machines)
    api = asked.wanted.api_usd
    traffic = asked.wanted.traffic
    return Service(
        on=on,
        replicas=found.replicas,
        rate_per_s=found.rate_per_s,
        most_per_s=found.most_per_s,
        batch=found.batch,
        limit=found.limit,
        kept_bytes=float(kept_bytes(own, traffic.mean_tokens)) * on.devices,
        stored_bytes=own.stored_bytes * on.devices,
        utilisation=min(1.0, found.rate_per_s / (found.replicas.mid * found.most_per_s)),
        ttft_s=around(found.ttft_s, fit.ttft),
        tpot_s=around(found.tpot_s, fit.tpot),
        offer=priced[1] if priced else None,
        machines=machines[1],
        usd_per_h=Range(low=low, mid=mid, high=high) if has_price else None,
        even_rate_per_s=even_rate_per_s(each_usd, per_machine * found.planned_per_s, api)
        if has_price and api
        else None,
    )


def _priced(tables: Sequence[PriceTable], on: Deployment, replicas: float) -> Iterator[tuple[float, Offer, float]]:
    """Offers that have room for a replica and bind nobody: dollars an hour of a machine, the offer, and of all machines."""
    for offer, price, _ in rents(tables):
        if room := offer.instance.devices // on.devices:
            yield price.usd_per_h, offer, price.usd_per_h * math.ceil(replicas / room)


def _rank(service: Service, known: Known) -> tuple[bool, float, int, int]:
    """What has a price first, the cheapest of it, the fewest devices, the fewest of a replica."""
    if service.usd_per_h is None:
        return True, 0.0, service.devices, service.on.tp
    return False, lead(service.usd_per_h.mid, service.offer, known.today), service.devices, service.on.tp


def _why_none(
    asked: Asked,
    model: ServedModel,
    fit: ServingFit,
    known: Known,
    sheet: Accelerator,
    tried: Sequence[_Tried],
    most: int,
) -> tuple[str, str]:
    """The message and the hint where nothing does it: what fits, of other degrees and number formats."""
    on, own, found = tried[-1]
    where = f"{on.devices} × {sheet.name}"
    if found.limit or "memory" not in found.why_not:
        return f"{model.name} on {where}: {found.why_not}", "a longer --slo, more --tp, a faster --gpu, or fp8 weights"
    need, room = units.size(own.stored_bytes * on.devices), units.size(max(0.0, own.room_bytes) * on.devices)
    traffic = asked.wanted.traffic
    one = units.size(float(kept_bytes(own, traffic.input_tokens + traffic.output_tokens)) * on.devices)
    message = f"{model.name} in {asked.weights} does not fit {where}: {need} of weights and {one} a request in {room}"
    for weights in (asked.weights, "fp8", "int4"):
        for tp in (2**k for k in range(7)):
            other = replace(asked, weights=weights)
            if (not model.heads or model.heads % tp == 0) and (
                tp <= most and not _tried(other, model, fit, known, sheet, tp)[2].why_not
            ):
                dtype = "" if weights == asked.weights else f" --dtype {weights}"
                return message, f"it fits with: --tp {tp}{dtype}"
    return message, "a --gpu with more memory, or a smaller model: in int4 it does not fit a node of these either"


def _facts(asked: Asked, model: ServedModel, fit: ServingFit, best: Service) -> Iterator[Fact]:
    def origin(flag: str) -> Origin:
        return Origin.GIVEN if flag in asked.given else Origin.ASSUMED

    traffic = asked.wanted.traffic
    yield Fact(
        name="parameters",
        value=units.count(model.parameters),
        origin=Origin.DERIVED,
        why=f"{units.count(model.active + model.head)} of them meet a token",
    )
    yield Fact(name="prompt", value=f"{traffic.input_tokens:g} tokens", origin=origin("in"))
    yield Fact(name="answer", value=f"{traffic.output_tokens:g} tokens", origin=origin("out"))
    yield Fact(name="weights", value=asked.weights, origin=origin("dtype"), why=f"products in {best.on.computed_in}")
    yield Fact(name="KV cache", value=asked.cache, origin=origin("kv-dtype"))
    yield Fact(name="engine", value=asked.engine, origin=origin("engine"))
    yield Fact(
        name="most in flight",
        value=str(best.limit),
        origin=origin("max-num-seqs") if best.limit == best.on.batch_limit else Origin.DERIVED,
        why="the engine's own limit" if best.limit == best.on.batch_limit else "what the weights leave of the memory",
    )
    yield Fact(
        name="memory",
        value=f"{units.percent(asked.memory_share)} less {units.size(RESERVED_BYTES)}",
        origin=origin("gpu-memory-utilization"),
        why="what the engine may fill, less workspaces and captured graphs",
    )
    yield Fact(
        name="busy at most",
        value=units.percent(BUSY),
        origin=Origin.ASSUMED,
        why="requests come at random, and a fuller server queues",
    )
    yield Fact(name="coefficients", value=fit.source, origin=Origin.PUBLISHED, why=fit.throughput.basis)
