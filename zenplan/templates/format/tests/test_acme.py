"""The format keeps the contract of one, and what it writes can be read back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from zenplan_acme import Acme

from zenplan.testing import ExporterContract

MARKS = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def parsed(text: str) -> Sequence[Mapping[str, str]]:
    names, *rows = (
        [re.sub(r"\\.", lambda found: MARKS[found[0]], cell) for cell in line.split("\t")]
        for line in text.removesuffix("\n").split("\n")
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


class TestAcme(ExporterContract):
    exporter = Acme()
    parse = staticmethod(parsed)
