"""``zenplan launch``: a plan's run on a cluster or a cloud, through the files of that system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.settings import Format


def _option(flag: str, text: str, metavar: str, panel: str | None = None) -> Any:
    return typer.Option(flag, help=text, metavar=metavar, rich_help_panel=panel)


_RUN, _SYSTEM, _LIMITS = "The run", "The system", "Limits"
Text = str | None


def launch(
    plan: Annotated[
        Path,
        typer.Argument(
            help="A plan of 'estimate' or 'layouts' in JSON, or a request file with [train].", metavar="PLAN"
        ),
    ],
    on: Annotated[str, _option("--on", "slurm, kubernetes, skypilot, dstack, ray, kinetic, or a plugin's.", "SYSTEM")],
    submit: Annotated[bool, typer.Option("--submit", help="Hand the files to the system's own client.")] = False,
    out: Annotated[Path | None, _option("--out", "Folder of the files; launch-SYSTEM by default.", "FOLDER")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that were edited.")] = False,
    train: Annotated[
        Path | None, _option("--train", "What is trained; run.toml beside the plan by default.", "FILE", _RUN)
    ] = None,
    data: Annotated[
        Text, _option("--data", "The data, as all nodes call them; by default those of the file.", "PATH", _RUN)
    ] = None,
    name: Annotated[Text, _option("--name", "Of the job.", "NAME", _RUN)] = None,
    run_folder: Annotated[
        Text, _option("--run-folder", "Where the run is kept, as all nodes see it.", "FOLDER", _RUN)
    ] = None,
    spot: Annotated[
        bool | None, typer.Option("--spot/--on-demand", help="By default as the plan.", rich_help_panel=_RUN)
    ] = None,
    retries: Annotated[
        Text, _option("--retries", "New starts after machines were taken; 0, on spot 10.", "COUNT", _RUN)
    ] = None,
    nodes: Annotated[Text, _option("--nodes", "Machines, where the plan is a request file.", "COUNT", _RUN)] = None,
    gpus_per_node: Annotated[
        Text, _option("--gpus-per-node", "Devices of each, one rank a device; for a request file.", "COUNT", _RUN)
    ] = None,
    gpu: Annotated[Text, _option("--gpu", "Which they are, for a request file; else processors.", "NAME", _RUN)] = None,
    max_usd: Annotated[Text, _option("--max-usd", "By default the plan's upper end.", "USD", _LIMITS)] = None,
    max_hours: Annotated[Text, _option("--max-hours", "By default the plan's upper end.", "NUMBER", _LIMITS)] = None,
    usd_per_hour: Annotated[
        Text, _option("--usd-per-hour", "Of one machine with its devices; by default the plan's price.", "USD", _LIMITS)
    ] = None,
    shared: Annotated[
        Text, _option("--shared", "Folder of data and runs that all nodes see, as they call it.", "FOLDER", _SYSTEM)
    ] = None,
    volume: Annotated[
        Text, _option("--volume", "What is mounted there: a claim, a bucket, a volume.", "NAME", _SYSTEM)
    ] = None,
    env: Annotated[
        list[str] | None, _option("--env", "A variable of every rank; several times.", "NAME=VALUE", _SYSTEM)
    ] = None,
    option: Annotated[
        list[str] | None, _option("--option", "Of the system: partition=gpu; several times.", "NAME=VALUE", _SYSTEM)
    ] = None,
    accelerator: Annotated[
        Text, _option("--accelerator", "What the system calls the devices.", "NAME", _SYSTEM)
    ] = None,
    image: Annotated[Text, _option("--image", "Container, where the system has one.", "IMAGE", _SYSTEM)] = None,
    venv: Annotated[
        Text,
        _option("--venv", "An environment on the nodes that has zenplan; nothing is installed.", "FOLDER", _SYSTEM),
    ] = None,
    package: Annotated[
        Text,
        _option("--package", "What nodes install: a wheel's path or URL, or a requirement.", "PACKAGE", _SYSTEM),
    ] = None,
    port: Annotated[Text, _option("--port", "Of the rendezvous.", "COUNT", _SYSTEM)] = None,
    output: Format = None,
) -> None:
    """Write the files that run a plan on a cluster or a cloud, and hand them over with --submit.

    'zenplan train' is started once for each rank, and goes on with its run where the job is begun again. It ends at the
    plan's upper end in hours and dollars, or at --max-hours and --max-usd. Files that were edited since are kept.

    \b
    Examples:
      zenplan launch plan.json --on slurm --option partition=gpu
      zenplan launch plan.json --on dstack --shared /data --volume runs --spot
      zenplan launch run.toml --on slurm --nodes 2 --max-hours 24
    """
    from zenplan.commands.launch.asked import Asked
    from zenplan.commands.launch.report import launch_report
    from zenplan.commands.launch.submitting import hand_over
    from zenplan.commands.launch.use_case import launch as use_case
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.settings import resolved

    given = locals()
    settings = resolved(format=output)
    asked = Asked.of({key: given[key] for key in Asked.FLAGS}, tuple(env or ()), tuple(option or ()))
    with loaded_plugins() as plugins:
        found = use_case(asked, plugins)
        say(launch_report(found), settings["format"], plugins)
        if submit:
            hand_over(found, settings["format"] == "json")
