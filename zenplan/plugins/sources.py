"""Where plugins come from: entry points of what is installed, and single files of the user's."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from zenplan.domain.plugin import Problem
from zenplan.errors import DataError
from zenplan.plugins import guard
from zenplan.version import __version__

GROUP: Final = "zenplan"
# Files that ``--plugin`` named, with what stands between paths between them.
FILES: Final = "ZENPLAN_PLUGIN_FILES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A plugin before it is loaded.

    Attributes:
        name: of the entry point, or of the file without its suffix.
        load: imports it and returns it.
        timeout_s: how long a call into it may take; None for zenplan's own.
    """

    name: str
    distribution: str = ""
    version: str = ""
    load: Callable[[], object] = lambda: None
    timeout_s: float | None = None

    @property
    def owner(self) -> str:
        """The plugin with its distribution, as people are told: ``runpod (zenplan-runpod 0.1.0)``."""
        release = f"{self.distribution} {self.version}".strip()
        return f"{self.name} ({release})" if release else self.name


def installed(timeout_s: float) -> tuple[list[Source], list[Problem]]:
    """The entry points of zenplan's group, by distribution and name, none of them loaded; and the distributions whose
    entry points cannot be read."""
    from importlib.metadata import distributions

    found: dict[tuple[str, str], Source] = {}
    problems = []
    for each in distributions():
        outcome = guard.attempt(partial(_points, each), None)
        # A distribution whose METADATA cannot be read has no name; its plugin may work all the same.
        if outcome.value or outcome.reason:
            name, version = (guard.attempt(partial(_field, each, f), None).value or "" for f in ("name", "version"))
        if outcome.reason:
            problems.append(Problem(plugin=name or "a distribution", what="entry points", reason=outcome.reason))
        for point in outcome.value or ():
            load = partial(_loaded, each, point)
            source = Source(name=point.name, distribution=name, version=version, load=load, timeout_s=timeout_s)
            # A distribution that is on the path twice: the first is the one that is imported.
            found.setdefault((name, point.name), source)
    return [found[key] for key in sorted(found)], problems


def _points(distribution: Any) -> list[Any]:
    return [point for point in distribution.entry_points if point.group == GROUP]


def _field(distribution: object, field: str) -> str:
    return guard.one_line(getattr(distribution, field) or "")


def _loaded(distribution: Any, point: Any) -> object:
    """What the entry point leads to. Raises DataError: its distribution needs another zenplan."""
    for requirement in distribution.requires or ():
        if reason := _unmet(requirement):
            raise DataError(reason)
    return point.load()


def _unmet(requirement: str) -> str:
    """Why this zenplan is not what the ``Requires-Dist`` asks for; empty where it is, or where it is of another project."""
    if not requirement.lower().startswith("zenplan"):
        return ""
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    # Of an extra of the plugin's, which may not be what is used of it.
    if parsed.name.lower() != "zenplan" or "extra" in str(parsed.marker):
        return ""
    met = parsed.specifier.contains(__version__, prereleases=True)
    return "" if met else f"it needs {requirement}, and this is {__version__}"


# --- single files


def files_of(named: Iterable[str], folder: Path | None, timeout_s: float) -> tuple[list[Source], list[Problem]]:
    """The files that were named, then those of a folder; and those that are not trusted.

    Args:
        named: paths.
        folder: whose files ``*.py`` are plugins; None for none, and it need not be there.
    """
    sources, problems = [], []
    for path, reason in (*((Path(name), "") for name in named), *_in(folder)):
        if reason := reason or _distrusted(path):
            problems.append(Problem(plugin=guard.one_line(path.stem), what="load", reason=f"{path} {reason}"))
        else:
            load = partial(_executed, path.absolute())
            source = Source(name=path.stem, distribution=guard.one_line(str(path)), load=load, timeout_s=timeout_s)
            sources.append(source)
    return sources, problems


def _in(folder: Path | None) -> Iterator[tuple[Path, str]]:
    """Its files, and why one may not be used."""
    try:
        paths = sorted(each for each in folder.iterdir() if each.suffix == ".py") if folder else []
    except OSError:
        return
    reason = _distrusted(folder) if folder and paths else ""
    yield from ((path, f"lies in a folder that {reason}" if reason else "") for path in paths)


def _distrusted(path: Path) -> str:
    """Why code is not run from there; empty where it may be. Whoever can write it can do as the user does."""
    try:
        found = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if hasattr(os, "getuid") and found.st_uid not in (os.getuid(), 0):
        return "belongs to another user"
    if os.name == "posix" and found.st_mode & stat.S_IWOTH:
        return "can be written by everybody: chmod o-w"
    return ""


def _executed(path: Path) -> object:
    from importlib.util import module_from_spec, spec_from_file_location

    name = f"zenplan_plugin_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DataError("it is no Python file")
    module = module_from_spec(spec)
    # Dataclasses and pickles look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
