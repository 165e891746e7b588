"""Artefacts of a trained model, read and called, by their form."""

from __future__ import annotations

from zenplan.errors import UnknownName
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.counting.load import trained_model
from zenplan.worker.protocol import Artefact, Events
from zenplan.worker.trained.calling import Call, call_of


def read(artefact: Artefact, events: Events) -> Call:
    """The artefact as what can be called.

    Raises:
        InputFileError: it cannot be read; UnknownName: there is no such form.
    """
    if artefact.form not in _READERS:
        raise UnknownName("form", artefact.form, _READERS)
    return _READERS[artefact.form](artefact.path, events)


def _keras(path: str, events: Events) -> Call:
    return call_of(trained_model(read_keras_config(path), path, events, "export it anew"))


_READERS = {"keras": _keras}
