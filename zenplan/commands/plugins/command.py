"""``zenplan plugins``: what each plugin gives."""

from __future__ import annotations

from zenplan.commands.shared.settings import Format, resolved


def plugins(output: Format = None) -> None:
    """List plugins: name, version, distribution, hooks, items, and what was left out and why.

    \b
    Examples:
      zenplan plugins
      zenplan plugins --format json
    """
    from zenplan.commands.plugins.report import plugins_report
    from zenplan.commands.shared.output import say
    from zenplan.plugins import load_plugins

    settings, found = resolved(format=output), load_plugins()
    # Every hook is called for the counts, and only then all problems are known.
    infos = found.infos()
    say(plugins_report(infos, found.problems()), settings["format"], found)
