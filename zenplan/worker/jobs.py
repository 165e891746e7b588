"""The worker's jobs, by name: what the parent asks for, from dictionary to events."""

from __future__ import annotations

from typing import Any

from zenplan.domain.model.count_document import count_document
from zenplan.worker.protocol import Events


def count(job: dict[str, Any], events: Events) -> None:
    """Count a model, layer by layer, and send the count.

    Args:
        job: ``target`` (``package.module:name``) with ``arguments``, or ``config`` (of a ``.keras`` file);
            ``input_shapes`` of one sample, for a model whose own are open or missing; ``batch``, None for any; ``values``,
            whether variables get their values, which a builder may need.
        events: the way to the parent.
    """
    # Keras takes its backend from the environment at its first import: not before the job is known.
    from zenplan.worker.counting.count import count_model
    from zenplan.worker.counting.load import configured_model, imported_model, weightless, with_inputs

    with weightless(not job["values"]):
        if job["config"] is not None:
            model = configured_model(job["config"], events)
        else:
            model = imported_model(job["target"], events, job.get("arguments") or {})
        shapes = job["input_shapes"]
        if shapes and not getattr(model, "inputs", None):
            with_inputs(model, shapes)
        events.begin("count")
        counted = count_model(model, job["batch"], shapes)
    events.send(event="count", count=count_document(counted))


def measure(job: dict[str, Any], events: Events) -> None:
    """Step models and time them; each sample is sent as it comes.

    Args:
        job: as in ``protocol``.
        events: the way to the parent.
    """
    from zenplan.worker.measuring.machine import confined

    # Before a framework is imported, which starts threads.
    threads = confined(job["threads"])
    from zenplan.worker.measuring.measure import measure_points

    measure_points(job, threads, events)
    events.send(event="done")


def data_parallel(job: dict[str, Any], events: Events) -> None:
    """Step models as one of several ranks, and time them.

    Args:
        job: as in ``data_parallel``.
        events: the way to the parent.
    """
    from zenplan.worker.measuring.cores import own_cores

    # Before a framework is imported, which starts threads.
    own_cores(job["rank"], job["world"], job["threads"])
    from zenplan.worker.measuring.data_parallel import measure_together

    measure_together(job, events)
    events.send(event="done")


JOBS = {"count": count, "measure": measure, "data_parallel": data_parallel}
