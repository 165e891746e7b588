"""What ``zenplan config`` answers: each setting, its value, and where that comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zenplan.adapters.settings.settings import SETTINGS, Settings
from zenplan.domain.report import Column, Report, Table


def config_report(settings: Settings) -> Report:
    """What each setting is, and where that comes from."""
    records = tuple(_records(settings))
    columns = (Column(name="setting"), Column(name="value"), Column(name="from"), Column(name="what", optional=True))
    rows = tuple(
        (r["setting"], "–" if r["value"] is None else str(r["value"]), r["origin"], r["help"]) for r in records
    )
    read = ", ".join(map(str, settings.files)) or "none found"
    return Report(
        make_document=lambda: _document(settings),
        make_records=lambda: records,
        tables=(Table(title="settings", columns=columns, rows=rows),),
        notes=(f"settings files: {read}", "order: flag, ZENPLAN_… variable, project file, user file, default"),
    )


def _document(settings: Settings) -> Any:
    from zenplan.commands.config.document import config_document

    return config_document(settings)


def _records(settings: Settings) -> Iterator[dict[str, Any]]:
    for name, value in settings.values.items():
        yield {"setting": name, "value": value.plain, "origin": value.origin, "help": SETTINGS[name].help}
