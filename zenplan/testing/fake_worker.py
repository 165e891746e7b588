"""``python -m zenplan.testing.fake_worker LAW``: the worker of ``FakeEngine``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from zenplan.errors import FailureKind, ZenplanError
from zenplan.worker.protocol import Built, Done, Events, Machine, Measure, Peak, Sampled, decode_job


def measure(job: Measure, law: Mapping[str, float], events: Events) -> None:
    """Say what a measurement would have found."""
    events.send(Machine(device="a fake", kind=job.device, threads=job.threads, versions={"fake": "1"}, compiled=True))
    events.begin("measure")
    for point in job.points:
        events.send(Built(key=point.key, setup_s=0.0))
        events.send(Peak(key=point.key, bytes=law["sample_bytes"] * point.batch, how="resident set"))
    for number in range(job.rounds.most):
        for point in job.points:
            wall_s = law["fixed_s"] + law["sample_s"] * point.batch
            events.send(Sampled(key=point.key, round=number, wall_s=wall_s, cpu_s=wall_s))
    events.send(Done())


def main() -> None:
    """Do the one job that stdin has."""
    job = decode_job(sys.stdin.readline())
    with Events(job.events) as events:
        events.begin("start")
        if not isinstance(job, Measure):
            raise ZenplanError(
                "a fake engine measures alone", "other engines count and train", kind=FailureKind.UNSUPPORTED
            )
        measure(job, json.loads(sys.argv[1]), events)


if __name__ == "__main__":
    main()
