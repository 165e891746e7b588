"""``python -m zenplan.worker``: one job, read as a line of JSON from stdin; see ``protocol`` for what it answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.protocol import (
    AnyJob,
    Compress,
    Count,
    Counted,
    DataParallel,
    Done,
    Events,
    Explain,
    Export,
    File,
    Kind,
    Measure,
    Score,
    Serve,
    Train,
    Write,
)
from zenplan.worker.serving import Stdin, serve


def do(job: AnyJob, events: Events, stdin: Stdin) -> None:
    """Do the job, whichever it is; and those that come after it, where some may."""
    if isinstance(job, Count):
        _count(job, events)
    elif isinstance(job, Measure):
        _measure(job, events, stdin.job)
    elif isinstance(job, Write):
        from zenplan.worker.training.writing import write

        write(job, events)
    elif isinstance(job, Train):
        _train(job, events, stdin)
    elif isinstance(job, Score):
        _confine(job.threads)
        from zenplan.worker.trained.scoring import score

        score(job, events)
    elif isinstance(job, Explain):
        _confine(job.threads)
        from zenplan.worker.trained.explaining import explain

        explain(job, events)
    elif isinstance(job, Compress):
        _confine(job.threads, job.model.job.device)
        from zenplan.worker.trained.compressing import compress

        compress(job, events)
    elif isinstance(job, Export):
        _confine(job.threads)
        from zenplan.worker.trained.exporting import export

        export(job, events)
    elif isinstance(job, Serve):
        _confine(job.threads)
        from zenplan.worker.trained.answering import answer

        answer(job, events)
    else:
        _data_parallel(job, events)


def _count(job: Count, events: Events) -> None:
    """Count a model, layer by layer, and send the count."""
    wanted, config = job.model, dict[str, Any]()
    if isinstance(wanted, File):
        events.begin("read")
        # One that is refused is refused at once: before a framework is imported.
        config = read_keras_config(wanted.path)
        events.begin("start")
    # Keras takes its backend from the environment at its first import: not before the job is known.
    from zenplan.worker.counting.count import count_model
    from zenplan.worker.counting.load import configured_model, drawn_by_numpy, imported_model, weightless, with_inputs

    shapes = () if isinstance(wanted, Kind) else wanted.input_shapes
    with weightless(not job.values):
        with drawn_by_numpy():
            if isinstance(wanted, Kind):
                from zenplan.worker.training.kinds import model_of
                from zenplan.worker.training.kinds.facts import Facts
                from zenplan.worker.training.prepared import Prepared

                events.begin("build")
                model = model_of(wanted.name, wanted.options, Facts.of(Prepared.read(job.data)))
            elif isinstance(wanted, File):
                model = configured_model(config, events)
            else:
                model = imported_model(wanted.target, events, wanted.arguments)
        if shapes and not model.built:
            with_inputs(model, shapes)
        events.begin("count")
        counted = count_model(model, job.batch, shapes, job.loop)
    events.send(Counted(count=counted))


def _measure(job: Measure, events: Events, next_job: Callable[[], AnyJob]) -> None:
    """Step models and time them; each sample is sent as it comes."""
    from zenplan.worker.measuring.machine import confined

    # Before a framework is imported, which starts threads.
    threads = confined(job.threads)
    from zenplan.worker.measuring.measure import Measurement

    measurement = Measurement.of(job, threads, events)
    measurement.points(job)
    while job.more:
        events.send(Done(stays=True))
        following = next_job()
        if not isinstance(following, Measure):
            break
        job = following
        measurement.points(job)
    events.send(Done())


def _data_parallel(job: DataParallel, events: Events) -> None:
    """Step models as one of several ranks, and time them."""
    from zenplan.worker.measuring.machine import confined_beside

    # Before a framework is imported, which starts threads.
    confined_beside(job.ranks.local, job.threads)
    from zenplan.worker.parallel.measure import measure_together

    measure_together(job, events)
    events.send(Done())


def _confine(threads: int, device: str = "cpu") -> None:
    """Keep this process to so many threads, before a framework starts its own."""
    from zenplan.worker.measuring.machine import confined, prepare

    prepare(device, confined(threads), "fp32")


def _train(job: Train, events: Events, stdin: Stdin) -> None:
    """Train a model; the run ends by itself, by a line of stdin, by its end, or by SIGTERM."""
    from zenplan.worker.measuring.machine import confined, confined_beside, prepare
    from zenplan.worker.training.prepared import Prepared
    from zenplan.worker.training.wishes import Wishes

    wishes = Wishes(stdin.lines, stdin.patient)
    wishes.listen()
    # What is wrong with the data is told before a framework is imported, which starts threads.
    data = Prepared.read(job.data)
    ranks = job.ranks
    threads = confined(job.threads) if ranks is None else confined_beside(ranks.local, job.threads)
    from zenplan.worker.training.together import joined

    # Before a device is looked for: workers that meet share theirs.
    with joined(job, events) as group:
        prepare(job.device, threads, job.precision)
        import keras

        from zenplan.worker.measuring.memory import Memory
        from zenplan.worker.training.keras_trainee import keras_trainee
        from zenplan.worker.training.run import train

        memory = Memory(keras.config.backend(), job.device)
        train(job, data, partial(keras_trainee, group=group), memory, wishes, events, group)


serve(do)
