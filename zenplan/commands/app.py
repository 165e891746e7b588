"""The commands by name. Each is imported and built when it is asked for: starting takes no longer than Typer does."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from zenplan.commands.shared.help import Grouped

# What runs a command, ``module:name`` in this package, and its line in the list: there is room for 58 letters.
ROOMS: Final = {
    "estimate": ("estimate.command:estimate", "Time, GPU-hours, dollars and memory of a training run."),
    "train": ("train.command:train", "The run itself: predicted, watched, stopped in time."),
    "watch": ("watch.command:watch", "A run that goes on elsewhere: its panel, and alarms."),
    "stop": ("stop.command:stop", "End a run elsewhere, with a checkpoint."),
    "launch": ("launch.command:launch", "The run on a cluster or a cloud: its files, its caps."),
    "federate": ("federate.command:federate", "The run among clients that keep their rows, with Flower."),
    "export": ("export.command:export", "The model of a run for others: Keras, ONNX, LiteRT, checked."),
    "compress": ("compress.command:compress", "Smaller versions of a run's model, and the best one."),
    "runs": ("runs.command:runs_app", "Training runs: list, show, compare, remove."),
    "retrain-plan": ("retrain_plan.command:retrain_plan", "When to train again, by drift and what it costs."),
    "explain": ("explain.command:explain", "What a trained model's answers come from."),
    "serve": ("serve.command:serve", "A trained model over HTTP: batches, limits, metrics, drift."),
    "compare": ("compare.command:compare", "Accelerators, clouds, methods, sizes side by side."),
    "what-if": ("what_if.command:what_if", "The same plan with another price, amount, speed."),
    "buy": ("buy.command:buy", "Hardware of one's own against the cheapest rent."),
    "serve-cost": ("serve_cost.command:serve_cost", "GPUs, latency, dollars of a language model that answers."),
    "diff": ("diff.command:diff", "Two plans: what changed, and whether it may."),
    "report": ("report.command:report", "A saved plan as one HTML page, for others to read."),
    "layouts": ("layouts.command:layouts", "The best layouts of a step on so many devices."),
    "count": ("count.command:count", "Parameters, FLOP and activations of any Keras model."),
    "backtest": ("backtest.command:backtest", "Measured runs of a table beside what is predicted."),
    "profile": ("profile.command:profile", "The GPUs of this machine, their data sheets, and the host."),
    "calibrate": ("calibrate.command:calibrate", "Measure this machine, and predict a model it has never run."),
    "calibrations": (
        "calibrations.command:calibrations_app",
        "What was measured here: list, show, share, remove.",
    ),
    "accelerators": (
        "accelerators.command:accelerators_app",
        "Accelerators, or one data sheet with its sources.",
    ),
    "prices": ("prices.command:prices_app", "What offers cost, fetched where that is wanted."),
    "data": ("data.command:data_app", "Files to train on: counted, or prepared for a run."),
    "workloads": ("workloads.command:workloads_app", "Named models, or one operator by operator."),
    "plugins": ("plugins.command:plugins_app", "Plugins: list, check, or begin one of your own."),
    "config": ("config.command:config", "Each setting, and where its value comes from."),
}
# The variable through which a shell asks for completions.
COMPLETION: Final = "_ZENPLAN_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish", "powershell", "pwsh")


class _Built(MutableMapping[str, Any]):
    """Commands by name, each imported and built when it is asked for."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = dict.fromkeys(ROOMS)

    def __getitem__(self, name: str) -> Any:
        if self._built[name] is None:
            self._built[name] = _build(name)
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._built)

    def __len__(self) -> int:
        return len(self._built)


def _build(name: str) -> Any:
    module, _, attribute = ROOMS[name][0].partition(":")
    room = getattr(import_module(f"zenplan.commands.{module}"), attribute)
    if not isinstance(room, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name, cls=Grouped)(room)
        room = alone
    command = typer.main.get_command(room)
    command.name = name
    return command


class _Commands(TyperGroup):
    """zenplan's commands. The list of them needs none of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Built()

    def list_commands(self, _: Any) -> list[str]:
        """Their names, in order."""
        return list(ROOMS)

    def format_commands(self, _: Any, formatter: Any) -> None:
        """The list of them in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in ROOMS.items()])


app = typer.Typer(
    name="zenplan",
    cls=_Commands,
    help="""What a training run takes: time, GPU-hours, dollars and memory, before you pay for it.

    Begin with 'zenplan estimate --params 1e9'; 'zenplan COMMAND --help' has examples.

    Exit codes: 0 done, 1 error, as in a file or data, 2 wrong usage, 3 the answer is no, 130 interrupted.""",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from zenplan.version import __version__

        typer.echo(f"zenplan {__version__}")
        raise typer.Exit


def _completion(shell: str | None) -> None:
    """Print the script that completes commands and options in that shell. Nothing is installed."""
    if shell is None:
        return
    from zenplan.errors import UsageError

    if shell not in _SHELLS:
        raise UsageError(f"no completion for the shell '{shell}'", f"there is one for {', '.join(_SHELLS)}")
    os.environ[COMPLETION] = f"source_{shell}"
    try:
        complete()
    finally:
        del os.environ[COMPLETION]


def complete() -> None:
    """Answer a shell that asks for completions through that variable, and leave."""
    import typer.completion

    # What Typer asks for when it completes makes the shells known to it.
    typer.completion.get_completion_inspect_parameters()
    app(args=[], prog_name="zenplan", standalone_mode=False)


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    show_completion: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            callback=_completion,
            is_eager=True,
            help="Show the completion script of a shell: bash, zsh, fish, powershell.",
            metavar="SHELL",
        ),
    ] = None,
    _plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="A Python file that is a plugin, in any command.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Before any command: exit with 1 where something of a plugin is left out.")
    ] = False,
) -> None:
    if strict:
        from zenplan.commands.shared.output import strictly

        context.with_resource(strictly())
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
