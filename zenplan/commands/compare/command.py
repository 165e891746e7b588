"""``zenplan compare``: the same training with something else, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zenplan.commands.shared import options
from zenplan.commands.shared.settings import Format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@options.takes(*options.RUN, several=True)
def compare(
    no_calibrations: options.NoCalibrations = False,
    request: options.RequestFile = None,
    output: Format = None,
    **given: Any,
) -> int:
    """Compare accelerators, providers, methods, sizes: any flag that is given more than once.

    Each combination is an estimate of its own, shown by its recommended plan. Without any flag given twice,
    accelerators are compared. Exit code 3: none can be run, or none meets the deadline or the budget.

    \b
    Examples:
      zenplan compare --params 7B --gpu A100 --gpu H100
      zenplan compare --model llama3-8b --tokens 10M --method lora --method qlora
      zenplan compare --params 1e9 --provider aws --provider gcp --provider azure
    """
    from zenplan.commands.compare.use_case import combinations
    from zenplan.commands.shared.request_file import is_given, lines_named, with_request

    names, combined = combinations(given)
    with lines_named(request, given):
        of_file = with_request(request, {})
        filled = [{**c, **{n: v for n, v in of_file.items() if not is_given(c.get(n))}} for c in combined]
        return _answer(output, names, filled, not no_calibrations)


def _answer(output: str | None, names: tuple[str, ...], combined: Sequence[Mapping[str, Any]], calibrated: bool) -> int:
    from zenplan.commands.compare.report import comparison_report
    from zenplan.commands.compare.use_case import DEFAULT, compare, each_accelerator, ranked
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins, say, warned
    from zenplan.commands.shared.progress import progress
    from zenplan.commands.shared.request import asked, settings_of
    from zenplan.errors import NoFit

    with loaded_plugins() as plugins, progress("compare") as show:
        # Not asked in full: counting a model or data takes seconds, and each question below does so.
        settings = settings_of(output, combined[0])
        world = known(
            plugins, settings["prices"], warned if calibrated else None, settings["fresh"], settings["operations"]
        )
        alone = not names and not combined[0].get(DEFAULT)
        if alone:
            names = (DEFAULT,)
            combined = [{**combined[0], DEFAULT: name} for name in each_accelerator(world)]
        questions = [(tuple(str(c[name]) for name in names), asked(output, c)[1]) for c in combined]
        found = compare(names, questions, world, show)
        if alone:
            found = ranked(found, settings["top"])
        say(comparison_report(found), settings["format"], plugins)
    return 0 if found.met else NoFit.exit_code
