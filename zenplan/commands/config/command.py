"""``zenplan config``: each setting and its origin."""

from __future__ import annotations

from zenplan.commands.shared.settings import Format, resolved


def config(output: Format = None) -> None:
    """Show each setting and where its value comes from: flag, variable, file or default.

    \b
    Examples:
      zenplan config
      zenplan config --format json
    """
    from zenplan.commands.config.report import config_report
    from zenplan.commands.shared.output import say
    from zenplan.plugins import load_plugins

    settings, found = resolved(format=output), load_plugins()
    say(config_report(settings), settings["format"], found)
