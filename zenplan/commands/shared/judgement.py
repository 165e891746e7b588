"""Whether a run trains on a sensible amount, in a line each: beside the compute optimum, and in its steps."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Final

from zenplan import units
from zenplan.commands.shared.fine_tuning import is_language
from zenplan.domain.provenance import Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.families.own_data import FINE_TUNED_SHARE, LEAST_FINE_TUNING
from zenplan.families.transformer import recipe

# Of the compute-optimal tokens: within these nothing is to be said.
_LITTLE: Final = 0.8
_MUCH: Final = 1.5
# Fewer optimizer steps leave no time for a learning rate to rise and fall; assumed.
_FEW_STEPS: Final = 100
# Passes that are nearly as good as new data (Muennighoff et al. 2023).
_GOOD_PASSES: Final = 4
_LAW: Final = "Muennighoff et al. 2023, arXiv 2305.16264"


def judgement(plan: TrainingPlan) -> tuple[str, ...]:
    """What a careful colleague would say about the amount; nothing where all is as usual."""
    lines: list[str] = []
    # What is known of text says nothing of other sequences.
    if is_language(plan.workload) and plan.method == "full" and not plan.workload.data_kind:
        share = plan.tokens / recipe.recipe_for(plan.workload).optimum
        lines += [*_against_the_optimum(plan, share), *_repeated(plan, share)]
    return (*lines, *_cut(plan), *_steps(plan))


def _size(plan: TrainingPlan, parameters: float) -> str:
    """Parameters for people: the size that was asked for, where the shape is the usual one of about that size."""
    load = plan.workload
    asked = next((f.value for f in load.facts if f.name == "parameters" and f.origin is Origin.GIVEN), None)
    return asked if asked and load.guessed_shape and load.experts == 1 else units.count(parameters)


def _against_the_optimum(plan: TrainingPlan, share: float) -> Iterator[str]:
    optimum = plan.tokens / share
    tokens, wanted = units.count(plan.tokens), units.count(optimum)
    model = _size(plan, optimum / recipe.TOKENS_PER_PARAMETER)
    if share > _MUCH:
        smaller = units.count(sqrt(plan.tokens / recipe.TOKENS_PER_PARAMETER * optimum / recipe.TOKENS_PER_PARAMETER))
        yield (
            f"{tokens} tokens are {units.significant(share)} × the compute optimum of {model} parameters: a smaller "
            f"model to serve, more compute to train; as much compute is best spent on {smaller} parameters."
        )
    elif share < FINE_TUNED_SHARE and plan.tokens < LEAST_FINE_TUNING:
        least = units.count(LEAST_FINE_TUNING)
        yield (
            f"{tokens} tokens are next to nothing of what {model} parameters want from scratch ({wanted}), and fewer than "
            f"the {least} that a fine-tuning is known to be worth (Zhou et al. 2023, arXiv 2305.11206)."
        )
    elif share < FINE_TUNED_SHARE:
        yield (
            f"{tokens} tokens are {_percent(share)} of what {model} parameters want from scratch ({wanted}): enough to "
            "fine-tune a trained checkpoint, far from enough to train one from the start."
        )
    elif share < _LITTLE:
        enough = units.count(plan.tokens / recipe.TOKENS_PER_PARAMETER)
        line = (
            f"{tokens} tokens are {_percent(share)} of what {model} parameters want from scratch ({wanted}), and enough "
            f"for {enough} parameters"
        )
        worth = units.significant(recipe.worth_of_passes(_GOOD_PASSES), 2)
        again = f"; four passes over them are worth {worth} times as many new ones ({_LAW})"
        yield f"{line}{again if plan.epochs == 1.0 else ''}."


def _repeated(plan: TrainingPlan, share: float) -> Iterator[str]:
    """What passes are worth after the first, where the model is trained and not only tuned on them."""
    if share < FINE_TUNED_SHARE or plan.epochs <= 1.0:
        return
    worth = recipe.worth_of_passes(plan.epochs)
    told = f"{plan.epochs:.3g} passes are worth {units.significant(worth)} times as much new data"
    little = "; more passes would add next to nothing" if worth < plan.epochs / 2.0 else ""
    yield f"{told}{little} ({_LAW})."


def _cut(plan: TrainingPlan) -> Iterator[str]:
    """What of counted data is not learned from, where texts are cut to a given length."""
    values = {fact.name: fact.value for fact in plan.facts}
    data, left = values.get("tokens of the data"), values.get("dataset tokens")
    if data and left and left != data.partition(" ")[0]:
        yield f"Of {data} tokens of the data {left} are learned from: texts are cut to --seq-len, as in fine-tuning."


def _steps(plan: TrainingPlan) -> Iterator[str]:
    if plan.steps < _FEW_STEPS:
        many = f"{plan.steps} optimizer step{'s' * (plan.steps != 1)}"
        yield f"Only {many}, few to learn in: a smaller --batch or more --epochs give more."


def _percent(share: float) -> str:
    return f"{units.significant(100.0 * share, 2)} %"
