"""``zenplan profile``: the machine as it is."""

from __future__ import annotations

from zenplan.commands.shared.settings import Format, resolved


def profile(output: Format = None) -> None:
    """Show the GPUs of this machine, read over NVML, each with its data sheet, and the host.

    A counter that a device does not have is said to be not supported; it is never shown as 0.

    \b
    Examples:
      zenplan profile
      zenplan profile --format json
    """
    from zenplan.commands.profile.report import profile_report
    from zenplan.commands.profile.use_case import profile as use_case
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue

    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        taken, of_devices, why = use_case(sheets)
        report = profile_report(taken, of_devices, why, sheets.by_processor(taken.host.cpu_model.value or ""))
        say(report, settings["format"], plugins)
