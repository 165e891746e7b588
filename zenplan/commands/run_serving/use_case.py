"""What serving a run's model takes: a server is measured on this machine, and replayed at the load that is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from zenplan import units
from zenplan.adapters.machine.host import allowed_cores, processor_name, read_host
from zenplan.adapters.serving.installed import MODEL, check_installed
from zenplan.commands.run_serving.wanted import Wanted, seconds
from zenplan.commands.shared.options import read_flag, whole
from zenplan.commands.shared.rates import parse_rate
from zenplan.commands.train.finished import FinishedRun, finished_run
from zenplan.domain.answer.run_serving import Answered, RunServing, ServerTimes
from zenplan.domain.range import Range
from zenplan.errors import UsageError
from zenplan.planning.serving.replay import limit_per_s, predicted, written
from zenplan.planning.serving.service import BUSY

# How far measured medians lie from those that are replayed, half of an interval of 80 % in ln: benchmarks/serving_runs.py,
# with some room for loads near the limit, of which it has few.
WITHIN: Final = 0.2
BASIS: Final = "servers of other models on one processor under load (docs/serving.md)"
_MOST_BATCH, _MOST_TOKENS, _TOKENS, _MOST_CLIENTS, _MOST_SERVERS = 4096, 100_000, 64, 10**6, 10**6
# As of ``zenplan serve`` where nothing is said.
_BATCH, _WAIT, _QUEUE = 32, "2ms", 1024
_OWN: Final = ("rate", "concurrency", "out", "max-batch", "max-wait", "threads", "backend", "usd-per-hour")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, in base units; of ``rate_per_s`` and ``clients`` one is None.

    Attributes:
        tokens: of a text; None for the usual.
        threads, backend: of the model; None for those of the run.
        usd_per_h: of this machine; None where nobody said.
    """

    rate_per_s: float | None
    clients: int | None
    tokens: int | None
    max_batch: int
    wait_s: float
    threads: int | None
    backend: str | None
    usd_per_h: float | None

    @classmethod
    def of(cls, texts: Mapping[str, Any]) -> Asked:
        """From flags. Raises UsageError: one cannot be used, or is of a language model without a run."""
        if stray := next((name for name, text in texts.items() if text and name not in _OWN), None):
            raise UsageError(f"--{stray} is not of a run, which is measured on this machine", "leave it out")
        if (texts.get("rate") is None) == (texts.get("concurrency") is None):
            nothing = texts.get("rate") is None
            what = "nothing says how much is asked" if nothing else "--rate and --concurrency contradict"
            raise UsageError(what, "give --rate 10/s, or --concurrency 64")
        return cls(
            rate_per_s=read_flag(texts, "rate", parse_rate),
            clients=read_flag(texts, "concurrency", whole(_MOST_CLIENTS, 64)),
            tokens=read_flag(texts, "out", whole(_MOST_TOKENS, 64)),
            max_batch=read_flag(texts, "max-batch", whole(_MOST_BATCH, _BATCH), _BATCH),
            wait_s=seconds(texts.get("max-wait") or _WAIT, "--max-wait"),
            threads=read_flag(texts, "threads", whole(_MOST_BATCH, 2)),
            backend=texts.get("backend"),
            usd_per_h=read_flag(texts, "usd-per-hour", units.or_zero(units.parse_usd)),
        )


def run_serving(name: str, asked: Asked, say: Callable[[str], None]) -> RunServing:
    """Measure it here, and say what the load takes.

    Args:
        name: of the run: its id or folder.
        say: told what is done.

    Raises:
        UsageError: there is no such run, it is not finished, or what serves is not installed.
        ZenplanError: the model's worker does not come to be ready, or a request is refused.
    """
    check_installed(MODEL, "nothing is served")
    run = finished_run(name)
    threads = asked.threads or run.job.threads
    times, writes = _measured(run, asked, threads, say)
    if asked.tokens is not None and not writes:
        raise UsageError(f"--out is of texts, and run {run.id} writes none", "leave it out")
    tokens = (asked.tokens or _TOKENS) if writes else None
    most = limit_per_s(times, tokens)
    replicas = _replicas(asked, most)
    each = [_answered(scaled(times, side * WITHIN), asked, tokens, replicas.mid) for side in (-1.0, 0.0, 1.0)]
    return RunServing(
        run=run.id,
        name=run.result.status.name,
        backend=asked.backend or run.backend,
        threads=threads,
        processor=processor_name(read_host()),
        times=times,
        output_tokens=tokens,
        asked_per_s=asked.rate_per_s,
        concurrency=asked.clients,
        replicas=replicas,
        each=each[1],
        most_per_s=most,
        p50_s=_range([one.p50_s for one in each]),
        p99_s=_range([one.p99_s for one in each]),
        usd_per_h=asked.usd_per_h,
        basis=BASIS,
    )


def _measured(run: FinishedRun, asked: Asked, threads: int, say: Callable[[str], None]) -> tuple[ServerTimes, bool]:
    """What its server takes, and whether it writes texts."""
    from zenplan.adapters.serving.app import app_of
    from zenplan.adapters.serving.connections import listening
    from zenplan.adapters.serving.probe import measured
    from zenplan.commands.run_serving.service import gate_of, service_of

    wanted = wanted_of(asked, threads)
    service = service_of(run, wanted, asked.backend, say)
    with listening("127.0.0.1", 0) as bound:
        app = app_of(service, gate_of(wanted), say)
        return measured(app, service, bound, allowed_cores() <= threads, say), service.writes


def wanted_of(asked: Asked, threads: int) -> Wanted:
    """The server that is measured: ``zenplan serve`` with these flags."""
    return Wanted(
        host="127.0.0.1",
        port=0,
        max_batch=asked.max_batch,
        max_wait_s=asked.wait_s,
        queue=max(_QUEUE, 4 * asked.max_batch),
        max_body_bytes=1 << 24,
        body_s=60.0,
        time_s=60.0,
        max_tokens=_MOST_TOKENS,
        drain_s=1.0,
        memory_bytes=None,
        threads=threads,
        usd_per_h=None,
        window=1000,
        threshold=0.2,
        token="",
    )


def scaled(times: ServerTimes, ln: float) -> ServerTimes:
    """As though all that works took so much longer, in ln."""
    factor = math.exp(ln)
    return replace(
        times,
        calls_s={size: factor * seconds for size, seconds in times.calls_s.items()},
        request_s=factor * times.request_s,
        batch_s=factor * times.batch_s,
        apart_s=factor * times.apart_s,
    )


def _replicas(asked: Asked, most_per_s: float) -> Range:
    """Servers that are at most so busy at the rate, or that have room for all who wait."""
    if asked.rate_per_s is None:
        return Range.exactly(float(math.ceil((asked.clients or 1) / _QUEUE)))
    planned = asked.rate_per_s / (BUSY * most_per_s)
    if planned > _MOST_SERVERS:
        raise UsageError(f"that takes {planned:,.0f} machines as this one", "a lower --rate")
    low, mid, high = (float(max(1, math.ceil(planned * math.exp(side * WITHIN)))) for side in (-1.0, 0.0, 1.0))
    return Range(low=low, mid=mid, high=high)


def _answered(times: ServerTimes, asked: Asked, tokens: int | None, replicas: float) -> Answered:
    """How one of them does."""
    rate = None if asked.rate_per_s is None else asked.rate_per_s / replicas
    clients = None if asked.clients is None else math.ceil(asked.clients / replicas)
    if tokens is None:
        return predicted(times, rate_per_s=rate, clients=clients)
    return written(times, tokens, rate_per_s=rate, clients=clients)


def _range(each: list[float]) -> Range:
    """The middle as it is, between what it is where all takes less, and more."""
    low, mid, high = each
    return Range(low=min(low, mid), mid=mid, high=max(mid, high))
