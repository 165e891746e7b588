"""From what was asked for to a subject: a named model, a configuration or a size as a proxy model; a Keras model itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.calibrate.how import How
from zenplan.commands.calibrate.subject import Subject, repeated
from zenplan.commands.shared.counting import count_keras, keras_model
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.model.proxy import proxy_note
from zenplan.domain.model.workload import Workload
from zenplan.domain.software import compiles, keras_software
from zenplan.domain.training.request import Request
from zenplan.errors import UsageError
from zenplan.protocols import WorkloadFamily
from zenplan.worker.protocol import Blocks

Tell = Callable[[str, float], None]
_BATCH: Final = 8
# The usual batch of a model is that of many devices.
_MOST_USUAL: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Vary:
    """The argument of a builder that is the depth, and at which depths it is to be run."""

    argument: str
    depths: tuple[int, ...]


def proxy_of(request: Request, families: Sequence[WorkloadFamily], how: How, backend: str) -> Subject:
    """A model known by its operators alone. ``request`` says which, and the batch.

    Raises:
        UsageError: nothing says which, or an option does not go with it.
    """
    plan = training_plan(
        replace(
            request, software=_software(how, backend), precision=how.precision, optimizer=request.optimizer or "adamw"
        ),
        families,
        whole_run=False,
    )
    workload = plan.workload
    batch, facts = _batch(request.batch, workload)
    model = Blocks(
        name=workload.name,
        blocks=workload.blocks,
        tokens_per_sample=workload.tokens_per_sample,
        unit=workload.unit,
    )
    return Subject(
        name=workload.name,
        plan=plan,
        batch=batch,
        model=model,
        stand_in=proxy_note(workload.blocks),
        depth=repeated(workload),
        device=how.device,
        facts=facts,
    )


def own_model(
    target: str, request: Request, how: How, backend: str, vary: Vary | None, depth: int | None, tell: Tell
) -> Subject:
    """The user's own Keras model, counted first.

    Raises:
        UsageError: it is no model, or ``vary`` and ``depth`` do not go together.
        ZenplanError: it cannot be built or counted.
    """
    if (vary is None) != (depth is None):
        raise UsageError("--vary and --depth go together", "as in: --vary depth=1,2,4 --depth 12")
    if vary and depth is not None and max(vary.depths) >= depth:
        raise UsageError(f"--vary must be less deep than --depth {depth}", "as in: --vary depth=1,2,4 --depth 12")
    arguments = {vary.argument: depth} if vary else {}
    if vary and target.endswith(".keras"):
        raise UsageError("--vary is for a function", "a .keras file is one model, of one depth")
    model = keras_model(target, arguments)
    workload, unknown = _counted(target, arguments, backend, tell)
    plan = training_plan(
        replace(
            request,
            keras=workload,
            software=_software(how, backend),
            precision=how.precision,
            optimizer=request.optimizer or "adamw",
        ),
        (),
        whole_run=False,
    )
    batch, facts = _batch(request.batch, plan.workload)
    return Subject(
        name=target,
        plan=plan,
        batch=batch,
        model=model,
        depth=depth,
        device=how.device,
        facts=(*facts, *unknown),
        vary=vary.argument if vary else "",
        depths=vary.depths if vary else (),
    )


def _counted(target: str, arguments: Mapping[str, Any], backend: str, tell: Tell) -> tuple[Workload, tuple[str, ...]]:
    """The Keras model as something to train, and what could not be counted of it.

    It is counted on one of Keras's backends, whatever then runs it.
    """
    count = count_keras(target, backend if backend in BACKENDS else None, arguments=arguments, tell=tell)
    if not count.unknown:
        return count.workload(), ()
    more = f" and {len(count.unknown) - 1} more" if len(count.unknown) > 1 else ""
    text = f"FLOP and predicted memory are without {count.unknown[0].label}{more}, whose cost is unknown"
    return count.workload(), (text,)


def _software(how: How, backend: str) -> str:
    """The kind of software that runs it, of which memory is predicted."""
    return keras_software(backend, compiles(backend, how.compiled))


def _batch(given: int | None, workload: Workload) -> tuple[int, tuple[str, ...]]:
    """Samples of the step that is wanted, and what was chosen."""
    if given is not None:
        return given, ()
    usual = min(workload.usual.global_batch, _MOST_USUAL) if workload.usual else _BATCH
    return usual, (f"batch {usual}: what a device often takes at a time; --batch changes it",)
