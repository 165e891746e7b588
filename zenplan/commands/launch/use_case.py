"""``zenplan launch``: one job of a plan, its files in a folder, and their hand-over."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from zenplan.commands.launch.asked import Asked
from zenplan.commands.launch.launched import LAUNCH, Launched
from zenplan.commands.launch.planned import Planned, planned
from zenplan.commands.launch.trained import RUN, Trained, read_trained, whole_path
from zenplan.commands.launch.written import write_files
from zenplan.commands.shared.tables import catalogue
from zenplan.commands.train.together import together_of
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.launch.job import NAME, PORT, LaunchJob
from zenplan.errors import DataError, UnknownName, UsageError
from zenplan.plugins import Plugins
from zenplan.protocols import Engine
from zenplan.units import HOUR_S
from zenplan.version import __version__

_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# New starts on machines that can be taken away, unless --retries says another number (assumed).
_SPOT_RETRIES: Final = 10
_TENSORFLOW: Final = "tensorflow"


def launch(asked: Asked, plugins: Plugins) -> Launched:
    """Write the files.

    Raises:
        ZenplanError: the plan or the request file cannot be read, they cannot be run there, a file was edited.
    """
    launchers = plugins.launchers()
    launcher = next((each for each in launchers if each.name == asked.on), None)
    if launcher is None:
        raise UnknownName("system", asked.on, (each.name for each in launchers))
    plan = planned(asked)
    file = asked.train or (asked.plan if not plan.name else asked.plan.parent / RUN)
    trained, engine = read_trained(file, plugins.engines())
    sheet = catalogue(plugins).by_name(plan.accelerator) if plan.accelerator else None
    folder = asked.out or Path(f"launch-{launcher.name}")
    job = _job(asked, plan, trained, engine, sheet, folder)
    files = {**job.files, **_checked(launcher.write(job), launcher.name, job)}
    submission = launcher.submit(job)
    found = Launched(
        system=launcher.name,
        job=job,
        folder=folder,
        files=files,
        submission=submission,
        notes=(*_differences(plan, trained), *trained.notes(), *submission.notes),
    )
    write_files(found, asked.overwrite)
    return found


def _checked(files: Mapping[str, str], system: str, job: LaunchJob) -> Mapping[str, str]:
    for name in files:
        if not _FILE.fullmatch(name) or name in (LAUNCH, *job.files):
            raise DataError(f"{system} writes a file {name!r}, which is no name for one")
    return files


def _job(
    asked: Asked, plan: Planned, trained: Trained, engine: Engine, sheet: Accelerator | None, folder: Path
) -> LaunchJob:
    device = None if sheet is not None and sheet.threads is not None else sheet
    _check(plan, trained, engine)
    hours = _hours(asked, plan, trained)
    usd = asked.max_usd or _least(trained.max_usd, plan.max_usd)
    name = asked.name or _label(plan.name or trained.path.stem)
    run = asked.run_folder or f"{asked.shared or whole_path(folder)}/{name}"
    try:
        return LaunchJob(
            name=name,
            command=_command(asked, plan, trained, run, hours, usd),
            files={RUN: trained.text},
            nodes=plan.nodes,
            node_ranks=plan.node_ranks,
            accelerator=device,
            accelerator_name=asked.accelerator or "",
            provider=plan.provider,
            region=plan.region,
            environment=asked.environment,
            shared=(asked.shared or "").rstrip("/"),
            volume=asked.volume or "",
            run_folder=run,
            port=asked.port,
            spot=plan.spot,
            retries=asked.retries if asked.retries is not None else _SPOT_RETRIES if plan.spot else 0,
            requirements=() if asked.venv else trained.requirements(engine, device.vendor if device else ""),
            image=asked.image or "",
            options=asked.options,
            zenplan_version=__version__,
            plan_sha256=plan.sha256,
            max_duration_s=hours * HOUR_S,
            max_usd=usd,
            usd_per_h=plan.usd_per_h,
        )
    except DataError as error:
        # All of it was given.
        raise UsageError(error.message.removeprefix("job: "), "'zenplan launch --help' says what is taken") from error


def _hours(asked: Asked, plan: Planned, trained: Trained) -> float:
    """That the run may take. Raises UsageError: nothing says it."""
    found = asked.max_hours or _least(trained.max_hours, plan.max_duration_s and plan.max_duration_s / HOUR_S)
    if found is None:
        raise UsageError(
            "nothing says how long the run may take, and nobody should be billed for longer",
            "--max-hours says it; a plan of 'zenplan estimate' does too",
        )
    return found


def _command(
    asked: Asked, plan: Planned, trained: Trained, run: str, hours: float, usd: float | None
) -> tuple[str, ...]:
    """The words that each rank is started with: flags come before the file, and limits are rounded up.

    Args:
        asked: what was asked for.
        plan: whose layout and price it has.
        trained: what is trained.
        run: the folder of the run.
        hours, usd: its limits.
    """
    program = f"{asked.venv.rstrip('/')}/bin/zenplan" if asked.venv else "zenplan"
    words = [program, "train", RUN, "--out", run, "--autoresume", *trained.moved(asked.shared or "")]
    for name, value in plan.tensor_parallel.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--max-hours", f"{math.ceil(hours * 1e4) / 1e4:.4f}"]
    words += ["--max-usd", f"{math.ceil(usd * 100) / 100:.2f}"] if usd is not None else []
    # Of one machine: the run counts them.
    words += ["--usd-per-hour", f"{plan.usd_per_h / plan.nodes:.4f}"] if plan.usd_per_h is not None else []
    return tuple(words)


def _check(plan: Planned, trained: Trained, engine: Engine) -> None:
    """Raise UsageError where ranks could not train it together: each of them would say the same once it is there."""
    ranks = plan.nodes * plan.node_ranks
    texts = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "there", **dict.fromkeys(("RANK", "LOCAL_RANK"), "0")}
    together = together_of({**trained.together, **plan.tensor_parallel}, engine, {**texts, "MASTER_PORT": str(PORT)})
    if together.devices > 1 and ranks > 1:
        raise UsageError(f"{trained.path} has devices, and each of {ranks} ranks has one", "leave devices out")
    if trained.batch is not None and trained.batch % together.replicas:
        raise UsageError(
            f"a batch of {trained.batch} samples is no multiple of the plan's {together.replicas} replicas",
            f"another batch in {trained.path}, and in the plan",
        )


def _differences(plan: Planned, trained: Trained) -> Iterator[str]:
    """In what the run is not what was planned: its time and its bill are another's."""
    if plan.batch is not None and trained.batch is not None and plan.batch != trained.batch:
        yield f"the plan is of a batch of {plan.batch} samples, {trained.path} of {trained.batch}"
    precision = trained.given.get("precision")
    if plan.precision is not None and precision is not None and plan.precision != precision:
        yield f"the plan is in {plan.precision}, {trained.path} in {precision}"
    if plan.layout is not None and plan.layout.zero > 0:
        yield f"the plan divides what the optimizer holds (ZeRO {plan.layout.zero}); every device of the run holds all"
    if plan.usd_per_h is None and trained.given.get("usd_per_hour") is None:
        yield "no price of an hour is known: no limit of dollars holds, and that of hours does"
    if trained.backend == _TENSORFLOW and plan.accelerator:
        yield "zenplan[tensorflow] is of processors: --venv names an environment that has CUDA"


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _label(text: str) -> str:
    """A name for the job, of that of a model or a file."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:38].rstrip("-")
    return plain if NAME.fullmatch(plain) else f"run-{plain}"[:40].rstrip("-")
