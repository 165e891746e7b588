"""Smaller versions of the model of a finished run: in fewer bits, with fewer weights, or another that learned from it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import msgspec

from zenplan.domain.training.forms import KERAS
from zenplan.errors import UnknownName, UsageError, ZenplanError
from zenplan.worker.counting.attempt import Attempt
from zenplan.worker.protocol import Artefact, Compress, Compressed, Done, Events, Kind, Piece
from zenplan.worker.trained.exporting import check_disk, described, versions_of
from zenplan.worker.trained.finetuning import Tuned
from zenplan.worker.trained.layers import raising
from zenplan.worker.trained.opened import Opened, opened, rebuilt
from zenplan.worker.trained.writers import WRITERS
from zenplan.worker.training.quantized import NoForm, merge

PLAIN, PRUNE, DISTILL = METHODS = ("plain", "prune", "distill")
_NOTHING = Tuned(0, 0.0)


def compress(job: Compress, events: Events) -> None:
    """Do the job, and tell what came of each piece; one that cannot be made keeps no other from being made.

    Raises:
        InputFileError: the model or the data cannot be read.
        ZenplanError: the disk is full.
    """
    keras.config.disable_traceback_filtering()
    # What is wrong with the run itself is told at once, and not piece by piece.
    model = merged(job, events)
    for number, piece in enumerate(job.pieces):
        if piece.method not in METHODS:
            raise UnknownName("method", piece.method, METHODS)
        told: list[str] = []
        attempt = Attempt()
        with attempt:
            _made(job, piece, model if number == 0 else merged(job, events), events, told)
        if attempt.error is not None:
            check_disk(attempt.error)
            for artefact in piece.artefacts:
                if artefact.known_as not in told:
                    events.send(_refused(artefact, attempt))
    events.send(Done())


def merged(job: Compress, events: Events) -> Opened:
    """The model in floats, with its adapters added to the weights that they are beside."""
    found = opened(msgspec.structs.replace(job.model, precision="fp32"), events)
    if not any(getattr(each, "lora_enabled", False) for each in found.model._flatten_layers()):
        # What training froze may be trained on here.
        found.model.trainable = True
        return found
    plain = rebuilt(msgspec.structs.replace(job.model, precision="fp32"), events)
    merge(found.model, plain)
    return Opened(model=plain, loss=found.loss, data=found.data, length=found.length)


def _made(job: Compress, piece: Piece, model: Opened, events: Events, told: list[str]) -> None:
    train, made, tuned, student = job.model.job, model.model, _NOTHING, None
    if piece.method == PRUNE:
        from zenplan.worker.trained.pruning import pruned

        events.begin("prune")
        tuned = pruned(model, train, piece)
    elif piece.method == DISTILL:
        from zenplan.worker.trained.distilling import distilled, student_of

        student = student_of(train, piece)
        made, tuned = distilled(model, train, piece, student, events)
    events.begin("write")
    from zenplan.worker.trained.pruning import zeros_of

    parameters, zeros = int(made.count_params()), zeros_of(made)
    inputs, preparing = described(model, made)
    # Keras writes what has been called.
    made.predict_on_batch(model.one())
    for artefact in piece.artefacts:
        path = _written(made, artefact, deflated=piece.method == PRUNE)
        told.append(artefact.known_as)
        events.send(
            Compressed(
                name=artefact.known_as,
                path=path,
                parameters=parameters,
                zeros=zeros,
                steps=tuned.steps,
                wall_s=tuned.wall_s,
                student=student if isinstance(student, Kind) else None,
                inputs=inputs,
                preparing=preparing,
                versions=versions_of(),
            )
        )


def _written(model: keras.Model, artefact: Artefact, deflated: bool) -> str:
    path = artefact.path
    try:
        WRITERS[KERAS](model, path, artefact.quantize)
    except (NotImplementedError, TypeError) as error:
        if artefact.quantize or isinstance(error, UsageError):
            raise
        # Its classes cannot be written: its weights can.
        Path(path).unlink(missing_ok=True)
        path = f"{path.removesuffix('.keras')}.weights.h5"
        model.save_weights(path)
    if deflated and path.endswith(".keras"):
        _deflate(Path(path))
    return path


def _deflate(path: Path) -> None:
    """Compress what is in a ``.keras`` file: Keras itself stores it as it is, and reads both."""
    aside = path.with_name(f"{path.name}.deflated")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))
    aside.replace(path)


def _refused(artefact: Artefact, attempt: Attempt) -> Compressed:
    error: Any = attempt.error
    layer = error.layer if isinstance(error, NoForm) else raising(error)
    why = f"{error.message}; {error.hint}" if isinstance(error, ZenplanError) and error.hint else attempt.reason
    return Compressed(name=artefact.known_as, refused=error.message if isinstance(error, NoForm) else why, layer=layer)
