"""What is to be held against the figures that a run came out with: beside its baseline, its best, and chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from zenplan import units
from zenplan.domain.measured.training_run import ACCURACY, RunResult

# Of the lowest validation loss: one evaluation differs so much from the next (assumed).
_WORSE: Final = 0.05


def doubt_of(result: RunResult, part: str, name: str) -> str:
    """Where an accuracy lies by the choice of samples, for people; empty of other metrics."""
    found = result.doubt(part, name)
    return "" if found is None else units.span(units.significant(found.low, 2), units.significant(found.high, 2))


def warnings(result: RunResult) -> Iterator[str]:
    """A sentence for each; none where nothing is."""
    part = result.judged
    values, known = result.metrics.get(part, {}), result.baselines.get(part, {})
    if result.no_better:
        against = " and ".join(f"{name}, {_pair(values[name], known[name])}" for name in result.no_better)
        yield (
            f"On {part} data it is no better than a guess that looks at no input in {against}. A lower --learning-rate, "
            "inputs of a like scale or more steps may help."
        )
    elif "loss" not in known and None not in (result.first_loss, result.last_loss) and _rose(result):
        yield f"Its training loss rose: {_pair(result.last_loss or 0.0, result.first_loss or 0.0)} at the first step."
    doubt = result.doubt(part, ACCURACY) if ACCURACY in values else None
    if doubt is not None and ACCURACY in known and doubt.low <= known[ACCURACY] < doubt.mid:
        samples = units.many(result.scored[part], "sample")
        yield (
            f"An accuracy of {_pair(doubt.mid, known[ACCURACY])} of a guess may be chance: on {samples} it is good to "
            f"{doubt_of(result, part, ACCURACY)}."
        )
    last = result.metrics.get("validation", {}).get("loss")
    if last is not None and result.best_loss is not None and last - result.best_loss > _WORSE * abs(result.best_loss):
        yield (
            f"Its validation loss was lowest at step {result.best_step or 0:,}: {units.significant(result.best_loss, 4)}; "
            f"at the last it is {units.significant(last, 4)}."
        )


def _rose(result: RunResult) -> bool:
    return not (result.last_loss or 0.0) <= (result.first_loss or 0.0)


def _pair(value: float, other: float) -> str:
    return f"{units.significant(value, 4)} against {units.significant(other, 4)}"
