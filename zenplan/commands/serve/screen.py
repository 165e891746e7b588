"""What a server says of itself: lines for people, or an object a line."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any, TextIO

import msgspec

from zenplan import units
from zenplan.adapters.serving.schema import GENERATE, PREDICT
from zenplan.adapters.serving.service import Service
from zenplan.commands.shared.output import write

# Letters of a body that a line still has room for.
_MOST_BODY = 400


@dataclass(frozen=True, slots=True)
class Screen:
    """Where it is said."""

    out: TextIO
    err: TextIO
    as_json: bool

    def ready(self, service: Service, url: str, with_token: bool) -> None:
        """The model is warm."""
        curl = example(service, url, with_token)
        if self.as_json:
            serving = service.worker.serving
            setup_s = serving.setup_s if serving is not None else None
            self._object("ready", run=service.name, url=url, example=curl, setup_s=setup_s)
        else:
            self._line(f"serving {service.name} on {url}\n{curl}")

    def line(self, text: str) -> None:
        """A warning, or what has happened."""
        if self.as_json:
            self._object("warning", text=text)
        else:
            write(self.err, f"warning: {text}\n")
            self.err.flush()

    def status(self, service: Service) -> None:
        """How it goes."""
        metrics = service.metrics
        p50, p99 = metrics.quantile_s(0.5), metrics.quantile_s(0.99)
        if self.as_json:
            figures: dict[str, Any] = {"requests": metrics.answered, "requests_per_s": metrics.rate_per_s}
            figures |= {"p50_s": p50, "p99_s": p99, "mean_batch": metrics.mean_batch}
            self._object("status", **figures, usd_per_1000_requests=metrics.usd_per_thousand)
            return
        parts = [units.many(metrics.answered, "request"), f"{units.significant(metrics.rate_per_s)}/s"]
        if p50 is not None and p99 is not None:
            parts.append(f"p50 {units.significant(1e3 * p50)} ms, p99 {units.significant(1e3 * p99)} ms")
        if metrics.mean_batch is not None:
            parts.append(f"{units.significant(metrics.mean_batch)} samples a batch")
        if metrics.usd_per_thousand is not None:
            parts.append(f"{units.usd(metrics.usd_per_thousand)} per 1000 requests")
        self._line(" · ".join(parts))

    def _object(self, event: str, **fields: Any) -> None:
        self._line(msgspec.json.encode({"event": event, **fields}).decode())

    def _line(self, text: str) -> None:
        write(self.out, f"{text}\n")
        self.out.flush()


def example(service: Service, url: str, with_token: bool) -> str:
    """A command that asks the model, with a sample of its own data."""
    route = GENERATE if service.writes else PREDICT
    bearer = ' -H "Authorization: Bearer $ZENPLAN_SERVE_TOKEN"' if with_token else ""
    body = json.dumps(service.example)
    kind = "-H 'Content-Type: application/json'"
    if len(body) <= _MOST_BODY:
        return f"curl {url}{route}{bearer} {kind} -d {shlex.quote(body)}"
    return f"curl -s{bearer} {url}/example | curl {url}{route}{bearer} {kind} -d @-"
