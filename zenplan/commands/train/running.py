"""``zenplan train`` from its flags to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.files.scratch import scratch
from zenplan.adapters.run_folder.folder import JOB, REQUEST, take
from zenplan.adapters.run_folder.place import find_run, link, new_id, runs_folder
from zenplan.commands.calibrate.how import How, engines_of, how_of
from zenplan.commands.profile.use_case import profile as profile_of
from zenplan.commands.shared.options import PREPARE, parsed
from zenplan.commands.shared.output import loaded_plugins, say, warned, write
from zenplan.commands.shared.progress import elapsed, staged
from zenplan.commands.shared.request import settings_of
from zenplan.commands.shared.request_file import is_given, read_request
from zenplan.commands.shared.tables import catalogue
from zenplan.commands.train.asked import Asked, asked_run
from zenplan.commands.train.data import prepared_data
from zenplan.commands.train.evidence import store
from zenplan.commands.train.flags import BY_NAME, OPTIONS, option_of, parsed_train, read_train_table
from zenplan.commands.train.given import Flags
from zenplan.commands.train.known import world_of
from zenplan.commands.train.past import read_prediction, standing
from zenplan.commands.train.predict import World
from zenplan.commands.train.prepared import Prepared
from zenplan.commands.train.report import prediction_report, train_report
from zenplan.commands.train.request_text import request_text
from zenplan.commands.train.screen import JsonLines, shown
from zenplan.commands.train.stopping import ENDS
from zenplan.commands.train.use_case import Outcome, Place, dry_run, resumable, resumed_job, train
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.device import Profile
from zenplan.domain.measured.training_run import FINISHED
from zenplan.errors import UsageError, ZenplanError
from zenplan.plugins import Plugins
from zenplan.protocols import Engine
from zenplan.worker.protocol import Train

# What may be changed of a run that is gone on with: what ends it, and what it costs.
_OF_A_RESUMED: Final = ("max_usd", "max_hours", "usd_per_hour", "usd_per_kwh", "power", "mtbf")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """This machine, and what plugins give."""

    profile: Profile
    sheets: Catalogue
    plugins: Plugins


def run(flags: Flags) -> int:
    """Do it; the exit code."""
    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        here = _Here(profile=profile_of(sheets)[0], sheets=sheets, plugins=plugins)
        if flags.resume is not None:
            return _resumed(flags, here)
        demo = flags.demo
        if demo:
            from zenplan.commands.train.demo import demo_flags

            flags = demo_flags(flags)
        asked, engine, format = _asked(flags, here)
        world = _world(asked, here)
        if flags.dry_run:
            return _dry(asked, world, engine, here, format)
        id = new_id()
        folder = flags.out if flags.out is not None else runs_folder() / id
        place = Place(id=id, folder=folder)
        if flags.out is not None:
            link(id, folder)
        with shown(format) as screen:
            outcome = train(asked, world, place, engine, here.profile, screen, _baselines(asked))
        return _answer(outcome, folder, format, plugins, demo)


def _world(asked: Asked, here: _Here) -> World:
    with elapsed(f"train {asked.name}") as tell:
        return world_of(
            asked, here.profile, here.sheets, warned, lambda stage, seconds: tell(f"counting: {stage}", seconds)
        )


def _asked(flags: Flags, here: _Here) -> tuple[Asked, Engine, str]:
    """The run, its engine, and the format of the answer."""
    file = _of_file(flags.file)
    own = {name: value for name, value in flags.given.items() if is_given(value)}
    both = {**file, **own}
    options = {**both.pop(OPTIONS, {}), **dict(map(option_of, flags.options))}
    compiled = flags.compiled if flags.compiled is not None else both.pop("compiled", None)
    settings = settings_of(flags.output, {"precision": both.get("precision"), "optimizer": both.get("optimizer")})
    request = {**parsed(both), "keras": both.get("keras"), "optimizer": settings["optimizer"]}
    given = {**parsed_train(_train_flags(both)), OPTIONS: options}
    how = how_of(
        here.profile,
        device=given.get("device"),
        precision=settings["precision"],
        threads=given.get("threads"),
        compiled=compiled,
        minutes=1.0,
        strict=False,
    )
    engine = _engine(given.get("backend"), here.plugins)
    data = _data(both, flags)
    # The run goes on with the data as they were prepared for it.
    text = request_text({**both, "data": Path(data.folder), "backend": engine.name}, options, compiled)
    return asked_run(given, request, data, how, engine.name, text), engine, settings["format"]


def _of_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    return {**read_request(path), **read_train_table(path)}


def _train_flags(both: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in both.items() if name in BY_NAME}


def _engine(name: str | None, plugins: Plugins) -> Engine:
    found = engines_of(name, plugins.engines())
    if len(found) != 1:
        raise UsageError("a run is on one backend", "as in: --backend jax")
    return found[0]


def _data(both: Mapping[str, Any], flags: Flags) -> Prepared:
    """The data; of what they are prepared with, ``seed`` is the file's in ``[data]``: the flag is the run's."""
    names = {flag.name for flag in PREPARE} - {"seed"}
    settings = {
        **(read_request(flags.file, preparing=True) if flags.file else {}),
        **{name: value for name, value in flags.given.items() if name in names and is_given(value)},
    }
    with staged(f"preparing {both.get('data')}") as show:
        return prepared_data(both, settings, show)


def _dry(asked: Asked, world: World, engine: Engine, here: _Here, format: str) -> int:
    with scratch() as folder, shown("table") as screen:
        found = dry_run(asked, world, engine, here.profile, screen, folder / "run")
    say(prediction_report(found, asked.name), format, here.plugins)
    return 0


def _resumed(flags: Flags, here: _Here) -> int:
    """Go on with a run, as it was asked for; what ends it and what it costs may be given anew."""
    others = [name for name, value in flags.given.items() if is_given(value) and name not in _OF_A_RESUMED]
    others += ["file"] if flags.file else []
    if others or flags.options or flags.out or flags.demo or flags.dry_run:
        what = f"--{others[0].replace('_', '-')}" if others else "another option"
        raise UsageError(f"--resume goes on with a run as it was: {what} does not go with it", "leave it out")
    folder = find_run(flags.resume or "")
    status, _ = standing(folder)
    if status.state == FINISHED:
        raise UsageError(f"run {status.id} is finished", f"'zenplan runs show {status.id}' shows it")
    job = take(folder, JOB, Train)
    cores = int(here.profile.host.usable_cores or 1) or 1
    how = How(device=job.device, precision=job.precision, threads=min(job.threads, cores), compiled=job.compiled)
    asked, format = _asked_before(flags, folder, how, status.backend)
    asked = replace(asked, job=resumed_job(job, folder))
    place = Place(id=status.id, folder=folder, resumed=(status, read_prediction(folder)))
    with shown(format) as screen:
        world, engine = _world(asked, here), _engine(status.backend, here.plugins)
        outcome = train(asked, world, place, engine, here.profile, screen, _baselines(asked))
    return _answer(outcome, folder, format, here.plugins)


def _asked_before(flags: Flags, folder: Path, how: How, backend: str) -> tuple[Asked, str]:
    both = {**_of_file(folder / REQUEST), **{n: v for n, v in flags.given.items() if is_given(v)}}
    options, compiled = both.pop(OPTIONS, {}), both.pop("compiled", None)
    settings = settings_of(flags.output, {"precision": how.precision, "optimizer": both.get("optimizer")})
    request = {**parsed(both), "keras": both.get("keras"), "optimizer": settings["optimizer"]}
    given = {**parsed_train(_train_flags(both)), OPTIONS: options}
    text = request_text(both, options, compiled)
    return asked_run(given, request, _data(both, flags), how, backend, text), settings["format"]


def _baselines(asked: Asked) -> dict[str, dict[str, float]]:
    from zenplan.adapters.corpus.baseline import baselines

    data = asked.data
    try:
        return baselines(Path(data.folder), data.targets(), data.vocabulary, data.classes)
    except ZenplanError as error:
        warned(f"no baseline: {error.message}")
        return {}


def _sample(outcome: Outcome) -> tuple[str, ...]:
    from zenplan.commands.train.sample import written

    try:
        text = written(outcome.supervisor.asked, outcome.result)
    except ZenplanError as error:
        return (f"It writes nothing: {error.message}.",)
    return ("It writes:", *(f"    {line}" for line in text.strip().splitlines()[:12])) if text else ()


def _answer(outcome: Outcome, folder: Path, format: str, plugins: Plugins, demo: bool = False) -> int:
    """What came out, on stdout; what went wrong, as an error; the exit code."""
    result = outcome.result
    status = result.status
    more = []
    if status.state == FINISHED and (kept := store(outcome.supervisor, result)):
        more.append(f"{kept[0].upper()}{kept[1:]}.")
    go_on = f"zenplan train --resume {status.id}"
    if status.state != FINISHED and resumable(status, folder):
        more.append(f"It goes on with: {go_on}")
    if outcome.error is not None:
        hint = go_on if resumable(status, folder) else outcome.error.hint
        error = type(outcome.error) if type(outcome.error) in (UsageError, ZenplanError) else ZenplanError
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
