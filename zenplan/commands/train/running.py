"""``zenplan train`` from its flags to its exit code."""

from __future__ import annotations

import os
import sys

from zenplan.adapters.files.scratch import scratch
from zenplan.commands.shared import start
from zenplan.commands.shared.output import loaded_plugins, say, warned, write
from zenplan.commands.shared.progress import elapsed, staged
from zenplan.commands.train.ending import store
from zenplan.commands.train.flags import Flags
from zenplan.commands.train.past import resumable
from zenplan.commands.train.report import prediction_report, train_report
from zenplan.commands.train.screen import JsonLines, shown
from zenplan.commands.train.search.table import has_search
from zenplan.commands.train.session import Session, finished_at, session_of
from zenplan.commands.train.stopping import ENDS
from zenplan.commands.train.together import ranks_of
from zenplan.commands.train.use_case import Outcome
from zenplan.domain.measured.training_run import FINISHED
from zenplan.errors import UsageError, ZenplanError
from zenplan.plugins import Plugins
from zenplan.worker.protocol import Ranks


def run(flags: Flags) -> int:
    """Do it; the exit code."""
    ranks = ranks_of(os.environ)
    search = flags.file is not None and flags.resume is None and has_search(flags.file)
    if ranks is not None:
        _check_rank(flags, ranks, search)
    if flags.file is not None and search:
        from zenplan.commands.train.search.running import run_search

        return run_search(flags.file, flags)
    if flags.autoresume and (over := finished_at(flags)):
        write(sys.stdout, f"run {over} is finished\n")
        return 0
    began_s = start.began_s()
    with loaded_plugins() as plugins:
        if ranks is not None and ranks.rank:
            from zenplan.commands.train.rank import run_rank

            return run_rank(flags, ranks, plugins)
        with staged("preparing the data") as show, elapsed("counting the model") as tell:
            session = session_of(flags, plugins, warned, show, tell, began_s)
        if flags.dry_run:
            return _dry(session, plugins)
        with shown(session.format) as screen:
            outcome = session.go(screen)
        return _answer(outcome, session, plugins, flags.demo)


def _check_rank(flags: Flags, ranks: Ranks, search: bool) -> None:
    """Raise UsageError where this is not what several workers can do that another system has started."""
    what = "a search" if search else "--dry-run" if flags.dry_run else "--demo" if flags.demo else ""
    if what:
        raise UsageError(
            f"{what} is of one command, and this is RANK={ranks.rank} of {ranks.size}", "unset RANK, or give --workers"
        )
    if flags.out is None and flags.resume is None:
        raise UsageError(
            f"RANK={ranks.rank} of {ranks.size} has no folder that all of them share", "as in: --out /shared/run"
        )


def _dry(session: Session, plugins: Plugins) -> int:
    with scratch() as folder, shown("table") as screen:
        found = session.dry(screen, folder / "run")
    say(prediction_report(found, session.asked.name), session.format, plugins)
    return 0


def _sample(outcome: Outcome) -> tuple[str, ...]:
    from zenplan.commands.train.demo import written

    try:
        text = written(outcome.supervisor.asked, outcome.result)
    except ZenplanError as error:
        return (f"It writes nothing: {error.message}.",)
    return ("It writes:", *(f"    {line}" for line in text.strip().splitlines()[:12])) if text else ()


def _answer(outcome: Outcome, session: Session, plugins: Plugins, demo: bool) -> int:
    """What came out, on stdout; what went wrong, as an error; the exit code."""
    result, folder, format = outcome.result, session.place.folder, session.format
    status = result.status
    more = []
    if status.state == FINISHED and (kept := store(outcome.supervisor, result)):
        more.append(f"{kept[0].upper()}{kept[1:]}.")
    go_on = f"zenplan train --resume {status.id}"
    if status.state != FINISHED and resumable(status, folder):
        more.append(f"It goes on with: {go_on}")
    if outcome.error is not None:
        hint = go_on if resumable(status, folder) else outcome.error.hint
        error = UsageError if isinstance(outcome.error, UsageError) else ZenplanError
        raise error(outcome.error.message, outcome.error.hint if status.reason == "diverged" else hint)
    if format == "json":
        from zenplan.commands.train.document import run_document
        from zenplan.documents import published

        JsonLines().tell("result", "", {"result": published(run_document(result, str(folder)))})
    else:
        more += _sample(outcome) if demo and status.state == FINISHED else ()
        say(train_report(result, folder, more), format, plugins)
    code = status.exit_code or 0
    if code == ENDS["sigint"][1]:
        # A code of that number makes the program say that it was interrupted: with how to go on.
        write(sys.stderr, f"hint: {go_on}\n")
    return code
