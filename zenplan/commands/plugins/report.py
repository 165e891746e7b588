"""What ``zenplan plugins`` answers: who is there, what each gives, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from zenplan.domain.plugin import PluginInfo, Problem
from zenplan.domain.report import Column, Report, Table

_NOTE: Final = (
    "installed plugins come first, zenplan's own last, and the first to use a name keeps it; "
    "ZENPLAN_PLUGINS=a,b loads only these (empty: none), ZENPLAN_BLOCK=a leaves one out"
)


def plugins_report(infos: tuple[PluginInfo, ...], problems: tuple[Problem, ...]) -> Report:
    """The report of the plugins that are loaded, and of what was left out."""
    failures = tuple(each for each in problems if not each.kept)
    taken = tuple(each for each in problems if each.kept)
    return Report(
        make_document=lambda: _document(infos, failures, taken),
        make_records=lambda: _records(infos, (*failures, *taken)),
        tables=tuple(_tables(infos, failures, taken)),
        notes=(_NOTE,),
    )


def _document(infos: tuple[PluginInfo, ...], failures: tuple[Problem, ...], taken: tuple[Problem, ...]) -> Any:
    from zenplan.commands.plugins.document import plugins_document

    return plugins_document(infos, failures, taken)


def _records(infos: tuple[PluginInfo, ...], problems: tuple[Problem, ...]) -> Iterator[Mapping[str, Any]]:
    """A row for each hook of each plugin, then one for each thing that was left out."""
    for info in infos:
        for hook in info.hooks:
            plugin = info.owner
            yield {"plugin": plugin, "kind": "hook", "what": hook, "items": info.items[hook], "reason": None}
    for each in problems:
        kind = "duplicate" if each.kept else "failure"
        yield {"plugin": each.plugin, "kind": kind, "what": each.what, "items": None, "reason": each.reason}


def _tables(
    infos: tuple[PluginInfo, ...], failures: tuple[Problem, ...], taken: tuple[Problem, ...]
) -> Iterator[Table]:
    columns = ("plugin", "version", "distribution", "items", "failures")
    yield _table("plugins", columns, *(_row(info) for info in infos))
    if failures:
        rows = ((p.plugin, p.what, p.reason) for p in failures)
        yield _table("left out, because something is wrong", ("plugin", "what", "reason"), *rows)
    if taken:
        rows = ((p.what, p.kept, p.plugin) for p in taken)
        yield _table("names that two plugins use", ("name", "kept from", "left out from"), *rows)


def _row(info: PluginInfo) -> tuple[str, ...]:
    items = ", ".join(f"{_words(hook)} {info.items[hook]}" for hook in info.hooks)
    return (info.name, info.version or "–", info.distribution or "–", items or "–", str(len(info.failures)))


def _words(hook: str) -> str:
    return hook.removeprefix("zenplan_").replace("_", " ")


def _table(title: str, columns: tuple[str, ...], *rows: tuple[str, ...]) -> Table:
    made = tuple(Column(name=name, numeric=name == "failures") for name in columns)
    return Table(title=title, columns=made, rows=rows)
