"""What a worker and its parent say to each other."""

from __future__ import annotations

import pytest

from zenplan.errors import DataError
from zenplan.worker.protocol import Event, decode_event


@pytest.mark.parametrize("kind", Event.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_event_is_known(kind: type[Event]) -> None:
    """None that zenplan's own worker sends is skipped as one of a newer one's: it is read, or what it lacks is told."""
    line = f'{{"event": "{kind.__struct_config__.tag}"}}'.encode()
    found, said = None, ""
    try:
        found = decode_event(line)
    except DataError as error:
        said = error.message
    assert isinstance(found, kind) or "missing required field" in said


def test_an_event_of_another_name_is_skipped() -> None:
    assert decode_event(b'{"event": "of a newer worker"}') is None
