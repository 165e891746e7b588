"""What is done with the model of a finished run, from Python. Arguments are as in ``zenplan.api``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zenplan.arguments import flags, unseen
from zenplan.results import Compression, Explanation, RetrainPlan, RunServingCost, result

Number = float | str
# Arguments of ``compress`` that are handed on as they are.
_NO_FLAGS = ("run", "method", "minutes", "out", "force", "progress", "backend")
File = str | os.PathLike[str]


def compress(
    run: File,
    *,
    method: str | Sequence[str] | None = None,
    min_accuracy: Number | None = None,
    min_metric: Number | None = None,
    max_share: Number | None = None,
    max_mb: Number | None = None,
    max_ms: Number | None = None,
    sparsity: Number | None = None,
    width: Number | None = None,
    student: str | None = None,
    steps: Number | None = None,
    minutes: Number | None = None,
    usd_per_hour: Number | None = None,
    samples: Number | None = None,
    threads: Number | None = None,
    backend: str | None = None,
    out: File | None = None,
    force: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Compression:
    """Smaller versions of a finished run's model, compared, and the best kept. As ``zenplan compress``.

    Its ``best`` is None, and nothing is written, where no version is within the bounds.

    Args:
        run: its id or folder.
        method: int8, int4, prune, distill or merge; or several. None for all that go with the run.
        min_accuracy: of the chosen version, 0 to 1.
        min_metric: of the run's own figure, a ratio; None for 0.98 without ``min_accuracy``.
        max_share: of the size of the run's model.
        max_mb: of its files, in 1e6 bytes.
        max_ms: of a call with one sample.
        sparsity: of the weights, that pruning makes zero; None for 0.5.
        width: of a student, of that of the model; None for students of 0.5 and 0.25.
        student: one of your own, "package.module:function".
        steps: of each training; None for those of the run, of pruning half.
        minutes: of all trainings together; None for 10 without ``steps``.
        usd_per_hour: of serving; None for that of the run.
        samples: of the test set that are scored; None for 2,000, 0 for all.
        threads: of the host; None for all cores.
        backend: jax, torch or tensorflow; None for that of the run.
        out: a folder; None for ``compressed/`` of the run.
        force: replace what was compressed there before.
        progress: called with the share that is done, 0 to 1, and a line.

    Raises:
        UsageError: an argument is wrong, or the run is not finished.
        ZenplanError: the model cannot be opened, or nothing can be written there.
    """
    texts = flags({name: value for name, value in locals().items() if name not in _NO_FLAGS})
    texts |= {"minutes": None if minutes is None else str(minutes), "backend": backend}
    from zenplan.commands.compress.from_flags import asked_compression
    from zenplan.commands.compress.use_case import compressed, plan

    methods = [method] if isinstance(method, str) else list(method or ())
    asked = asked_compression(os.fspath(run), methods, texts, None if out is None else Path(out), force)
    return result(Compression, compressed(asked, plan(asked), progress or unseen))


def explain(
    run: File,
    *,
    given: Any = None,
    method: str = "gradients",
    samples: int | None = None,
    part: str | None = None,
    target: str | int | None = None,
    steps: int = 64,
    repeats: int = 5,
    seed: int = 0,
    backend: str | None = None,
    timeout: float | str | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Explanation:
    """What the answers of a trained model come from: which columns, tokens or pixels. As ``zenplan explain``.

    It has ``samples``, or an ``importance``, and the ``checks`` that tell whether it is ``believable``.

    Args:
        run: a finished run, by its id or folder.
        given: a text, a JSON value as text, or a file; None for samples of the run's own data.
        method: "gradients" (integrated, Sundararajan et al. 2017), "occlusion" or "permutation".
        samples: of the run's data; None for 4, and of permutation for all.
        part: "test", "validation" or "train"; None for test where there is one.
        target: class or token that is explained; None for the likeliest.
        steps: of integrated gradients, 64 or more.
        repeats: of each permutation.
        seed: of what is shuffled.
        backend: jax, torch or tensorflow; None for that of the run.
        timeout: seconds that it may take, or as in "10m".
        progress: called with the stage and the seconds since the start.

    Raises:
        UsageError: an argument is wrong, the run is not finished, or the method does not go with its model.
        ZenplanError: the model cannot be read.
    """
    texts = flags(
        {name: value for name, value in locals().items() if name not in ("run", "given", "progress", "backend")}
    )
    from zenplan.commands.explain.from_flags import explanation_of

    where = None if given is None else os.fspath(given)
    found = explanation_of(os.fspath(run), {**texts, "given": where}, backend, progress or unseen)
    return result(Explanation, found)


def retrain_plan(
    run: File,
    *,
    decay: str | None = None,
    drift: File | None = None,
    metric: str | None = None,
    usd_per_point_day: float | str | None = None,
    min_metric: float | str | None = None,
    max_metric: float | str | None = None,
    run_usd: float | str | None = None,
) -> RetrainPlan:
    """When to train again: at the least cost, or before a metric is too bad. As ``zenplan retrain-plan``.

    Args:
        run: a finished run, by its id or folder.
        decay: share of the metric that is lost, as in "1%/week", or low, middle and high: "0.5%:1%:2%/week".
        drift: or a log of it since the run: CSV or JSON lines of date and metric.
        metric: its name; None for the run's first that is no loss.
        usd_per_point_day: what a point (0.01) of the metric is worth a day.
        min_metric, max_metric: the least that it may be, or the most of one that is worse the higher it is.
        run_usd: what a run costs; None for what this one did.

    Raises:
        UsageError: an argument is wrong, the run is not finished, or something is not known of it.
        InputFileError: the log cannot be read, or the metric does not get worse in it.
    """
    texts = flags({name: value for name, value in locals().items() if name != "run"})
    from zenplan.commands.retrain_plan.use_case import Asked
    from zenplan.commands.retrain_plan.use_case import retrain_plan as use_case

    return result(RetrainPlan, use_case(os.fspath(run), Asked.of(texts)))


def serve_run_cost(
    run: File,
    *,
    rate: float | str | None = None,
    concurrency: int | None = None,
    output_tokens: int | None = None,
    max_batch: int | None = None,
    max_wait: str | None = None,
    threads: int | None = None,
    backend: str | None = None,
    usd_per_hour: float | str | None = None,
    progress: Callable[[str], None] | None = None,
) -> RunServingCost:
    """Latency, throughput and dollars of serving a run's model, measured here. As ``zenplan serve-cost RUN``.

    Args:
        run: a finished run, by its id or folder.
        rate: requests that come: a second's number, or "600/min"; or
        concurrency: requests in flight.
        output_tokens: of a text; None for 64.
        max_batch: samples of a call at most; None for 32.
        max_wait: that a sample waits for others; None for "2ms".
        threads, backend: of the model; None for those of the run.
        usd_per_hour: what such a machine costs.
        progress: called with what is done.

    Raises:
        UsageError: an argument is wrong, the run is not finished, or what serves is not installed.
        ZenplanError: the model cannot be read, or a request is refused.
    """
    texts = flags({name: value for name, value in locals().items() if name not in ("run", "progress")})
    from zenplan.commands.run_serving.use_case import Asked, run_serving

    named = {"out" if name == "output_tokens" else name.replace("_", "-"): text for name, text in texts.items()}
    return result(RunServingCost, run_serving(os.fspath(run), Asked.of(named), progress or unseen))
