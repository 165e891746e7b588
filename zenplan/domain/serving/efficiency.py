"""ServingEfficiency: what fraction of a data sheet a device reaches when it serves, and what software adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from zenplan.domain import checks
from zenplan.domain.fit.coefficients import Coefficient
from zenplan.domain.fit.efficiency import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingEfficiency:
    """The coefficients of one replica; a number each, or columns of as many replicas.

    Attributes:
        memory: fraction of the bandwidth at which weights are read.
        cache: fraction of it at which keys and values are.
        decode: fraction of the dense peak that products of a step reach, of one token a request.
        prompt: fraction of it that products over a prompt reach.
        layer_s: fixed time of a layer in a pass, on the device: kernels that begin, wait and end.
        step_s: fixed time of a pass on the host: scheduling, sampling.
        request_s: what each request adds to a pass: sampling, detokenising, its stream.
        arrival_s: what a request waits before its first pass, whatever its length: the network, its text made tokens.
        reduction: what a tensor-parallel all-reduce takes, over what the link model of training says.
    """

    memory: Any
    cache: Any
    decode: Any
    prompt: Any
    layer_s: Any
    step_s: Any
    request_s: Any
    arrival_s: Any
    reduction: Any


NAMES = tuple(f.name for f in fields(ServingEfficiency))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFit:
    """The fitted coefficients, and how far measurements of left-out publishers were from them.

    Attributes:
        all: by the field of ``ServingEfficiency``.
        throughput, ttft, tpot: intervals of measured over predicted time: of a token, of the first one, between two.
        source: which fit, on what, when.
    """

    all: Mapping[str, Coefficient]
    throughput: Interval
    ttft: Interval
    tpot: Interval
    source: str

    def __post_init__(self) -> None:
        checks.named("serving fit", source=self.source)

    def of(self, groups: tuple[str, ...]) -> ServingEfficiency:
        """The coefficients of a replica in these groups."""
        return ServingEfficiency(**{name: self.all[name].of(*groups) for name in NAMES})
