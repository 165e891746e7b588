"""``zenplan compress``: smaller versions are made in a worker, scored beside each other in another, and the best one takes
its place."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from zenplan import units
from zenplan.adapters.files.placing import bytes_of, digest_of, files_of, take_place
from zenplan.adapters.run_folder.exports import (
    COMPARISON,
    COMPARISON_SVG,
    add_export,
    manifest_of,
    manifest_text,
    tokenizer_of,
)
from zenplan.adapters.workers.process import Limits, measuring_environment, run_job
from zenplan.commands.compress.from_flags import Asked
from zenplan.commands.shared.artefacts import drafts
from zenplan.commands.train.scoring import OF_THE_MACHINE, PRECISION, compare, job_of, scores_of
from zenplan.domain.measured.compression import DISTILL, MERGE, PRUNE, Compression, Version
from zenplan.domain.measured.export import WRITTEN, Export, ModelInput
from zenplan.domain.measured.training_run import ACCURACY
from zenplan.domain.training.forms import INT8, KERAS, file_name
from zenplan.errors import FailureKind, ZenplanError
from zenplan.units import HOUR_S
from zenplan.version import __version__
from zenplan.worker.protocol import Artefact, Compress, Compressed, Event, Piece, Scored, Target

Tell = Callable[[float, str], None]
_LIMITS: Final = Limits(time_s=24 * HOUR_S)
# Assumed, of a step of the run: masks beside it; and the answers of the model, which are a third of its step.
_MASKED, _ANSWERS = 1.2, 1 / 3
_LEAST_STEPS: Final = 20
_BY_LOSS: Final = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is made, and how long its training takes.

    Attributes:
        pieces: their artefacts have names in place of paths.
        methods: of each, as of ``METHODS``.
        steps: of all trainings together.
        train_s: predicted; None where the run has no time of a step.
    """

    pieces: tuple[Piece, ...]
    methods: tuple[str, ...]
    steps: int
    train_s: float | None

    @property
    def line(self) -> str:
        """For people, before it begins."""
        names = [artefact.name for piece in self.pieces for artefact in piece.artefacts]
        training = f"{self.steps:,} steps of training" if self.steps else "no training"
        how = "" if self.train_s is None else f", about {units.duration(self.train_s)} by the steps of the run"
        return f"compressing into {', '.join(names)}: {training}{how}"


def plan(asked: Asked) -> Plan:
    """What is made for that."""
    found = list(_pieces(asked))
    trained = [piece for _, piece in found if piece.steps]
    seconds = asked.seconds / len(trained) if trained else 0.0
    pieces = tuple(msgspec.structs.replace(p, seconds=seconds) if p.steps else p for _, p in found)
    step_s, total = asked.run.result.step_s, 0.0
    for piece in trained:
        ratio = _MASKED if piece.method == PRUNE else _ANSWERS + (1.0 if piece.student else piece.width)
        own = piece.steps * (step_s or 0.0) * ratio
        total += min(own, seconds) if seconds else own
    return Plan(
        pieces=pieces,
        methods=tuple(method for method, _ in found),
        steps=sum(piece.steps for piece in trained),
        train_s=total if step_s and trained else None,
    )


def _pieces(asked: Asked) -> Iterator[tuple[str, Piece]]:
    steps = asked.run.job.steps if asked.steps is None else asked.steps
    for method in asked.methods:
        if method == PRUNE:
            half = asked.steps or max(_LEAST_STEPS, steps // 2)
            names = _both("pruned", None)
            yield method, Piece(method="prune", sparsity=asked.sparsity, steps=half, artefacts=names)
        elif method == DISTILL and asked.student:
            student = Target(target=asked.student)
            yield method, Piece(method="distill", student=student, steps=steps, artefacts=_both("student", student))
        elif method == DISTILL:
            for width in asked.widths:
                names = _both(f"student-{width:.3g}", None)
                yield method, Piece(method="distill", width=width, steps=steps, artefacts=names)
        else:
            quantize = "" if method == MERGE else method
            name = "merged" if method == MERGE else method
            yield method, Piece(method="plain", artefacts=(_artefact(name, quantize, None),))


def _both(name: str, builder: Target | None) -> tuple[Artefact, ...]:
    return _artefact(name, "", builder), _artefact(f"{name}-{INT8}", INT8, builder)


def _artefact(name: str, quantize: str, builder: Target | None) -> Artefact:
    return Artefact(
        form=KERAS, path=name if quantize else f"{name}.keras", quantize=quantize, name=name, builder=builder
    )


def compressed(asked: Asked, wanted: Plan, tell: Tell) -> Compression:
    """Make the versions, score them, and let the best take its place.

    Raises:
        ZenplanError: the model cannot be opened, or nothing can be written there; what was there before stays.
    """
    with drafts(asked.folder) as folder:
        return _compared(asked, wanted, folder, tell)


def _compared(asked: Asked, wanted: Plan, folder: Path, tell: Tell) -> Compression:
    pieces = tuple(_within(folder, piece) for piece in wanted.pieces)
    told = _made(asked, pieces, tell)
    artefacts = {
        each.name: msgspec.structs.replace(artefact, path=each.path)
        for each in told
        for piece in pieces
        for artefact in piece.artefacts
        if artefact.name == each.name and not each.refused
    }
    tell(0.8, "scoring")
    original, scored, failed = _scored(asked, list(artefacts.values()))
    methods = {a.name: m for m, piece in zip(wanted.methods, pieces, strict=True) for a in piece.artefacts}
    quantize = {a.name: a.quantize for piece in pieces for a in piece.artefacts}
    versions = tuple(
        _version(each, methods[each.name], quantize[each.name], scored.get(each.name), failed.get(each.name, ""))
        for each in told
    )
    found = replace(_beside(asked, original, folder), versions=versions, predicted_s=wanted.train_s)
    best = found.best
    if best is None:
        return found
    said = next(each for each in told if each.name == best.name)
    return _placed(asked, found, best, said, scored[best.name], folder)


def _within(folder: Path, piece: Piece) -> Piece:
    """With the paths of its artefacts in that folder."""
    artefacts = tuple(msgspec.structs.replace(each, path=str(folder / each.path)) for each in piece.artefacts)
    return msgspec.structs.replace(piece, artefacts=artefacts)


def _beside(asked: Asked, original: Scored, folder: Path) -> Compression:
    """The comparison without the versions that are compared."""
    run = asked.run
    # Of tokens the loss is what the run is judged by; else what is told beside it.
    names = ("loss",) if asked.data.kind == _BY_LOSS else (ACCURACY, "rmse", "loss")
    return Compression(
        run=run.id,
        name=run.result.status.name,
        backend=asked.backend,
        made_at=datetime.now(UTC),
        metric=next(name for name in names if name in original.values),
        part=asked.part,
        samples=original.samples,
        timed=original.batch,
        threads=asked.threads,
        usd_per_h=asked.usd_per_h,
        original=Version(
            name="the model",
            bytes=run.path.stat().st_size,
            packed_bytes=packed_bytes(run.path, folder),
            parameters=run.result.parameters,
            scores=scores_of(original),
        ),
        versions=(),
        bounds=asked.bounds,
    )


def _made(asked: Asked, pieces: Sequence[Piece], tell: Tell) -> list[Compressed]:
    """What came of each artefact, in the order of the pieces."""
    heard: dict[str, Compressed] = {}
    names = [artefact.name for piece in pieces for artefact in piece.artefacts]

    def hear(event: Event) -> None:
        if isinstance(event, Compressed):
            heard[event.name] = event

    def say(stage: str, _seconds: float) -> None:
        tell(0.8 * len(heard) / len(names), next((name for name in names if name not in heard), stage))

    job = Compress(
        what=f"run {asked.run.id}",
        model=asked.run.trained(precision=PRECISION),
        pieces=tuple(pieces),
        threads=asked.threads,
    )
    environment = measuring_environment(asked.run.job.device, asked.threads, os.environ)
    why = ""
    try:
        run_job(job, asked.backend, _LIMITS, say, hear=hear, environment=environment)
    except ZenplanError as error:
        # What was made before a process ended is whole.
        if not heard or error.kind == FailureKind.REFUSED:
            raise
        why = error.message
    return [heard.get(name) or Compressed(name=name, refused=why or "the worker did not say") for name in names]


def _scored(asked: Asked, artefacts: Sequence[Artefact]) -> tuple[Scored, dict[str, Scored], dict[str, str]]:
    """Of the model, and of each artefact; or why it has none."""
    try:
        original, *others = _score(asked, artefacts)
        return original, {each.name: each for each in others}, {}
    except ZenplanError as error:
        if not artefacts or error.kind in OF_THE_MACHINE:
            raise
        if len(artefacts) == 1:
            (original,) = _score(asked, ())
            return original, {}, {artefacts[0].name: f"it does not run in another process: {error.message}"}
    # One that cannot be read keeps no other from being scored.
    parts = [_scored(asked, (each,)) for each in artefacts]
    scored = {name: each for _, found, _ in parts for name, each in found.items()}
    return parts[0][0], scored, {name: why for _, _, failed in parts for name, why in failed.items()}


def _score(asked: Asked, artefacts: Sequence[Artefact]) -> list[Scored]:
    job = job_of(asked.run, asked.part, asked.most, asked.threads, artefacts)
    return compare(job, asked.backend, _LIMITS)


def _version(said: Compressed, method: str, quantize: str, scored: Scored | None, why: str) -> Version:
    plain = Version(name=said.name, method=method, quantize=quantize, why=said.refused or why, layer=said.layer)
    if scored is None:
        return plain
    path = Path(said.path)
    return replace(
        plain,
        bytes=bytes_of(path),
        packed_bytes=packed_bytes(path, path.parent),
        parameters=said.parameters,
        zeros=said.zeros,
        steps=said.steps,
        train_s=said.wall_s,
        options={} if said.student is None else said.student.options,
        scores=scores_of(scored),
    )


def packed_bytes(path: Path, folder: Path) -> int:
    """Of a file, or of those of a folder, in a zip: what of it a network or a store has to take.

    Args:
        path: what is packed.
        folder: on whose disk there is room for the zip.
    """
    aside = folder / "packed.zip"
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files_of(path):
            archive.write(file, file.name)
    size = aside.stat().st_size
    aside.unlink()
    return size


# --- the chosen one


def _placed(
    asked: Asked, found: Compression, best: Version, said: Compressed, scored: Scored, folder: Path
) -> Compression:
    """In its folder, with what it takes and what it was compared with beside it, and in the run's list."""
    from zenplan import documents
    from zenplan.adapters.picture.tradeoff import tradeoff_svg
    from zenplan.commands.compress.document import compression_document

    draft, made = folder / "chosen", Path(said.path)
    draft.mkdir()
    suffix = "".join(made.suffixes) if made.is_file() else ""
    name = file_name(KERAS, best.quantize) if made.is_dir() else f"model{suffix if suffix else '.keras'}"
    name = "model.weights.h5" if made.name.endswith(".weights.h5") else name
    made.rename(draft / name)
    data, copy = asked.data, tokenizer_of(draft / name)
    if data.tokenizer:
        shutil.copyfile(Path(data.folder) / data.tokenizer, copy)
    place = asked.folder / name
    export = _export(asked, found, best, said, scored, draft / name)
    found = replace(found, chosen=best.name, path=str(place))
    manifest = manifest_text(replace(export, tokenizer=copy.name if data.tokenizer else ""))
    manifest_of(draft / name).write_text(manifest, encoding="utf-8")
    (draft / COMPARISON).write_text(
        documents.encode(documents.published(compression_document(found)), indent=2) + "\n", encoding="utf-8"
    )
    (draft / COMPARISON_SVG).write_text(tradeoff_svg(found), encoding="utf-8")
    take_place(draft, asked.folder)
    with suppress(OSError):
        tokenizer = str(tokenizer_of(place)) if data.tokenizer else ""
        add_export(asked.run.folder, replace(export, path=str(place), tokenizer=tokenizer))
    return found


def _export(asked: Asked, found: Compression, best: Version, said: Compressed, scored: Scored, draft: Path) -> Export:
    """As an export, which the run's list has."""
    relative = None if scored.difference is None or not scored.largest else scored.difference / scored.largest
    return Export(
        state=WRITTEN,
        run=found.run,
        form=KERAS,
        quantize=best.quantize,
        made_at=found.made_at,
        path=draft.name,
        bytes=best.bytes,
        sha256=digest_of(draft),
        inputs=tuple(ModelInput(name=i.name, written=i.written, shape=i.shape, type=i.type) for i in said.inputs),
        classes=asked.data.class_names,
        preparing=said.preparing,
        part=found.part,
        samples=found.samples,
        timed=found.timed,
        original=found.original.scores,
        scores=best.scores,
        difference=scored.difference,
        relative=relative,
        original_bytes=found.original.bytes or 0,
        versions={**said.versions, "zenplan": __version__},
        threads=found.threads,
    )
