"""``zenplan federate`` from its flags to its exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from zenplan.adapters.run_folder.folder import put_json
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.federate.asked import federated_of
from zenplan.commands.federate.document import federation_document
from zenplan.commands.federate.environment import ENGINE, VARIABLE, lines
from zenplan.commands.federate.report import federation_report
from zenplan.commands.federate.use_case import Federating, central_flags, central_of, central_run, federated_session
from zenplan.commands.shared import start
from zenplan.commands.shared.output import loaded_plugins, say, warned, write
from zenplan.commands.shared.progress import elapsed, staged
from zenplan.commands.train.flags import Flags
from zenplan.commands.train.screen import JsonLines, shown
from zenplan.commands.train.session import session_of
from zenplan.documents import published
from zenplan.errors import UnknownName, UsageError, ZenplanError
from zenplan.plugins import Plugins
from zenplan.protocols import Engine

FILE = "federation.json"


def told_how(backend: str | None) -> int:
    """Print the lines that make the environment."""
    if backend is not None and backend not in BACKENDS:
        raise UnknownName("backend", backend, BACKENDS)
    write(sys.stdout, "\n".join(lines(backend or BACKENDS[0])) + "\n")
    return 0


def run(flags: Flags, given: Mapping[str, str | None], compare: bool, python: Path | None) -> int:
    """Do it; the exit code."""
    federated, rounds = federated_of(given)
    if python is not None:
        os.environ[VARIABLE] = str(python.absolute())
    began_s = start.began_s()
    with loaded_plugins() as plugins:
        engine = _engine(plugins)
        with staged("preparing the data") as show, elapsed("counting the model") as tell:
            session = session_of(flags, plugins, warned, show, tell, began_s)
            session = federated_session(session, engine, federated, rounds)
            same = central_flags(flags, rounds * federated.local_epochs, session)
            beside = session_of(same, plugins, warned, show, tell, start.began_s()) if compare else None
        central = central_of(session.asked)
        watched = Federating(federated=federated, rounds=rounds)
        with shown(session.format) as screen:
            watched.screen = screen
            if beside is not None:
                central = central_run(beside, screen)
                # The time of the other run is not its own.
                session = replace(session, began_s=time.monotonic())
            outcome = session.go(screen, heard=watched.hear)
        if outcome.error is not None:
            error = UsageError if isinstance(outcome.error, UsageError) else ZenplanError
            raise error(outcome.error.message, outcome.error.hint)
        found = watched.found(central)
        document = published(federation_document(outcome.result, found))
        put_json(session.place.folder, FILE, document)
        if session.format == "json":
            # A line for each event, as of 'zenplan train'.
            JsonLines().tell("result", "", {"result": document})
            return outcome.result.status.exit_code or 0
        say(federation_report(outcome.result, found, session.place.folder), session.format, plugins)
        return outcome.result.status.exit_code or 0


def _engine(plugins: Plugins) -> Engine:
    """The engine of federations; what is missing of it is said before anything is prepared.

    Raises:
        UsageError: its plugin, or its environment, is not there.
    """
    found = next((each for each in plugins.engines() if each.name == ENGINE), None)
    if found is None:
        raise UsageError("zenplan-flower is not installed, which federates", "pip install zenplan-flower")
    found.worker()
    return found
