"""A search from the flags of ``zenplan train`` to its exit code."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from zenplan import units
from zenplan.adapters.files.folders import check_folder
from zenplan.adapters.run_folder.folder import put, put_json
from zenplan.adapters.run_folder.place import new_id, runs_folder
from zenplan.commands.shared import start
from zenplan.commands.shared.output import loaded_plugins, say, warned, write
from zenplan.commands.shared.progress import elapsed, staged
from zenplan.commands.shared.request import settings_of
from zenplan.commands.train.flags import LIMITS, Flags
from zenplan.commands.train.screen import JsonLines, Screen, shown
from zenplan.commands.train.search.report import search_document_of, search_report
from zenplan.commands.train.search.table import read_search
from zenplan.commands.train.search.use_case import Trial, Trials, total
from zenplan.commands.train.session import Session, session_of
from zenplan.documents import published
from zenplan.errors import UsageError
from zenplan.plugins import Plugins

RESULT, _KEY = "search.json", ".search"


def run_search(file: Path, flags: Flags) -> int:
    """Do it; the exit code."""
    began_s = start.began_s()
    format = settings_of(flags.output, {})["format"]
    with loaded_plugins() as plugins:

        def begin(each: Flags) -> Session:
            now_s = time.monotonic()
            with staged("preparing the data") as show, elapsed("counting the model") as tell:
                return session_of(each, plugins, warned, show, tell, now_s)

        trials, planned = begun(file, flags, begin, lambda: shown(format), began_s)
        if flags.dry_run:
            say(search_report(planned, None, trials.out), format, plugins)
            return 0
        document = searched(trials, planned, file)
        return _answer(trials, document, format, plugins)


def begun(
    file: Path,
    flags: Flags,
    begin: Callable[[Flags], Session],
    shown: Callable[[], AbstractContextManager[Screen]],
    began_s: float,
) -> tuple[Trials, list[Trial]]:
    """The search of a file, and its trials with what is predicted of each, which is said.

    Args:
        file, flags: that ask for it.
        begin, shown, began_s: as of ``Trials``.

    Raises:
        UsageError: something of it is wrong; NoFit: money is not enough for one trial.
    """
    out = flags.out if flags.out is not None else runs_folder() / f"search-{new_id()}"
    trials = Trials(search=read_search(file), flags=flags, out=out, begin=begin, shown=shown, began_s=began_s)
    planned = trials.predict()
    with shown() as screen:
        screen.tell("search", _predicted(planned), {"trials": sum(not trial.why for trial in planned)})
    return trials, planned


def searched(trials: Trials, planned: Sequence[Trial], file: Path) -> dict[str, Any]:
    """Run them; the document of what came out, which is in the folder. Raises UsageError: the folder is of another."""
    _claim(trials.out, file, trials.flags)
    trials.run(planned)
    document = published(search_document_of(trials.found, trials.best, trials.out))
    put_json(trials.out, RESULT, document)
    return document


def _predicted(planned: Sequence[Trial]) -> str:
    """What all of it takes, in a line."""
    time, usd = total(planned, lambda each: each.run_s), total(planned, lambda each: each.usd)
    count = sum(not trial.why for trial in planned)
    what = units.many(count, "trial") if count == len(planned) else f"{count} of {units.many(len(planned), 'trial')}"
    lines = [
        f"predicted: {what}",
        f"{units.duration(time.mid)} at most" if time else "",
        units.usd(usd.mid) if usd else "",
    ]
    return ", ".join(line for line in lines if line)


def _claim(out: Path, file: Path, flags: Flags) -> None:
    """The folder is of this search, or was made for it now."""
    given = {name: value for name, value in flags.own.items() if name not in LIMITS}
    told = repr((file.read_bytes(), sorted(given.items()), flags.options, flags.compiled))
    key = hashlib.sha256(told.encode()).hexdigest()
    mark = out / _KEY
    check_folder(out, "name another folder: --out PATH")
    if mark.exists():
        if mark.read_text(encoding="utf-8").strip() != key:
            raise UsageError(f"{out} is of another search", "name another folder: --out PATH")
        return
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty", "name a new folder: --out PATH")
    out.mkdir(parents=True, exist_ok=True)
    put(out, _KEY, key + "\n")


def _answer(trials: Trials, document: dict[str, Any], format: str, plugins: Plugins) -> int:
    """What came out, on stdout; the exit code."""
    if format == "json":
        JsonLines().tell("result", "", {"result": document})
    else:
        say(search_report(trials.found, trials.best, trials.out), format, plugins)
    if trials.reason:
        write(sys.stderr, f"hint: the same command with --out {trials.out} goes on with it\n")
    return trials.exit_code
