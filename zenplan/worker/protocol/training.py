"""The job ``train``: what a training run is told, and what its parent hears while it goes on.

The parent may write a ``Stop`` to the worker's stdin while the job runs. The worker then finishes the step that it is
in, writes a checkpoint, and ends with ``Ended``; a SIGTERM does the same, and so does the end of stdin, which means that
the parent is gone.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from zenplan.unions import Whole
from zenplan.worker.protocol.events import Event
from zenplan.worker.protocol.federated import Federated
from zenplan.worker.protocol.jobs import Job
from zenplan.worker.protocol.models import File, Kind, Target

# --- events


class Ready(Event, frozen=True, kw_only=True, tag="ready"):
    """The model is built and its first step compiled; what comes next is the rehearsal, or the run.

    Where a run goes on, ``Steps`` and ``Metric`` of before its checkpoint may come once more after it: those that a
    parent may not have heard, whose end was sudden.

    Attributes:
        parameters, trainable: of the model.
        setup_s: until then.
        step: that the run goes on from; 0 for a new run.
        exact: whether a resumed run goes on bit for bit; ``differs`` says what is not as it was.
        passed: checkpoints newer than the one it goes on from that did not check, each with why.
        micro_batch: samples, as it is after what memory allowed.
        samples: of a pass over the training data. tokens_per_sample: None where they are not of tokens.
        hosts: names of the machines that it trains on.
        own: variables of layers, such as means of batches, of which each replica keeps that of its part of a batch: the
            loss is not that of one replica with the whole batch. Their mean over the replicas is kept and evaluated.
    """

    parameters: Whole
    trainable: Whole
    setup_s: float
    step: Whole = 0
    exact: bool = True
    differs: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    micro_batch: Whole
    samples: Whole
    tokens_per_sample: Whole | None = None
    hosts: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


class Rehearsed(Event, frozen=True, kw_only=True, tag="rehearsed"):
    """What was timed before the run.

    Attributes:
        step_wall_s, step_cpu_s: of each timed step; evaluate_s: of one evaluation as the run has it, None where none
            was timed; checkpoint_s: of writing one.
        checkpoint_bytes: on disk.
        peak_bytes: of memory so far; how: as of ``Peak``.
    """

    step_wall_s: tuple[float, ...]
    step_cpu_s: tuple[float, ...]
    evaluate_s: float | None = None
    checkpoint_s: float | None = None
    checkpoint_bytes: Whole | None = None
    peak_bytes: float | None = None
    how: str = ""


class Pulse(Event, frozen=True, kw_only=True, tag="pulse"):
    """A sign of life of one of several workers, each second, from a thread of its own; or what rank 0 has heard of it.

    Attributes:
        rank: of the worker; host: that it is on.
        begun: steps that it has begun; done: of which its own part is done, and it waits for the others.
        busy_s: seconds that its own part of a step took, the mean of some; None of a mere sign of life.
    """

    rank: Whole
    host: str
    begun: Whole
    done: Whole
    busy_s: float | None = None


class Steps(Event, frozen=True, kw_only=True, tag="step"):
    """Steps that were done since the last event of this kind, in their order.

    Attributes:
        first: number of the first of them, from 1.
        losses: of each, the mean over its batch.
        wall_s: of each, from its beginning to that of the next; loading its batch, ``wait_s``, is in it.
        cpu_s: of all of them together, all threads.
        gradient_norm, learning_rate: of the last; None where it is not known.
    """

    first: Whole
    losses: tuple[float, ...]
    wall_s: tuple[float, ...]
    wait_s: tuple[float, ...]
    cpu_s: float
    gradient_norm: float | None = None
    learning_rate: float | None = None


class Metric(Event, frozen=True, kw_only=True, tag="metric"):
    """An evaluation.

    Attributes:
        step: after which.
        part: ``validation`` or ``test``.
        values: ``loss`` and what else there is, such as ``accuracy``.
        wall_s: that it took.
    """

    step: Whole
    part: str
    values: dict[str, float]
    wall_s: float


class Checkpointed(Event, frozen=True, kw_only=True, tag="checkpoint"):
    """A checkpoint is on disk, whole.

    Attributes:
        step: after which; path: its folder; bytes: on disk; wall_s: that the run waited for it.
    """

    step: Whole
    path: str
    bytes: Whole
    wall_s: float


class Changed(Event, frozen=True, kw_only=True, tag="changed"):
    """The run goes on otherwise than it was told to, and from the newest checkpoint: what was told of steps after it
    is told again.

    Attributes:
        step: of that checkpoint.
        what: ``micro_batch``, after memory ran out; value: what it is now.
        why: for people.
    """

    step: Whole
    what: str
    value: float
    why: str


class Restarted(Event, frozen=True, kw_only=True, tag="restarted"):
    """A worker was lost, and all begin again from the newest checkpoint: ``Ready`` comes once more. Only of an engine
    that starts its workers itself.

    Attributes:
        why: for people.
    """

    why: str


class Ended(Event, frozen=True, kw_only=True, tag="ended"):
    """The end of a run that ended as it should.

    Attributes:
        reason: ``finished``; ``until_loss`` or ``patience`` where it was good enough, or got no better; ``diverged``
            where the loss was no number; else that of ``Stop``, or ``terminated`` by SIGTERM.
        step: the last that is in a checkpoint.
        diverged_at: step at which the loss was no number any more; None where it was one.
        peak_bytes: of memory; how: as of ``Peak``.
        model: path of the trained model; empty where the run is not finished.
    """

    reason: str
    step: Whole
    diverged_at: Whole | None = None
    peak_bytes: float | None = None
    how: str = ""
    model: str = ""


# --- jobs


TrainedModel = Kind | Target | File


class Optimizer(msgspec.Struct, frozen=True, kw_only=True):
    """How weights are changed.

    Attributes:
        name: ``adamw``, ``adam``, ``sgd``, ...
        learning_rate: at its highest.
        momentum: of ``sgd``.
        weight_decay: decoupled; of matrices alone, not of biases and norms.
        clip_norm: of the gradient over all parameters; 0 for none.
        schedule: of the learning rate after the warm-up: ``constant``, ``cosine`` or ``linear``.
        warmup_steps: in which it rises from 0 in a line.
        final_share: of the highest learning rate, at the last step.
    """

    name: str = "adamw"
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    schedule: str = "constant"
    warmup_steps: Whole = 0
    final_share: float = 0.1


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """Steps that are timed before the run and taken back: the run begins as if they had not been.

    Attributes:
        seconds: after which it ends, with at least ``least`` steps done.
        most: steps after which it ends in any case; 0 for no such end.
        waits: whether the run begins only once the parent has answered ``Rehearsed`` with a ``Stop``: a prediction is
            kept before the first step.
    """

    seconds: float
    least: Whole = 3
    most: Whole = 0
    waits: bool = False


class Ranks(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker stands among those that train one model together.

    Attributes:
        rank: from 0, which alone writes; size: of all.
        local: among those of its machine.
        address: host and port, as ``10.0.0.1:29500``, where rank 0 waits for the others.
        wait_s: after which one that has not come is taken for missing.
    """

    rank: Whole
    size: Whole
    local: Whole = 0
    address: str
    wait_s: float = 300.0

    @property
    def host(self) -> str:
        """Of the address."""
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        """Of the address."""
        return int(self.address.rpartition(":")[2])

    @property
    def near(self) -> bool:
        """Whether they meet within one machine."""
        return self.host.startswith("127.") or self.host == "localhost"


class Train(Job, frozen=True, kw_only=True, tag="train"):
    """Train a model on prepared data.

    Attributes:
        folder: of the run: ``checkpoints/`` and ``model/`` in it are the worker's to write, and nothing else.
        data: folder of the prepared data.
        loss: ``next token``, ``classes`` or ``numbers``; empty for what the builder compiled the model with.
        precision: as in ``domain.precision``, of those that Keras has a policy for.
        compiled: by XLA or torch.compile; None for what is usual for the backend.
        threads: of the host.
        device: ``cpu`` or ``gpu``.
        seed: of weights, dropout and the order of samples.
        weights: file of initial weights that are taken in place of drawn ones; empty for drawn ones.
        steps: of the whole run, those that were done before included.
        batch: samples of a step, over which gradients are averaged.
        micro_batch: samples that go through the model at once, on each of its replicas; ``batch`` is a multiple of it
            times the replicas.
        lora_rank: of adapters, all else frozen; 0 for training all.
        quantize: ``int8`` for frozen weights in that; empty for the precision of the run.
        evaluate_every: steps between evaluations on validation data; 0 for at the end alone.
        evaluate_batches: of micro-batches, that an evaluation takes at most, its samples spread evenly over the part; 0
            for all of it. Test data is evaluated once, at the end.
        checkpoint_every: steps between checkpoints; 0 for at the end alone. A new run has one of step 0 too.
        keep: checkpoints that are kept, the newest.
        rehearsal: None for no timed steps before the run; not taken where a run is resumed.
        until_loss: the run ends once a validation loss is this low; None for no such end.
        patience: evaluations without a better validation loss after which it ends; 0 for no such end.
        resume: whether it goes on from the newest good checkpoint; it must be there.
        federated: among which clients; None for a run on all data in one place.
        workers: processes that train it together; devices: of each.
        tensor_parallel: devices that each replica's matrices are divided over.
        zero: ZeRO stage over the workers: 3 divides weights, gradients and what the optimizer keeps; 0 nothing.
        ranks: where this worker stands among them; None of one alone.
        max_restarts: times that an engine which starts its workers itself may begin again where one is lost.
        wait_s: after which such an engine takes a worker that has not come for missing.
    """

    last: ClassVar[type[Event]] = Ended
    folder: str
    data: str
    model: TrainedModel
    loss: str = ""
    optimizer: Optimizer
    precision: str = "fp32"
    compiled: bool | None = None
    threads: Whole
    device: str = "cpu"
    seed: Whole = 0
    weights: str = ""
    steps: Whole
    batch: Whole
    micro_batch: Whole
    lora_rank: Whole = 0
    quantize: str = ""
    evaluate_every: Whole = 0
    evaluate_batches: Whole = 50
    checkpoint_every: Whole = 0
    keep: Whole = 2
    rehearsal: Rehearsal | None = None
    until_loss: float | None = None
    patience: Whole = 0
    resume: bool = False
    federated: Federated | None = None
    workers: Whole = 1
    devices: Whole = 1
    tensor_parallel: Whole = 1
    zero: Whole = 0
    ranks: Ranks | None = None
    max_restarts: Whole = 0
    wait_s: float = 300.0

    @property
    def several(self) -> bool:
        """Whether several workers or devices train it."""
        return self.workers * self.devices > 1

    @property
    def replicas(self) -> int:
        """Copies of the model that are trained, each on its share of a batch."""
        return max(1, self.workers * self.devices // self.tensor_parallel)


class Written(Event, frozen=True, kw_only=True, tag="written"):
    """What a model wrote.

    Attributes:
        tokens: after those that it was given.
    """

    tokens: tuple[Whole, ...]


class Write(Job, frozen=True, kw_only=True, tag="write"):
    """Let a trained language model write.

    Attributes:
        model: path of a ``.keras`` file that takes tokens and predicts the next of each.
        tokens: that it goes on from, one at least.
        count: tokens that are wanted.
        temperature: that its logits are divided by before a token is drawn.
        seed: of the draw.
    """

    last: ClassVar[type[Event]] = Written
    model: str
    tokens: tuple[Whole, ...]
    count: Whole
    temperature: float = 0.8
    seed: Whole = 0


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag_field="job", tag="stop"):
    """End the run with a checkpoint, after the step that is in progress.

    Attributes:
        reason: one of ``Ended.reason``; the worker gives it back.
        checkpoint_every, evaluate_every: where one of them is not None the run goes on, and they are the new distances
            of checkpoints and of evaluations; one that is None stays as it is.
    """

    reason: str = "stopped"
    checkpoint_every: Whole | None = None
    evaluate_every: Whole | None = None
