"""The two plans of a diff: read from a file, or estimated now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zenplan.commands.diff.comparison import Comparison, Side, compare
from zenplan.commands.estimate.document import EstimateDocument, document
from zenplan.commands.estimate.saved_plan import read_plan
from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.shared.known import Known, known
from zenplan.commands.shared.options import FLAGS
from zenplan.commands.shared.output import warned
from zenplan.commands.shared.request import check_sizes, request_of
from zenplan.commands.shared.request_file import flag_value, lines_named, read_request
from zenplan.errors import InputFileError, NoFit, UsageError, ZenplanError

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings
    from zenplan.plugins import Plugins

_REQUEST: Final = ".toml"
_ANOTHER: Final = "give the new plan, or a request, as a second file"


def diff(old: Path, new: Path | None, plugins: Plugins, calibrated: bool) -> Comparison:
    """The second plan beside the first.

    Args:
        old: a saved plan, or a request (``.toml``), which is estimated now.
        new: the same; None for the request of the old plan, estimated now.
        plugins: that are loaded.
        calibrated: whether what is estimated now uses the calibrations of this machine.

    Raises:
        ZenplanError: a plan cannot be read, or not estimated again.
        UsageError: a request is wrong.
        NoFit: no offer can run what is estimated now.
    """
    if new is not None and _same_file(old, new):
        raise ZenplanError(
            f"{old} and {new} are the same file", f"give another one, or 'zenplan diff {old}' to estimate it again"
        )
    before = _side(old, plugins, calibrated)
    after = _again(before, plugins, calibrated) if new is None else _side(new, plugins, calibrated)
    return compare(before, after)


def _same_file(old: Path, new: Path) -> bool:
    try:
        return old.samefile(new)
    except (OSError, ValueError):
        # Reading them says what is wrong with them.
        return False


def _side(path: Path, plugins: Plugins, calibrated: bool) -> Side:
    if path.suffix.lower() != _REQUEST:
        return Side(name=os.fspath(path), document=read_plan(path))
    from zenplan.commands.shared.settings import resolved

    with lines_named(path, {}):
        return _estimated(os.fspath(path), read_request(path), resolved, plugins, calibrated)


def _again(old: Side, plugins: Plugins, calibrated: bool) -> Side:
    """The request of a saved plan, estimated now: with what it says alone, whatever is set here."""
    what = f"plan {old.name} cannot be estimated again"
    try:
        given = _flags(old.document.request)
        return _estimated(f"{old.name} now", given, _only, plugins, calibrated)
    except NoFit as error:
        raise NoFit(f"{what}: {error.message}", error.hint) from error
    except InputFileError as error:
        raise ZenplanError(
            f"{what}: {error.message}", "run it where the files of its request are, or give the new plan too"
        ) from error
    except ZenplanError as error:
        raise ZenplanError(f"{what}: {error.message}", error.hint or _ANOTHER) from error


def _flags(request: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of a plan's request, each checked. Raises UsageError: they cannot be given again."""
    if not request:
        raise UsageError("it does not say what was asked", _ANOTHER)
    found: dict[str, Any] = {}
    for name, given in request.items():
        if name not in FLAGS:
            raise UsageError(f"its request has '{name[:60]}', which this zenplan does not know", _ANOTHER)
        if given is None or name == "keras":
            # A file names that code; reading a plan runs none.
            raise UsageError("its model was made by code, which no plan runs", _ANOTHER)
        whole = name == "config" and isinstance(given, dict)
        found[name] = given if whole else flag_value(FLAGS[name], given, Path(), f"its --{name.replace('_', '-')}")
    return found


def _only(**flags: Any) -> Settings:
    """The settings that flags make, without variables and files."""
    from zenplan.adapters.settings.settings import resolve

    return resolve(flags, {}, None, None)


def _estimated(name: str, given: dict[str, Any], settle: Any, plugins: Plugins, calibrated: bool) -> Side:
    from zenplan.adapters.settings.settings import SETTINGS

    settings = settle(**{key: value for key, value in given.items() if key in SETTINGS})
    check_sizes(settings, given.get("gpus"), given.get("max_gpus"))
    request = request_of(settings, **given)
    found = known(
        plugins, settings["prices"], warned if calibrated else None, settings["fresh"], settings["operations"]
    )
    answer = estimate(request, found)
    return Side(name=name, document=_published(document(answer, ())), offers=_offers(found))


def _published(made: EstimateDocument) -> EstimateDocument:
    """The document as a file would hold it: what is saved and what is estimated now compare alike."""
    from zenplan.documents import convert, published

    return convert(published(made), EstimateDocument, "the plan")


def _offers(found: Known) -> dict[Any, Any]:
    return {(o.instance.provider, o.instance.name, o.region, o.tier): o for table in found.tables for o in table.offers}
