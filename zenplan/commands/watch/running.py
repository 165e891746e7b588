"""``zenplan watch`` from its flags to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from zenplan.adapters.notify import Notifier
from zenplan.commands.shared.output import loaded_plugins, say, write
from zenplan.commands.train.document import run_document
from zenplan.commands.train.past import Starting
from zenplan.commands.train.report import train_report
from zenplan.commands.train.screen import JsonLines, Unseen, rows_of, shown
from zenplan.commands.watch.alarming import Sender, found_in
from zenplan.commands.watch.following import Followed
from zenplan.commands.watch.sources import Source, newest, source_of
from zenplan.commands.watch.use_case import Watched, code_of, gone, said, watch
from zenplan.documents import published
from zenplan.domain.measured.training_run import RUNNING
from zenplan.errors import UnknownName

FORMATS = ("table", "json")


def watched(run: str, token: str, notify: Sequence[str], once: bool, format: str) -> int:
    """Follow that run; the exit code."""
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    notifier = Notifier(notify) if notify else None
    with source_of(run, token) as source:
        if once:
            return _once(source, format)
        with shown(format) as screen:
            found = watch(source, screen, Sender(notifier, screen))
        return _answer(found, format)


def _answer(found: Watched, format: str) -> int:
    if found.result is None:
        write(sys.stdout, "" if format == "json" else f"{said(found.status)}\n")
    elif format == "json":
        result, folder = found.result
        JsonLines().tell("result", "", {"result": published(run_document(result, str(folder)))})
    else:
        with loaded_plugins() as plugins:
            say(train_report(*found.result), format, plugins)
    return code_of(found.status)


def _once(source: Source, format: str) -> int:
    """How it stands now, on stdout."""
    run = Followed(source, Unseen())
    try:
        run.look()
    except Starting as error:
        if format == "json":
            JsonLines().tell("starting", error.message, {})
        else:
            write(sys.stdout, f"{error.message}\n")
        return 0
    view, status = run.view(), run.status
    if why := run.gone:
        raise gone(status, why)
    if status.state != RUNNING:
        return _answer(Watched(status=status, result=newest(source, status)), format)
    alarms = found_in(run, view)
    if format == "json":
        lines = JsonLines()
        lines.update(view)
        for kind, text in alarms.items():
            lines.tell("alarm", f"alarm: {text}", {"kind": kind})
        return 0
    where = f" on {status.host}, process {status.pid}" if status.host else ""
    rows = [("run", f"{status.id}{where}"), ("model", f"{view.name} on {view.backend}"), *rows_of(view)]
    rows += [("alive", run.unsure)] if run.unsure else []
    rows += [("alarm", text) for text in alarms.values()]
    width = max(len(name) for name, _ in rows)
    write(sys.stdout, "".join(f"{name:<{width}}  {value}\n" for name, value in rows))
    return 0
