"""Runs elsewhere, from Python: launched, watched, stopped. Arguments are as in ``zenplan.api``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zenplan.arguments import flags, unseen
from zenplan.results import Launch, TrainedRun, result

Number = float | str
Names = str | Sequence[str]
File = str | os.PathLike[str]


def watch(
    run: File,
    *,
    once: bool = False,
    token: str | None = None,
    notify: Names | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> TrainedRun:
    """Follow a run that another process, or another machine, does, and return it once it is over. As ``zenplan watch``.

    How it ended is its ``status``: one that failed is returned as well.

    Args:
        run: its id, folder, or "https://host:port".
        once: return it as it stands now.
        token: of its endpoint.
        notify: addresses that are told of alarms and the end, as Apprise has them.
        progress: called with the share that is done, 0 to 1, and a line.

    Raises:
        UsageError: there is no such run, or it is no address that may be asked.
        ZenplanError: it cannot be seen, was killed, or gives no sign of life.
    """
    from zenplan.commands.watch.from_python import followed

    several = (notify,) if isinstance(notify, str) else tuple(notify or ())
    found, folder = followed(os.fspath(run), token or "", several, once, progress or unseen)
    return result(TrainedRun, found, folder=folder)


def stop(
    run: File,
    *,
    no_wait: bool = False,
    token: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> TrainedRun:
    """End a run with a checkpoint, wait until it has ended, and return it. As ``zenplan stop``.

    One that is over, or was killed, is returned as it is; ``train`` goes on with it by ``resume``.

    Args:
        run: its id, folder, or "https://host:port".
        no_wait: return it once the order is given.
        token: of its endpoint.
        progress: called with 0, and a line.

    Raises:
        UsageError: there is no such run, or it is no address that may be asked.
        ZenplanError: it cannot be told, or does not end.
    """
    from zenplan.commands.stop.from_python import stopped

    found, folder = stopped(os.fspath(run), token or "", not no_wait, progress or unseen)
    return result(TrainedRun, found, folder=folder)


def launch(
    plan: File,
    *,
    on: str,
    submit: bool = False,
    out: File | None = None,
    overwrite: bool = False,
    train: File | None = None,
    data: File | None = None,
    name: str | None = None,
    run_folder: File | None = None,
    spot: bool | None = None,
    retries: Number | None = None,
    nodes: Number | None = None,
    gpus_per_node: Number | None = None,
    gpu: str | None = None,
    max_usd: Number | None = None,
    max_hours: Number | None = None,
    usd_per_hour: Number | None = None,
    shared: File | None = None,
    volume: str | None = None,
    env: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    accelerator: str | None = None,
    image: str | None = None,
    venv: File | None = None,
    package: File | None = None,
    port: Number | None = None,
) -> Launch:
    """Write the files that run a plan on a cluster or a cloud, and hand them over where asked. As ``zenplan launch``.

    Args:
        plan: a file that ``Answer.save`` wrote, or a request file with [train].
        on: slurm, kubernetes, skypilot, dstack, ray, kinetic, or a plugin's.
        submit: hand the files to the system's own client.
        out: folder of the files; None for ``launch-SYSTEM``.
        overwrite: replace files that were edited.
        train: what is trained; None for run.toml beside the plan.
        data: the data, as all nodes call them; None for those of what is trained.
        name: of the job.
        run_folder: where the run is kept, as all nodes see it.
        spot: on machines that can be taken away; None as the plan.
        retries: new starts after machines were taken.
        nodes, gpus_per_node, gpu: machines and their devices, where the plan is a request file.
        max_usd, max_hours: the run ends before; None for the plan's upper end.
        usd_per_hour: of one machine with its devices; None for the plan's price.
        shared, volume: folder that all nodes see, and what is mounted there.
        env, options: variables of every rank, and what else the system takes, by name.
        accelerator: what the system calls the devices.
        image, venv, package: a container, an environment on the nodes, or what nodes install.
        port: of the rendezvous.

    Raises:
        UsageError: an argument is wrong, or the plan cannot be run there.
        ZenplanError: a file was edited, cannot be read or written, or the client failed.
    """
    given = dict(locals())
    for each in ("submit", "env", "options"):
        del given[each]
    files = {each: given.pop(each) for each in ("plan", "out", "train")}
    texts = flags({key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in given.items()})
    paths = {key: None if value is None else Path(value) for key, value in files.items()}
    from zenplan.commands.launch.from_python import launched

    found = launched({**texts, **paths, "spot": spot, "overwrite": overwrite}, env or {}, options or {}, submit)
    return result(Launch, found)
