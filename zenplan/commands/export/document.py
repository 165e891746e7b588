"""The JSON document of exports. Its schema is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.exported import ExportDocument, export_document
from zenplan.documents import Document
from zenplan.domain.measured.export import Export


class ExportsDocument(Document, tag_field="schema", tag="zenplan.exports/1"):
    """Answer of 'zenplan export'.

    The model of a finished run in forms that others read, each checked beside it.
    """

    exports: Annotated[tuple[ExportDocument, ...], Meta(description="One of each form, as they were asked for.")]


def exports_document(found: Sequence[Export]) -> ExportsDocument:
    """All of them."""
    return ExportsDocument(exports=tuple(map(export_document, found)))
