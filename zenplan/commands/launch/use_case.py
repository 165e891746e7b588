"""``zenplan launch``: one job of a plan, its files in a folder, and their hand-over."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from zenplan import units
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.launch.asked import Asked
from zenplan.commands.launch.compared import differences, early
from zenplan.commands.launch.launched import LAUNCH, Launched
from zenplan.commands.launch.package import Package, package_of
from zenplan.commands.launch.places import unseen
from zenplan.commands.launch.planned import Planned, planned
from zenplan.commands.launch.trained import RUN, Trained, read_trained, whole_path
from zenplan.commands.launch.written import write_files
from zenplan.commands.shared.tables import catalogue
from zenplan.commands.train.asked import OPTIMIZERS
from zenplan.commands.train.together import Together, together_of
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.launch.job import NAME, PORT, LaunchJob, Submission
from zenplan.domain.training.several import undivided
from zenplan.errors import DataError, NoFit, UnknownName, UsageError
from zenplan.plugins import Plugins
from zenplan.protocols import Engine, several_of
from zenplan.units import HOUR_S
from zenplan.version import __version__

_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# New starts on machines that can be taken away, unless --retries says another number (assumed).
_SPOT_RETRIES: Final = 10
# Engines by the vendors whose devices they run on as pip installs them; AMD's need wheels of their own.
_RUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "Google": ("jax",),
    "AWS": (),
    "Intel": (),
    "Graphcore": (),
    "Huawei": (),
}


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
    trained, engine = read_trained(file, plugins.engines(), asked.data or "")
    sheet = catalogue(plugins).by_name(plan.accelerator) if plan.accelerator else None
    folder = asked.out or Path(f"launch-{launcher.name}")
    package = _package(asked)
    together = _together(plan, trained, engine)
    _check(plan, trained, together)
    _check_devices(asked, plan, trained, _device(sheet), together.zero)
    job = _job(asked, plan, trained, engine, sheet, folder, package)
    files = {**job.files, **_checked(launcher.write(job), launcher.name, job)}
    submission = launcher.submit(job)
    compared = (
        *differences(plan, trained, together.zero),
        *early(plan, job.max_duration_s / HOUR_S, job.max_usd, job.usd_per_h),
    )
    where = (*_there(asked, trained), *unseen(asked, trained, job.run_folder, folder))
    unused = _unused(job, files, submission)
    here = (*where, *unused, *_installed(package, job, files), *_machines(asked, plan, sheet))
    found = Launched(
        system=launcher.name,
        job=job,
        folder=folder,
        files=files,
        submission=submission,
        wheel=package.wheel,
        limits=_limits(asked, trained, job),
        notes=(*compared, *trained.notes(), *here, *submission.notes),
    )
    write_files(found, asked.overwrite)
    return found


def _checked(files: Mapping[str, str], system: str, job: LaunchJob) -> Mapping[str, str]:
    for name in files:
        if not _FILE.fullmatch(name) or name in (LAUNCH, *job.files):
            raise DataError(f"{system} writes a file {name!r}, which is no name for one")
    return files


def _job(
    asked: Asked,
    plan: Planned,
    trained: Trained,
    engine: Engine,
    sheet: Accelerator | None,
    folder: Path,
    package: Package,
) -> LaunchJob:
    device = _device(sheet)
    hours = _hours(asked, plan, trained)
    usd, price, price_of = _dollars(asked, plan, trained)
    name = asked.name or _label(plan.name or trained.path.stem)
    run = asked.run_folder or f"{asked.shared or whole_path(folder)}/{name}"
    try:
        return LaunchJob(
            name=name,
            command=_command(asked, plan, trained, run, hours, usd, price, several_of(engine).shards),
            files={RUN: trained.text},
            nodes=plan.nodes,
            node_ranks=plan.node_ranks,
            accelerator=device,
            accelerator_name=asked.accelerator or "",
            rank_cpus=_rank_cpus(trained, sheet),
            provider=plan.provider,
            region=plan.region,
            environment=asked.environment,
            shared=(asked.shared or "").rstrip("/"),
            volume=asked.volume or "",
            run_folder=run,
            port=asked.port,
            spot=plan.spot,
            retries=asked.retries if asked.retries is not None else _SPOT_RETRIES if plan.spot else 0,
            requirements=() if asked.venv else trained.requirements(engine, device.vendor if device else "", package),
            package=package.file,
            image=asked.image or "",
            options=asked.options,
            zenplan_version=__version__,
            plan_sha256=plan.sha256,
            max_duration_s=hours * HOUR_S,
            max_usd=usd,
            usd_per_h=price,
            price_of=price_of,
        )
    except DataError as error:
        # All of it was given.
        raise UsageError(error.message.removeprefix("job: "), "'zenplan launch --help' says what is taken") from error


def _device(sheet: Accelerator | None) -> Accelerator | None:
    """What a rank has beside its processor; None where the plan is of processors."""
    return None if sheet is not None and sheet.threads is not None else sheet


def _rank_cpus(trained: Trained, sheet: Accelerator | None) -> int | None:
    """Cores of a rank: the threads of the file, those of the processor that the plan is of; None where nothing says it."""
    threads = trained.number("threads", 10**5)
    return threads or (sheet.multiprocessors if sheet is not None and sheet.threads is not None else None)


def _dollars(asked: Asked, plan: Planned, trained: Trained) -> tuple[float | None, float | None, str]:
    """That it may cost, the price of an hour, and whose that is. Raises UsageError: a limit that nobody could count."""
    usd = asked.max_usd or _least(trained.max_usd, plan.max_usd)
    price, price_of = _price(asked, plan, trained)
    # Of a machine of one's own the run counts electricity.
    if usd is not None and price is None and trained.given.get("usd_per_kwh") is None:
        raise UsageError(
            f"nothing ends the run at {usd:,.2f} dollars: no price of an hour is known", "--usd-per-hour says it"
        )
    return usd, price, price_of


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
    asked: Asked,
    plan: Planned,
    trained: Trained,
    run: str,
    hours: float,
    usd: float | None,
    price: float | None,
    shards: bool,
) -> tuple[str, ...]:
    """The words that each rank is started with: flags come before the file, and limits are rounded up.

    Args:
        asked: what was asked for.
        plan: whose layout and price it has.
        trained: what is trained.
        run: the folder of the run.
        hours, usd: its limits.
        price: of an hour of all machines; None where it is not known.
        shards: as of ``Planned.laid_out``.
    """
    program = f"{asked.venv.rstrip('/')}/bin/zenplan" if asked.venv else "zenplan"
    words = [program, "train", RUN, "--out", run, "--autoresume", *trained.moved(asked.shared or "")]
    for name, value in plan.laid_out(shards).items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--max-hours", f"{math.ceil(hours * 1e4) / 1e4:.4f}"]
    words += ["--max-usd", f"{math.ceil(usd * 100) / 100:.2f}"] if usd is not None else []
    # Of one machine: the run counts them.
    words += ["--usd-per-hour", f"{price / plan.nodes:.4f}"] if price is not None else []
    return tuple(words)


def _check(plan: Planned, trained: Trained, together: Together) -> None:
    """Raise UsageError where ranks could not train it together: each of them would say the same once it is there."""
    optimizer = OPTIMIZERS.get(str(trained.given.get("optimizer") or "adamw"), ("", 0.0))[0]
    compiled, quantize = trained.given.get("compiled"), str(trained.given.get("quantize") or "")
    if together.zero and (why := undivided(optimizer, compiled, quantize)):
        raise UsageError(*why)
    if together.devices > 1 and plan.ranks > 1:
        raise UsageError(f"{trained.path} has devices, and each of {plan.ranks} ranks has one", "leave devices out")
    if trained.batch is not None and trained.batch % together.replicas:
        raise UsageError(
            f"a batch of {trained.batch} samples is no multiple of the plan's {together.replicas} replicas",
            f"another batch in {trained.path}, and in the plan",
        )


def _together(plan: Planned, trained: Trained, engine: Engine) -> Together:
    """Who trains it: the ranks of the plan, laid out as it says where the engine can."""
    texts = {"WORLD_SIZE": str(plan.ranks), "MASTER_ADDR": "there", **dict.fromkeys(("RANK", "LOCAL_RANK"), "0")}
    several = several_of(engine)
    laid_out = plan.laid_out(several.shards)
    if not several.divides and laid_out.get("tensor_parallel", 1) > 1:
        other = "--software fsdp plans with ZeRO alone; or " if several.shards else ""
        raise UsageError(
            f"the plan divides matrices over {laid_out['tensor_parallel']} devices, which {engine.name} does not",
            f'{other}backend = "jax" in {trained.path}',
        )
    return together_of({**trained.together, **laid_out}, engine, {**texts, "MASTER_PORT": str(PORT)})


def _price(asked: Asked, plan: Planned, trained: Trained) -> tuple[float | None, str]:
    """Of an hour of all machines, and whose it is: as given, of the plan, of the file."""
    if asked.usd_per_hour is not None:
        return asked.usd_per_hour * plan.nodes, "as given"
    if plan.usd_per_h is not None:
        return plan.usd_per_h, plan.price_of
    if trained.usd_per_hour is not None:
        return trained.usd_per_hour * plan.nodes, f"of {trained.path.name}"
    return None, ""


def _limits(asked: Asked, trained: Trained, job: LaunchJob) -> str:
    """Whose each limit is, and which ends it first."""

    def of(given: float | None, own: float | None, taken: float | None) -> str:
        if given is not None:
            return "as given"
        return f"of {trained.path.name}" if own is not None and own == taken else "the plan's upper end"

    hours = of(asked.max_hours, trained.max_hours, job.max_duration_s / HOUR_S)
    if job.max_usd is None:
        return hours
    usd = of(asked.max_usd, trained.max_usd, job.max_usd)
    both = hours if hours == usd else f"hours {hours}, dollars {usd}"
    if not job.usd_per_h:
        return both
    end_s = job.max_usd / job.usd_per_h * HOUR_S
    first = f"dollars, after {units.duration(end_s)}" if end_s < job.max_duration_s else "hours"
    return f"{both}; first: {first}"


def _package(asked: Asked) -> Package:
    if asked.package is not None and asked.venv is not None:
        raise UsageError("--venv has zenplan, and --package installs it", "give one")
    return package_of(asked.package)


def _installed(package: Package, job: LaunchJob, files: Mapping[str, str]) -> Iterator[str]:
    """Where nodes get zenplan from, of systems that install it."""
    first = next(iter(job.requirements), "")
    installs = bool(first) and any(first in text for text in files.values())
    if package.index and installs:
        yield f"nodes install {first}: this release must be on a package index that they reach, or --package names a wheel"
    if installs and job.accelerator is not None and job.accelerator.vendor == "AMD":
        yield "wheels of a package index are not AMD's: --image or --venv names what has an engine for ROCm"
    if not package.index and not installs and not package.file:
        yield "nothing is installed there: --package changes nothing"


def _unused(job: LaunchJob, files: Mapping[str, str], submission: Submission) -> Iterator[str]:
    """What was given of the system, and stands in none of its files."""
    whole = "\n".join([*files.values(), *submission.command, *submission.notes])
    for flag, value in (("--image", job.image), ("--volume", job.volume), ("--accelerator", job.accelerator_name)):
        if value and value not in whole and flag not in whole:
            yield f"{flag} {value} changes nothing there: nothing of it is in the files"


def _there(asked: Asked, trained: Trained) -> Iterator[str]:
    """What must be there before the run begins."""
    for flag, path in trained.paths():
        there = trained.there(path, asked.shared or "")
        if asked.shared and there != str(path):
            yield f"{flag} is read from {there} on the nodes: put {path} there first"
        elif asked.shared and path.is_absolute() and not path.is_relative_to(asked.shared):
            yield f"{flag} is read from {there} on the nodes, which is not below {asked.shared}: it has to be there already"
        elif not asked.shared and path.name != there and not path.exists():
            yield f"{flag}: {whole_path(path)} does not exist here, where nodes read it"


def _machines(asked: Asked, plan: Planned, sheet: Accelerator | None) -> Iterator[str]:
    """In what the machines are not those that were asked for."""
    if plan.idle:
        yield f"the plan uses {plan.ranks - plan.idle} of the {plan.ranks} devices of its machines, the run all of them"
    elif plan.wanted is not None and plan.wanted != plan.ranks:
        yield f"the plan was asked for {plan.wanted} devices, and its machines have {plan.ranks}: the run uses all of them"
    usual = max(sheet.node_devices, sheet.link_devices or 0) if sheet else 0
    if sheet and sheet.threads is None and asked.gpus_per_node and asked.gpus_per_node > usual:
        yield f"{asked.gpus_per_node} devices a node: the usual machine of {sheet.name} has {sheet.node_devices}"


def _check_devices(asked: Asked, plan: Planned, trained: Trained, device: Accelerator | None, zero: int) -> None:
    """Raise UsageError where devices are not named or the engine does not run on them; NoFit where they are too small."""
    if asked.gpus_per_node and not plan.accelerator and trained.given.get("device") != "cpu":
        raise UsageError(
            "--gpus-per-node without --gpu asks the system for no devices",
            '--gpu H100 says which; or device = "cpu" in [train]',
        )
    able: Sequence[str] | None = _RUNS.get(device.vendor) if device else None
    if device and able is not None and trained.backend in BACKENDS and trained.backend not in able:
        other = f"backend = {' or '.join(able)}" if able else "a plan of other devices"
        raise UsageError(f"{trained.backend} does not run on {device.name}", f"{other}; or a plugin's engine")
    if plan.layout is None or plan.layout.zero == 0 or plan.whole_bytes is None or plan.device_bytes is None:
        return
    if not zero and not plan.fits_whole:
        raise NoFit(
            f"the plan fits by ZeRO {plan.layout.zero} alone, and each device of the run holds all: "
            f"{units.size(plan.whole_bytes)} at least, of {units.size(plan.device_bytes)}",
            'backend = "torch" has ZeRO 3; zenplan estimate --software keras plans without it; a smaller model; or '
            "--tensor-parallel, on JAX",
        )


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _label(text: str) -> str:
    """A name for the job, of that of a model or a file."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:38].rstrip("-")
    return plain if NAME.fullmatch(plain) else f"run-{plain}"[:40].rstrip("-")
