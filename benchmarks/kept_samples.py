"""What a worker that measures said, as a file of samples and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zenplan.commands.calibrate.record import Recorder
from zenplan.documents import convert, plain
from zenplan.domain.measured.calibration import Point
from zenplan.errors import FailureKind
from zenplan.worker.protocol import Built, Communicated, Machine, Sampled


def expecting(points: Iterable[Point]) -> Recorder:
    """A recorder of those points, all of which are in it from the start."""
    recorder = Recorder()
    recorder.expect(points)
    for key in recorder.points:
        recorder.known(key)
    return recorder


def document_of(recorder: Recorder) -> dict[str, Any]:
    """What was recorder, as JSON types: every sample, in microseconds."""
    return {
        "machine": machine_document(recorder),
        "points": [
            {
                "key": m.point.key,
                "role": m.point.role,
                "depth": m.point.depth,
                "batch": m.point.batch,
                "features": dict(m.point.features),
                "setup_s": m.setup_s and round(m.setup_s, 2),
                "program_bytes": m.program_bytes,
                "failure": m.failure,
                "wall_s": [round(s.wall_s, 6) for s in m.samples],
                "cpu_s": [round(s.cpu_s, 6) for s in m.samples],
            }
            for m in (progress.measured() for progress in recorder.progress.values())
        ],
    }


def machine_document(recorder: Recorder) -> Any:
    """On what it was measured."""
    return plain(recorder.machine)


def read_machine(document: Any) -> Machine:
    """What ``machine_document`` wrote."""
    return convert(document, Machine, "the machine")


def read_samples(document: Mapping[str, Any]) -> Recorder:
    """What ``document_of`` wrote: the same events again."""
    points = [
        Point(key=p["key"], role=p["role"], depth=p["depth"], batch=p["batch"], features=p["features"])
        for p in document["points"]
    ]
    recorder = expecting(points)
    recorder.hear(read_machine(document["machine"]))
    for each in document["points"]:
        key = each["key"]
        if each["setup_s"] is not None:
            recorder.hear(Built(key=key, setup_s=each["setup_s"], program_bytes=each["program_bytes"]))
        for number, (wall_s, cpu_s) in enumerate(zip(each["wall_s"], each["cpu_s"], strict=True)):
            recorder.hear(Sampled(key=key, round=number, wall_s=wall_s, cpu_s=cpu_s))
        if each["failure"]:
            recorder.fail(key, each["failure"], FailureKind.OTHER)
    return recorder


def several_document(recorder: Recorder) -> dict[str, Any]:
    """What several workers did, as JSON types: every step and every collective, in microseconds."""
    return {
        "machine": machine_document(recorder),
        "gradient_bytes": {key: each.gradient_bytes for key, each in recorder.progress.items()},
        "samples": [
            {"key": key, "way": way, "round": s.round, "wall_s": round(s.wall_s, 6), "cpu_s": round(s.cpu_s, 6)}
            for key, each in recorder.progress.items()
            for way, rounds in each.samples.items()
            for s in rounds.values()
        ],
        "communicated": [
            {"group": number, "collective": name, "bytes": size, "round": place, "wall_s": round(seconds, 6)}
            for (number, name, size), rounds in recorder.communicated.items()
            for place, seconds in rounds.items()
        ],
    }


def hear_several(recorder: Recorder, document: Mapping[str, Any]) -> None:
    """What ``several_document`` wrote: the same events again."""
    recorder.hear(read_machine(document["machine"]))
    for key, size in document["gradient_bytes"].items():
        recorder.hear(Built(key=key, setup_s=0.0, gradient_bytes=size))
    for each in document["samples"]:
        recorder.hear(Sampled(**each))
    for each in document["communicated"]:
        recorder.hear(Communicated(**each))
