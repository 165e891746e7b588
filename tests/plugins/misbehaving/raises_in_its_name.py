"""Its item raises when it is asked for its name.

Said: item 1 is left out: ZeroDivisionError
"""

from __future__ import annotations

from zenplan import Report, hookimpl


class Format:
    @property
    def name(self) -> str:
        return str(1 // 0)

    def export(self, report: Report) -> str:
        return ""


@hookimpl
def zenplan_exporters() -> list[Format]:
    return [Format()]
