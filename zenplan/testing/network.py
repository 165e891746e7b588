"""zenplan's own network, as ``zenplan prices refresh`` gives it to a price source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zenplan.adapters.http.client import HttpClient


def network() -> HttpClient:
    """A context that is an ``Http``: as patient with a busy server as it is, but for short pauses; it keeps no answers."""
    from zenplan.adapters.http.client import HttpClient, Limits

    return HttpClient(Limits(backoff_s=0.01))
