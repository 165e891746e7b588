"""``zenplan serve``: the model of a finished run behind HTTP."""

from __future__ import annotations

from zenplan.adapters.serving.app import app_of
from zenplan.adapters.serving.connections import listening
from zenplan.adapters.serving.server import Told, serve
from zenplan.commands.run_serving.service import gate_of, service_of
from zenplan.commands.run_serving.wanted import Wanted
from zenplan.commands.serve.screen import Screen
from zenplan.commands.train.finished import FinishedRun


def serve_run(run: FinishedRun, wanted: Wanted, backend: str | None, screen: Screen) -> int | None:
    """Serve it until a signal comes; what it returns is as of ``adapters.serving.server.serve``.

    Args:
        run: whose model answers.
        wanted: how it is served.
        backend: to answer on; None for that of the run.
        screen: that is told how it goes.
    """
    service = service_of(run, wanted, backend, screen.line)
    bound = listening(wanted.host, wanted.port)
    host, port = bound.getsockname()[:2]
    url = f"http{'s' if wanted.tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"
    told = Told(
        ready=lambda: screen.ready(service, url, bool(wanted.token)),
        line=screen.line,
        status=lambda: screen.status(service),
    )
    with bound:
        return serve(app_of(service, gate_of(wanted), screen.line), service, bound, wanted.drain_s, told, wanted.tls)
