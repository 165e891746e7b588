"""The worker's jobs, by name: what the parent asks for, from dictionary to events."""

from __future__ import annotations

from typing import Any

from zenplan.domain.count_document import count_document
from zenplan.worker.protocol import Events


def count(job: dict[str, Any], events: Events) -> None:
    """Count a model, layer by layer, and send the count.

    Args:
        job: ``target`` (``package.module:name``) or ``config`` (of a ``.keras`` file); ``input_shapes`` of one
            sample, for a model whose own are open or missing; ``batch``, None for any; ``values``, whether variables get
            their values, which a builder may need.
        events: the way to the parent.
    """
    # Keras takes its backend from the environment at its first import: not before the job is known.
    from zenplan.worker.count import count_model
    from zenplan.worker.load import configured_model, imported_model, weightless, with_inputs

    with weightless(not job["values"]):
        if job["config"] is not None:
            model = configured_model(job["config"], events)
        else:
            model = imported_model(job["target"], events)
        shapes = job["input_shapes"]
        if shapes and not getattr(model, "inputs", None):
            with_inputs(model, shapes)
        events.begin("count")
        counted = count_model(model, job["batch"], shapes)
    events.send(event="count", count=count_document(counted))


JOBS = {"count": count}
