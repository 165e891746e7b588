"""What a worker that measures says, as measured points; and those as a file of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zenplan.domain.measured.calibration import Measured, Point, Sample
from zenplan.domain.model.count_document import read_count
from zenplan.planning.calibration.features import features_of


class Heard:
    """The events of a worker, as measured points."""

    def __init__(self, points: Sequence[Mapping[str, Any]]) -> None:
        """``points`` of the job, each with its depth."""
        self.found = {
            p["key"]: Measured(point=Point(key=p["key"], role=p["role"], depth=p["depth"], batch=p["batch"]))
            for p in points
        }
        self.machine: dict[str, Any] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        """One event."""
        kind = event["event"]
        if kind == "machine":
            self.machine = dict(event)
        if "key" not in event:
            return
        has = self.found[event["key"]]
        if kind == "sample":
            sample = Sample(round=event["round"], wall_s=event["wall_s"], cpu_s=event["cpu_s"])
            has = replace(has, samples=(*has.samples, sample))
        elif kind == "built":
            has = replace(has, setup_s=event["setup_s"], program_bytes=event["program_bytes"])
        elif kind == "failed":
            has = replace(has, failure=event["reason"])
        elif kind == "count":
            operators = [op for layer in read_count(event["count"]).layers for op in layer.operators]
            features = features_of(operators, has.point.batch)
            has = replace(has, point=replace(has.point, features=features))
        self.found[event["key"]] = has


def document_of(heard: Heard) -> dict[str, Any]:
    """What was heard, as JSON types: every sample, in microseconds."""
    return {
        "machine": heard.machine,
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
            for m in heard.found.values()
        ],
    }


def read_heard(document: Mapping[str, Any]) -> Heard:
    """What ``document_of`` wrote."""
    heard = Heard(document["points"])
    heard.machine = document["machine"]
    for each in document["points"]:
        samples = zip(each["wall_s"], each["cpu_s"], strict=True)
        has = heard.found[each["key"]]
        heard.found[each["key"]] = replace(
            has,
            point=replace(has.point, features=each["features"]),
            setup_s=each["setup_s"],
            program_bytes=each["program_bytes"],
            failure=each["failure"],
            samples=tuple(Sample(round=i, wall_s=w, cpu_s=c) for i, (w, c) in enumerate(samples)),
        )
    return heard
