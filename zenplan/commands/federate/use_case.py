"""``zenplan federate``: a run whose steps are rounds, what its clients did in them, and the same run in one place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from zenplan import units
from zenplan.adapters.run_folder.folder import JOB, take
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.flags import Flags, read_train_table
from zenplan.commands.train.past import finished_runs
from zenplan.commands.train.predict import World
from zenplan.commands.train.screen import Screen
from zenplan.commands.train.session import Session
from zenplan.domain.measured.federation import Central, Client, Federation
from zenplan.domain.measured.training_run import FINISHED, RunResult
from zenplan.errors import DataError, InputFileError, UsageError, ZenplanError
from zenplan.protocols import Engine
from zenplan.worker.protocol import Clients, Event, Federated, Moved, Round, Train

# Fields of a job that a run in one place has in common with a federated one.
_SAME: Final = ("data", "model", "loss", "optimizer", "precision", "seed", "weights", "batch", "lora_rank", "quantize")


def federated_session(session: Session, engine: Engine, federated: Federated, rounds: int) -> Session:
    """The same run among clients: its steps are rounds, each evaluated.

    Args:
        session: of the run in one place.
        engine: that federates.
        federated: among which clients.
        rounds: that it has.

    Raises:
        UsageError: it is to end by what a federated run does not look at.
    """
    job = session.asked.job
    if job.until_loss is not None or job.patience:
        raise UsageError("a federated run has its rounds, and no other end", "leave out until_loss and patience")
    # No step of one process says how long a round of many takes: nothing is rehearsed, and nothing predicted.
    job = msgspec.structs.replace(
        job, steps=rounds, federated=federated, rehearsal=None, evaluate_every=1, checkpoint_every=0
    )
    asked = replace(session.asked, job=job, chosen_interval=False, chosen_evaluation=False)
    return replace(session, asked=asked, engine=engine, world=World(ratios={}))


def central_flags(flags: Flags, epochs: int, session: Session) -> Flags:
    """Flags of a run in one place that sees as many samples; of a file that says steps, in steps."""
    given: dict[str, Any] = dict(flags.given)
    said = read_train_table(flags.file) if flags.file is not None else {}
    if "steps" in said:
        job, data = session.asked.job, session.asked.data
        length = getattr(job.model, "options", {}).get("length")
        given["steps"] = str(epochs * max(1, data.samples("train", length) // job.batch))
    else:
        given["epochs"] = str(epochs)
    return replace(flags, given=given, out=None)


def central_run(session: Session, screen: Screen) -> Central:
    """Train in one place. Raises ZenplanError: it did not come to its end."""
    outcome = session.go(screen)
    status = outcome.result.status
    if status.state != FINISHED:
        raise outcome.error or ZenplanError(
            f"the run in one place is {status.state}: {status.reason}", "leave out --compare"
        )
    return _central(outcome.result)


def central_of(asked: Asked) -> Central | None:
    """The newest finished run of the same in one place; None without one."""
    for folder, result in finished_runs():
        try:
            job = take(folder, JOB, Train)
        except (InputFileError, DataError):
            continue
        if job.federated is None and all(getattr(job, name) == getattr(asked.job, name) for name in _SAME):
            return _central(result)
    return None


def _central(result: RunResult) -> Central:
    return Central(
        run=result.status.id,
        steps=result.status.step,
        samples=result.samples,
        wall_s=result.status.spent.total_s,
        metrics={part: dict(values) for part, values in result.metrics.items()},
    )


@dataclass(slots=True, kw_only=True)
class Federating:
    """A federated run that goes on: hears its rounds.

    Attributes:
        screen: that is told of them; None for nobody.
    """

    federated: Federated
    rounds: int
    screen: Screen | None = None
    split: Clients | None = None
    moved: Moved | None = None
    done: list[Round] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        """One event of the worker's."""
        if isinstance(event, Clients):
            self.split = event
        elif isinstance(event, Moved):
            self.moved = event
        elif isinstance(event, Round):
            self.done.append(event)
            if self.screen is not None:
                more = {"averaged": event.averaged, "dropped": event.dropped, "left_out": event.left_out}
                people = {name: [number + 1 for number in numbers] for name, numbers in more.items()}
                self.screen.tell("round", told(event), {"round": event.number, **people, "wall_s": event.wall_s})

    def found(self, central: Central | None) -> Federation:
        """What became of it."""
        wanted, split, moved = self.federated, self.split, self.moved
        averaged, dropped, left_out = (
            Counter(number for each in self.done for number in getattr(each, name))
            for name in ("averaged", "dropped", "left_out")
        )
        return Federation(
            clients=tuple(
                Client(
                    number=number + 1,
                    samples=samples,
                    classes=split.classes[number] if split.classes else (),
                    steps=split.steps[number],
                    averaged=averaged[number],
                    dropped=dropped[number],
                    left_out=left_out[number],
                )
                for number, samples in enumerate(split.samples)
            )
            if split is not None
            else (),
            rounds=len(self.done),
            wanted=self.rounds,
            local_epochs=wanted.local_epochs,
            round_s=tuple(each.wall_s for each in self.done),
            client_s=tuple(each.client_s for each in self.done),
            weights_bytes=split.bytes if split else 0,
            up_bytes=moved.up_bytes if moved else None,
            down_bytes=moved.down_bytes if moved else None,
            engine=moved.engine if moved else "",
            how=moved.how if moved else "",
            alpha=wanted.alpha,
            dropout=wanted.dropout,
            noise=wanted.noise,
            clip=wanted.clip,
            central=central,
        )


def told(event: Round) -> str:
    """A round in a line: who was in it, and who was not."""
    lines = [f"round {event.number:,}: {units.many(len(event.averaged), 'client')} averaged"]
    for what, numbers in (("dropped out", event.dropped), ("left out, its weights are no numbers", event.left_out)):
        lines += [f"client {number + 1} {what}" for number in numbers]
    return "; ".join(lines)
