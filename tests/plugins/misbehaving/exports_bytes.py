"""Its format writes bytes.

Said: exports-bytes.export(): it returned a bytes, not str
"""

from __future__ import annotations

from zenplan import Report, hookimpl


class Format:
    name = "exports-bytes"

    def export(self, report: Report) -> bytes:
        return b"bytes\n"


@hookimpl
def zenplan_exporters() -> list[Format]:
    return [Format()]
