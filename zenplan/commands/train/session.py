"""From what was given to a run that can begin: its data prepared, its model counted, its folder named."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zenplan.adapters.files.weights import check_weights
from zenplan.adapters.run_folder.folder import JOB, REQUEST, STATUS, forget_beginning, take
from zenplan.adapters.run_folder.place import find_run, new_id, runs_folder
from zenplan.adapters.settings.settings import Settings
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.calibrate.how import How, engines_of, how_of
from zenplan.commands.profile.use_case import profile as profile_of
from zenplan.commands.shared.options import parsed
from zenplan.commands.shared.preparing import PREPARE
from zenplan.commands.shared.request import settings_of
from zenplan.commands.shared.request_file import read_request
from zenplan.commands.shared.tables import catalogue
from zenplan.commands.train.as_begun import OF_A_RESUMED, check_as_begun, given_of, of_file
from zenplan.commands.train.asked import Asked, asked_run, request_text
from zenplan.commands.train.data import Prepared, prepared_data
from zenplan.commands.train.flags import OPTIONS, Flags, parsed_train
from zenplan.commands.train.known import world_of
from zenplan.commands.train.past import read_prediction, resumed_job, standing
from zenplan.commands.train.predict import World
from zenplan.commands.train.screen import Screen
from zenplan.commands.train.together import Together, doubts, ranks_of, shared_anew, together_of
from zenplan.commands.train.tracking import trackers_of
from zenplan.commands.train.use_case import Outcome, Place, dry_run, train
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.device import Profile
from zenplan.domain.measured.training_run import FINISHED, RunPrediction
from zenplan.errors import UsageError, ZenplanError
from zenplan.plugins import Plugins
from zenplan.protocols import Engine, Tracker
from zenplan.worker.protocol import Event, Train


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """This machine, what plugins give, and who is told of what goes on before a run.

    Attributes:
        warn: told a line of what is not known.
        show: told the share that is done of preparing data, and what is being done.
        tell: told the stage and the seconds of counting the model.
        began_s: when the command was started, by the monotonic clock.
    """

    profile: Profile
    sheets: Catalogue
    plugins: Plugins
    warn: Callable[[str], None]
    show: Callable[[float, str], None]
    tell: Callable[[str, float], None]
    began_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run that can begin.

    Attributes:
        format: of the answer.
        began_s: when the command was started, by the monotonic clock.
    """

    asked: Asked
    world: World
    place: Place
    engine: Engine
    profile: Profile
    baselines: Mapping[str, Mapping[str, float]]
    trackers: tuple[Tracker, ...]
    format: str
    began_s: float

    def go(
        self,
        screen: Screen,
        judge: Callable[[int, float], bool] | None = None,
        heard: Callable[[Event], None] | None = None,
    ) -> Outcome:
        """Run it, to its end or until something ends it, ``judge`` among that. Arguments and errors as of
        ``use_case.train``."""
        return train(
            self.asked,
            self.world,
            self.place,
            self.engine,
            self.profile,
            screen,
            self.baselines,
            self.trackers,
            judge=judge,
            heard=heard,
            began_s=self.began_s,
        )

    def dry(self, screen: Screen, folder: Path) -> RunPrediction:
        """What is predicted of it, which is not done; in a folder that is thrown away. Raises as ``use_case.dry_run``."""
        return dry_run(self.asked, self.world, self.engine, self.profile, screen, folder, self.began_s)


def session_of(flags: Flags, plugins: Plugins, warn: Any, show: Any, tell: Any, began_s: float) -> Session:
    """The run that was asked for, or that is to be gone on with.

    Args:
        flags: as they were given.
        plugins: that are loaded.
        warn, show, tell, began_s: as of ``Here``.

    Raises:
        UsageError: something of it is wrong, or does not go together; DataError: there is nothing to train on.
    """
    if flags.autoresume:
        flags = _autoresumed(flags)
    sheets = catalogue(plugins)
    profile = profile_of(sheets)[0]
    here = Here(profile=profile, sheets=sheets, plugins=plugins, warn=warn, show=show, tell=tell, began_s=began_s)
    if flags.resume is not None:
        return _resumed(flags, here)
    if flags.demo:
        from zenplan.commands.train.demo import demo_flags

        flags = demo_flags(flags)
    asked, engine, format = _asked(flags, here)
    id = new_id()
    folder = flags.out if flags.out is not None else runs_folder() / id
    return _session(asked, Place(id=id, folder=folder), engine, here, format)


def job_of_rank(flags: Flags, folder: Path, plugins: Plugins, warn: Any, show: Any) -> tuple[Train, str, Engine]:
    """The job of one of several workers of a run that rank 0 leads, its backend and its engine.

    Args:
        folder: of the run; one that is gone on with says there what it is.
        flags, plugins, warn, show: as of ``session_of``, and its errors.
    """
    if flags.resume is not None or (flags.autoresume and (folder / STATUS).exists()):
        status, job = standing(folder)[0], take(folder, JOB, Train)
        engine = _engine(status.backend, plugins)
        flags = flags if flags.resume is not None else _autoresumed(flags)
        return shared_anew(job, _on_now(job, flags, engine)), status.backend, engine
    sheets = catalogue(plugins)
    unseen: Any = lambda *_: None  # noqa: E731 - nothing is counted
    here = Here(
        profile=profile_of(sheets)[0], sheets=sheets, plugins=plugins, warn=warn, show=show, tell=unseen, began_s=0.0
    )
    asked, engine, _ = _asked(flags, here)
    return asked.job, asked.backend, engine


def _session(asked: Asked, place: Place, engine: Engine, here: Here, format: str) -> Session:
    if asked.endpoint is not None:
        asked.endpoint.check()
    return Session(
        asked=asked,
        trackers=trackers_of(asked.trackers, here.plugins.trackers()) if asked.trackers else (),
        world=world_of(asked, here.profile, here.sheets, here.warn, here.tell),
        place=place,
        engine=engine,
        profile=here.profile,
        baselines=_baselines(asked, here),
        format=format,
        began_s=here.began_s,
    )


def _asked(flags: Flags, here: Here) -> tuple[Asked, Engine, str]:
    """The run, its engine, and the format of the answer."""
    both = given_of(flags)
    options, compiled = both.pop(OPTIONS, {}), both.pop("compiled", None)
    given, request, settings = _parsed(both, options, both.get("precision"), flags.output)
    engine = _engine(given.get("backend"), here.plugins)
    together = together_of(given, engine, os.environ)
    cores = int(here.profile.host.usable_cores or 1) or 1
    shared = max(1, cores // together.workers) if together.workers > 1 else None
    how = how_of(
        here.profile,
        device=given.get("device"),
        precision=settings["precision"],
        threads=given.get("threads") or shared,
        compiled=compiled,
        minutes=1.0,
        strict=False,
    )
    if not (together.ranks and together.ranks.rank):
        for line in doubts(given, together, engine, cores if how.device == "cpu" else None):
            here.warn(line)
    if given.get("weights") and find_spec("safetensors"):
        # The worker reads them, once all else is built: what is no such file is said before.
        check_weights(Path(given["weights"]))
    data = _data(both, flags, here)
    # The run goes on with the data as they were prepared for it.
    text = request_text({**both, "data": Path(data.folder), "backend": engine.name}, options, compiled)
    return asked_run(given, request, data, how, engine.name, text, together), engine, settings["format"]


def _parsed(
    both: Mapping[str, Any], options: Mapping[str, Any], precision: str | None, output: str | None
) -> tuple[dict[str, Any], dict[str, Any], Settings]:
    """Values of the flags of a run and of a request, and the settings."""
    settings = settings_of(output, {"precision": precision, "optimizer": both.get("optimizer")})
    request = {**parsed(both), "keras": both.get("keras"), "optimizer": settings["optimizer"]}
    return {**parsed_train(both), OPTIONS: options}, request, settings


def _engine(name: str | None, plugins: Plugins) -> Engine:
    found = engines_of(name, plugins.engines())
    if len(found) != 1:
        raise UsageError("a run is on one backend", "as in: --backend jax")
    if found[0].name in BACKENDS and not find_spec("safetensors"):
        raise UsageError(
            "safetensors is not installed, and no checkpoint is written without", "pip install 'zenplan[train]'"
        )
    return found[0]


def _data(both: Mapping[str, Any], flags: Flags, here: Here) -> Prepared:
    """The data; of what they are prepared with, ``seed`` is the file's in ``[data]``: the flag is the run's."""
    names = {flag.name for flag in PREPARE} - {"seed"}
    settings = {
        **(read_request(flags.file, preparing=True) if flags.file else {}),
        **{name: value for name, value in flags.own.items() if name in names},
    }
    return prepared_data(both, settings, here.show)


def finished_at(flags: Flags) -> str:
    """The id of the run at ``--out``, once it is finished; else empty. Raises as ``check_as_begun``."""
    if flags.out is None or not (flags.out / STATUS).exists():
        return ""
    status, _ = standing(flags.out)
    if status.state != FINISHED:
        return ""
    check_as_begun(flags, flags.out)
    return status.id


def _autoresumed(flags: Flags) -> Flags:
    """What begins the run, or goes on with the one that is at its folder: as that was begun, and only its limits anew.

    Raises:
        UsageError: no folder is named.
    """
    if flags.out is None or flags.resume is not None:
        raise UsageError("--autoresume goes on with the run at --out", "as in: --out FOLDER --autoresume")
    if (flags.out / STATUS).exists():
        check_as_begun(flags, flags.out)
        # A limit that was lowered in the file holds as one on the command line does.
        given = {name: value for name, value in given_of(flags).items() if name in OF_A_RESUMED}
        return Flags(given=given, resume=str(flags.out.absolute()), output=flags.output)
    forget_beginning(flags.out)
    return flags


def _resumed(flags: Flags, here: Here) -> Session:
    """Go on with a run, as it was asked for; what ends it and what it costs may be given anew."""
    others = [name for name in flags.own if name not in OF_A_RESUMED]
    also = {"option": flags.options, "out": flags.out, "demo": flags.demo, "dry_run": flags.dry_run}
    others += [name for name, value in also.items() if value]
    if others or flags.file:
        what = f"--{others[0].replace('_', '-')}" if others else f"a file, {flags.file},"
        raise UsageError(f"--resume goes on with a run as it was: {what} does not go with it", "leave it out")
    folder = find_run(flags.resume or "")
    status, _ = standing(folder)
    if status.state == FINISHED:
        raise UsageError(f"run {status.id} is finished", f"'zenplan runs show {status.id}' shows it")
    job = take(folder, JOB, Train)
    if job.federated is not None:
        raise UsageError(f"run {status.id} is of clients, and is not gone on with", "begin anew: zenplan federate")
    cores = int(here.profile.host.usable_cores or 1) or 1
    how = How(device=job.device, precision=job.precision, threads=min(job.threads, cores), compiled=job.compiled)
    both = {**of_file(folder / REQUEST), **flags.own}
    given, request, settings = _parsed(both, both.get(OPTIONS, {}), how.precision, flags.output)
    # The text of the file is in the folder, and not written anew.
    engine = _engine(status.backend, here.plugins)
    together = _on_now(job, flags, engine)
    for line in doubts(parsed_train(flags.own), together, engine, cores if how.device == "cpu" else None):
        here.warn(line)
    asked = asked_run(given, request, _data(both, flags, here), how, status.backend, "", together)
    asked = replace(asked, job=shared_anew(resumed_job(job, folder), together))
    place = Place(id=status.id, folder=folder, resumed=(status, read_prediction(folder)))
    return _session(asked, place, engine, here, settings["format"])


def _on_now(job: Train, flags: Flags, engine: Engine) -> Together:
    """Who trains a run that is gone on with: as many as before, where nothing else is said."""
    before = {"devices": job.devices, "tensor_parallel": job.tensor_parallel, "zero": job.zero}
    if ranks_of(os.environ) is None:
        # A launcher says itself how many they are now.
        before["workers"] = job.workers
    return together_of({**before, **parsed_train(flags.own)}, engine, os.environ)


def _baselines(asked: Asked, here: Here) -> dict[str, dict[str, float]]:
    from zenplan.adapters.corpus.baseline import baselines

    data = asked.data
    try:
        return baselines(Path(data.folder), data.targets(), data.vocabulary, data.classes)
    except ZenplanError as error:
        here.warn(f"no baseline: {error.message}")
        return {}
