"""``zenplan diff``: two plans beside each other, and whether the new one may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zenplan.commands.shared.options import NoCalibrations
from zenplan.commands.shared.settings import Format, resolved


def diff(
    old: Annotated[Path, typer.Argument(help="A plan that --save wrote, or a request (.toml).", metavar="OLD")],
    new: Annotated[
        Path | None,
        typer.Argument(help="The same; none: the old plan's request, estimated now.", metavar="[NEW]"),
    ] = None,
    fail_over: Annotated[
        str | None,
        typer.Option("--fail-over", help="Exit code 3 if dollars grow by more: 10%, or 500.", metavar="LIMIT"),
    ] = None,
    fail_over_days: Annotated[
        str | None,
        typer.Option("--fail-over-days", help="The same for time: 10%, 2 (days) or 36h.", metavar="LIMIT"),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="A TOML file of rules that the new plan has to keep.", metavar="FILE"),
    ] = None,
    no_calibrations: NoCalibrations = False,
    output: Format = None,
) -> int:
    """Compare two plans: what changed, by how much, and whether that is within the old range.

    A request is estimated now, at today's prices; so is the old plan's own request where it stands alone. Rules of
    --policy: max_usd, max_days, max_usd_increase, allowed_regions and others. Exit code 3: a rule is broken.

    \b
    Examples:
      zenplan diff old.json new.json
      zenplan diff plan.json request.toml --fail-over 10% --format markdown
      zenplan diff plan.json --policy policy.toml
    """
    from zenplan.adapters.clock import today
    from zenplan.commands.diff.policy import rules_of
    from zenplan.commands.diff.report import diff_report
    from zenplan.commands.diff.use_case import diff as use_case
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.errors import NoFit

    settings = resolved(format=output)
    rules = rules_of(policy, fail_over, fail_over_days)
    with loaded_plugins() as plugins:
        found = use_case(old, new, plugins, not no_calibrations)
        findings = rules.findings(found, today())
        say(diff_report(found, rules, findings, today()), settings["format"], plugins)
    return NoFit.exit_code if rules.broken(findings) else 0
