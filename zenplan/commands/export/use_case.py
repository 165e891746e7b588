"""``zenplan export``: each artefact is written beside its place, opened again in another process and scored there, and only
then takes its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from zenplan.adapters.files.placing import bytes_of, digest_of, take_place
from zenplan.adapters.files.whole_file import write_whole
from zenplan.adapters.run_folder.exports import add_export, manifest_of, manifest_text, tokenizer_of
from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.commands.export.asked import Asked
from zenplan.commands.shared.artefacts import drafts
from zenplan.commands.train.scoring import OF_THE_MACHINE, PRECISION, compare, job_of, scores_of
from zenplan.domain.measured.export import DIFFERS, REFUSED, TOLERANCE, WRITTEN, Export, ModelInput
from zenplan.domain.training.forms import HOLDS, NO_INT4
from zenplan.errors import FailureKind, ZenplanError
from zenplan.units import HOUR_S
from zenplan.version import __version__
from zenplan.worker import protocol
from zenplan.worker.protocol import Artefact, Exported, Scored, Trained

Tell = Callable[[float, str], None]
_BACKEND: Final = "tensorflow"
_LIMITS: Final = Limits(time_s=4 * HOUR_S)


def export(asked: Asked, tell: Tell) -> tuple[Export, ...]:
    """Make them, one after the other.

    Raises:
        ZenplanError: the model cannot be opened, or nothing can be written there; what was made before stays.
    """
    found = []
    for number, (form, place) in enumerate(asked.places.items()):
        found.append(_one(asked, form, place, partial(_say, tell, (number, len(asked.places)), form)))
    return tuple(found)


def _say(tell: Tell, which: tuple[int, int], form: str, share: float, what: str) -> None:
    """Tell of a share of one export, which has a number of so many, as a share of all."""
    tell((which[0] + share) / which[1], f"{form}: {what}")


def _one(asked: Asked, form: str, place: Path, say: Tell) -> Export:
    run = asked.run
    plain = Export(
        state=REFUSED,
        run=run.id,
        form=form,
        quantize=asked.quantize,
        made_at=datetime.now(UTC),
        original_bytes=run.path.stat().st_size,
        threads=asked.threads,
    )
    if asked.quantize and asked.quantize not in HOLDS[form]:
        return replace(plain, why=NO_INT4[form])
    with drafts(place) as folder:
        return _made(asked, plain, folder / place.name, place, say)


def _made(asked: Asked, plain: Export, draft: Path, place: Path, say: Tell) -> Export:
    model = asked.run.trained(precision=PRECISION)
    artefact = Artefact(form=plain.form, path=str(draft), quantize=plain.quantize)
    say(0.0, "writing")
    said = _written(asked, model, artefact)
    if said.refused:
        return replace(plain, why=said.refused, layer=said.layer)
    say(0.5, "opening and scoring")
    try:
        job = job_of(asked.run, asked.part, asked.most, asked.threads, (artefact,))
        original, found = compare(job, _BACKEND, _LIMITS)
    except ZenplanError as error:
        if error.kind in OF_THE_MACHINE:
            raise
        return replace(plain, why=f"it does not run in another process: {error.message}")
    made = replace(
        plain,
        state=WRITTEN,
        batch=said.batch,
        inputs=tuple(ModelInput(name=i.name, written=i.written, shape=i.shape, type=i.type) for i in said.inputs),
        classes=asked.data.class_names,
        preparing=said.preparing,
        part=asked.part,
        samples=found.samples,
        timed=found.batch,
        original=scores_of(original),
        scores=scores_of(found),
        difference=found.difference,
        relative=_share(found),
        bytes=bytes_of(draft),
        versions={**said.versions, "zenplan": __version__},
    )
    if why := _apart(made):
        return replace(made, state=DIFFERS, why=why, bytes=None)
    return _placed(asked, made, draft, place)


def _written(asked: Asked, model: Trained, artefact: Artefact) -> Exported:
    job = protocol.Export(what=f"run {asked.run.id}", model=model, artefact=artefact, threads=asked.threads)
    environment = measuring_environment("cpu", asked.threads, os.environ)
    try:
        found = run_job(job, _BACKEND, _LIMITS, environment=environment)
    except ZenplanError as error:
        # Converters are native code, and some end their process over a model that they do not take.
        if error.kind not in (FailureKind.CRASHED, FailureKind.ENDED):
            raise
        return Exported(refused=error.message)
    if not isinstance(found, Exported):
        raise ZenplanError("the worker did not say what became of the export", "please report it")
    return found


def _share(found: Scored) -> float | None:
    """How far it is from the model, as a share of the largest number that the model returns."""
    if found.difference is None or found.largest is None:
        return None
    return found.difference / found.largest if found.largest else 0.0 if not found.difference else None


def _apart(made: Export) -> str:
    """Why it is not the model; empty where it is. Weights in fewer bits are stated, and only have to be numbers."""
    if made.relative is None:
        return "it returns what is no number, or another one where the model returns 0"
    if not made.quantize and made.relative > TOLERANCE:
        return f"it differs from the model by {made.relative:.1e} of the largest number; up to {TOLERANCE:g} is allowed"
    return ""


def _placed(asked: Asked, made: Export, draft: Path, place: Path) -> Export:
    """At its place, with what it takes beside it, and in the run's list."""
    data, tokenizer = asked.data, tokenizer_of(place)
    if data.tokenizer:
        copy = draft.with_name(tokenizer.name)
        shutil.copyfile(Path(data.folder) / data.tokenizer, copy)
        take_place(copy, tokenizer)
    made = replace(made, path=str(place), sha256=digest_of(draft), tokenizer=str(tokenizer) if data.tokenizer else "")
    take_place(draft, place)
    write_whole(manifest_of(place), manifest_text(made))
    with suppress(OSError):
        add_export(asked.run.folder, made)
    return made
