"""The JSON document of a what-if. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.estimate.document import EffectDocument, PointDocument, effect, point
from zenplan.commands.shared.document import Name, NotNegative
from zenplan.documents import Document
from zenplan.domain.answer.answer import Change
from zenplan.domain.answer.comparison import WhatIf


class ChangedDocument(Document):
    """The plan on its machines with something changed."""

    change: Annotated[Name, Meta(description="What was changed.")]
    total_usd: Annotated[
        NotNegative | None, Meta(description="The whole bill, in US dollars; null where it is not known.")
    ]
    wall_clock_s: Annotated[
        NotNegative | None,
        Meta(description="Time from start to end, in seconds; null where the machines cannot run it."),
    ]


class WhatIfDocument(Document, tag_field="schema", tag="zenplan.what-if/1"):
    """Answer of 'zenplan what-if'.

    The recommended plan with something changed. Quantities are in base units, named by the suffix of the field; null
    is not known, never 0.
    """

    before: Annotated[PointDocument, Meta(description="The plan as it was asked for.")]
    changes: Annotated[
        tuple[ChangedDocument, ...], Meta(description="Each change alone, and all together where there are several.")
    ]
    after: Annotated[
        PointDocument | None,
        Meta(
            description="What is recommended with the changes and all offers to choose from; null where only the "
            "speed of machines was changed, or nothing runs it."
        ),
    ]
    sensitivity: Annotated[
        tuple[EffectDocument, ...],
        Meta(description="Inputs by how far they move the plan as it was asked for, the farthest first."),
    ]


def document(found: WhatIf) -> WhatIfDocument:
    """The whole of it in base units."""
    changes = [*found.alone, *((("all together", found.together),) if len(found.alone) > 1 else ())]
    return WhatIfDocument(
        before=point(found.before.recommended),
        changes=tuple(_changed(name, change) for name, change in changes),
        after=point(found.after.recommended) if found.after else None,
        sensitivity=tuple(effect(each) for each in found.before.sensitivity),
    )


def _changed(name: str, change: Change | None) -> ChangedDocument:
    return ChangedDocument(
        change=name,
        total_usd=change.usd if change else None,
        wall_clock_s=change.wall_clock_s if change else None,
    )
