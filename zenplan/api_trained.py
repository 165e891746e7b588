"""What is done with the model of a finished run, from Python. Arguments are as in ``zenplan.api``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from zenplan.arguments import flags
from zenplan.results import Explanation, result

File = str | os.PathLike[str]


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
    found = explanation_of(os.fspath(run), {**texts, "given": where}, backend, progress or _untold)
    return result(Explanation, found)


def _untold(_stage: str, _seconds: float) -> None:
    pass
