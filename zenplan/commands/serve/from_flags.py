"""A server from the texts of flags, to its end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from importlib.util import find_spec

from zenplan.commands.serve.asked import wanted_of
from zenplan.commands.shared.output import warned
from zenplan.commands.train.finished import finished_run
from zenplan.errors import UnknownName, UsageError

_LIBRARIES = ("starlette", "uvicorn", "httptools", "uvloop", "prometheus_client")
_LOOPBACK = ("127.", "localhost", "::1")
_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
FORMS = ("table", "json")


def served(run: str, flags: Mapping[str, str], host: str, backend: str | None, token: str, form: str) -> int:
    """Serve the model of that run until a signal comes.

    Returns:
        The exit code.

    Raises:
        UsageError: a flag is wrong, the run is none that is finished, or the port is taken.
        ZenplanError: the model's worker does not come to be ready.
    """
    if form not in FORMS:
        raise UnknownName("format", form, FORMS)
    missing = next((each for each in _LIBRARIES if not find_spec(each)), None)
    if missing:
        raise UsageError(f"{missing} is not installed, and nothing is served without", "pip install 'zenplan[serve]'")
    wanted = wanted_of(flags, host, token)
    found = finished_run(run)
    if not token and not host.startswith(_LOOPBACK):
        warned(f"whoever reaches {host} can ask this model; ZENPLAN_SERVE_TOKEN=... asks for a token")
    from zenplan.commands.serve.screen import Screen
    from zenplan.commands.serve.use_case import serve_run

    cut = serve_run(found, wanted, backend, Screen(sys.stdout, sys.stderr, form == "json"))
    return _CODES.get(signal.Signals(cut), 1) if cut is not None else 0
