"""From what was asked for to the job of a worker, and to the file that asks for the same: what was not given is the usual of
the kind, and said."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from zenplan import units
from zenplan.adapters.serving.endpoint_place import EndpointPlace
from zenplan.commands.calibrate.how import How
from zenplan.commands.shared.counting import keras_model
from zenplan.commands.shared.options import GROUPS, Flag
from zenplan.commands.train.data import Prepared, left_out
from zenplan.commands.train.flags import BY_NAME, OPTIONS, TABLE
from zenplan.commands.train.kinds import Kind, is_kind, kind_of
from zenplan.commands.train.together import ONE, WAIT_S, Together
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.several import undivided
from zenplan.errors import UnknownName, UsageError
from zenplan.planning.watch.limits import RunLimits
from zenplan.worker.protocol import Kind as KindOfModel
from zenplan.worker.protocol import Optimizer, Ranks, Rehearsal, Train, TrainedModel

# What is trained with, by the names of estimates: the worker's name, and the usual momentum.
OPTIMIZERS: Final[Mapping[str, tuple[str, float]]] = {
    "adamw": ("adamw", 0.0),
    "adam": ("adam", 0.0),
    "sgd": ("sgd", 0.0),
    "sgd-momentum": ("sgd", 0.9),
    "lion": ("lion", 0.0),
    "adafactor": ("adafactor", 0.0),
}
# A rehearsal takes at most about a minute and a tenth of the run; an evaluation and a checkpoint, which are timed too, are
# taken to need half of it. Three steps are the least.
REHEARSAL_S, REHEARSAL_SHARE, LEAST_REHEARSED = 30.0, 0.05, 3
_MOST_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A run that was asked for.

    Attributes:
        name: of what is trained.
        job: of the worker; its folder is not known yet, and of a distance of checkpoints or evaluations that is to be
            chosen it has 0.
        backend: the engine's name.
        how: device, precision, threads.
        data: that it is trained on.
        limits: what it may take.
        max_restarts: times that workers of which one is lost begin again from the last checkpoint.
        mtbf_s: mean seconds between interruptions.
        chosen_interval, chosen_evaluation: whether checkpoints, and evaluations, are as far apart as is best, not as was
            given.
        evaluated: samples of an evaluation on validation data.
        usd_per_h, usd_per_kwh, power_w: what was said of its price; None where nothing was.
        trackers: names of those that are to follow it.
        endpoint: where it can be watched over HTTP; None for nowhere.
        request: text of the file that it is asked for with; empty of a run that is gone on with, whose folder has it.
        ranks: where this process stands among workers that another system has started; None where it started none.
        rendezvous_s: after which a worker that has not come is missing.
        facts: what was chosen.
    """

    name: str
    job: Train
    backend: str
    how: How
    data: Prepared
    limits: RunLimits = field(default_factory=RunLimits)
    max_restarts: int = 3
    mtbf_s: float
    chosen_interval: bool = True
    chosen_evaluation: bool = False
    evaluated: int = 0
    usd_per_h: float | None = None
    usd_per_kwh: float | None = None
    power_w: float | None = None
    trackers: tuple[str, ...] = ()
    endpoint: EndpointPlace | None = None
    request: str = ""
    ranks: Ranks | None = None
    rendezvous_s: float = WAIT_S
    facts: tuple[Fact, ...] = ()

    def step_samples(self, there: int | None) -> int:
        """Samples of a step; of a federated run, whose steps are rounds, those of all its clients.

        Args:
            there: samples of the training data; None where it is not known.
        """
        federated = self.job.federated
        return self.job.batch if federated is None else federated.local_epochs * (there or 0)


def asked_run(
    given: Mapping[str, Any],
    request: Mapping[str, Any],
    data: Prepared,
    how: How,
    backend: str,
    text: str,
    together: Together = ONE,
) -> Asked:
    """The run.

    Args:
        given: values of the flags of ``flags.TRAIN``, with ``options``, ``compiled``; those that were given.
        request: values of the flags of a request: ``epochs``, ``seq_len``, ``batch``, ``optimizer``, ``usd_per_h``.
        data: that it is trained on.
        how: device, precision, threads.
        backend: the engine's name.
        text: as ``request`` of ``Asked``.
        together: workers and devices that train it.

    Raises:
        UsageError: something does not go together, or is not there.
    """
    facts = [Fact(name="machine", value=each, origin=Origin.ASSUMED) for each in how.facts]
    name, model, kind = model_of(given, request, data)
    if kind is not None and data.kind not in kind.data:
        raise UsageError(f"{name} is trained on {kind.data}, and the data are {data.kind}", f"it takes {kind.of}")
    job = _job(facts, given, request, data, how, (name, model, kind), together)
    return Asked(
        name=name,
        job=job,
        backend=backend,
        how=how,
        data=data,
        limits=RunLimits(usd=given.get("max_usd"), hours=given.get("max_hours")),
        max_restarts=given.get("max_restarts", 3),
        mtbf_s=given.get("mtbf") or Operations().device_mtbf_s,
        chosen_interval=given.get("checkpoint_every") is None,
        chosen_evaluation=given.get("evaluate_every") is None,
        evaluated=_evaluated(data, job, _length(model, kind) or request.get("seq_len")),
        usd_per_h=request.get("usd_per_h"),
        usd_per_kwh=given.get("usd_per_kwh"),
        power_w=given.get("power"),
        trackers=given.get("tracker", ()),
        endpoint=_endpoint(given) if together.ranks is None or together.ranks.rank == 0 else None,
        request=text,
        ranks=together.ranks,
        rendezvous_s=together.wait_s,
        facts=tuple(facts),
    )


def _endpoint(given: Mapping[str, Any]) -> EndpointPlace | None:
    certificate, key = (Path(given[each]) if given.get(each) else None for each in ("endpoint_cert", "endpoint_key"))
    if "endpoint" not in given:
        if certificate or key:
            raise UsageError("there is no --endpoint that the certificate is of", "as in: --endpoint 0.0.0.0:8443")
        return None
    host, port = given["endpoint"]
    return EndpointPlace(host=host, port=port, certificate=certificate, key=key)


def _job(
    facts: list[Fact],
    given: Mapping[str, Any],
    request: Mapping[str, Any],
    data: Prepared,
    how: How,
    what: tuple[str, TrainedModel, Kind | None],
    together: Together,
) -> Train:
    name, model, kind = what
    batch = _chosen(facts, "batch", request.get("batch"), kind.batch if kind else 32, "usual for the model")
    replicas = together.replicas
    length = _length(model, kind) or request.get("seq_len")
    if data.kind == "tokens" and length is None and not given.get("steps"):
        raise UsageError(
            f"nothing says how many tokens a sample of {name} has", "--seq-len says it, or --steps how long"
        )
    micro = given.get("micro_batch") or max(1, batch // replicas)
    samples = data.samples("train", length)
    _check_frozen(given)
    _check_sizes(data, batch, micro, samples, replicas)
    steps = _steps(facts, given, request, samples // batch)
    job = Train(
        what=name,
        folder="",
        data=data.folder,
        model=model,
        loss=given.get("loss") or _loss(kind, data),
        optimizer=_optimizer(facts, given, request, kind, steps),
        precision=how.precision,
        compiled=how.compiled,
        threads=how.threads,
        device=how.device,
        seed=given.get("seed", 0),
        weights=str(Path(given["weights"]).absolute()) if given.get("weights") else "",
        steps=steps,
        batch=batch,
        micro_batch=micro,
        lora_rank=given.get("lora_rank", 0),
        quantize=given.get("quantize", ""),
        evaluate_every=given.get("evaluate_every", 0),
        evaluate_batches=given.get("evaluate_batches", 50),
        checkpoint_every=given.get("checkpoint_every", 0),
        rehearsal=_rehearsal(steps),
        until_loss=given.get("until_loss"),
        patience=given.get("patience", 0),
    )
    return _shared(job, together)


def _shared(job: Train, together: Together) -> Train:
    """The job among its workers. Raises UsageError: ZeRO cannot divide it."""
    if together.zero and (why := undivided(job.optimizer.name, job.compiled, job.quantize)):
        raise UsageError(*why)
    return msgspec.structs.replace(job, **together.of_job())


def model_of(
    given: Mapping[str, Any], request: Mapping[str, Any], data: Prepared
) -> tuple[str, TrainedModel, Kind | None]:
    """The name of the model, the model as a worker takes it, and its kind where it is a built-in one.

    Args:
        given, request, data: as of ``asked_run``.

    Raises:
        UsageError: nothing names one, or there is none of that name.
    """
    name = given.get("model") or request.get("keras")
    if not name:
        raise UsageError(
            "nothing says what to train", "as in: --model decoder; 'zenplan train init decoder' shows a file"
        )
    options = dict(given.get("options") or {})
    length = request.get("seq_len")
    if not is_kind(name):
        return name, keras_model(name, options, [(length,)] if length and data.kind == "tokens" else ()), None
    kind = kind_of(name)
    if data.kind == "arrays" and data.classes is None:
        kind = kind.for_numbers()
    length = length or kind.seq_len
    if data.kind == "tokens" and length is not None:
        options.setdefault("length", length)
    if request.get("seq_len") not in (None, options.get("length", length)):
        raise UsageError(f"--seq-len {length} and the option length={options['length']} contradict", "give one")
    return name, KindOfModel(name=name, options=options), kind


def _length(model: TrainedModel, kind: Kind | None) -> int | None:
    """Tokens of a sample of a built-in kind; None where the model's own code says it."""
    if isinstance(model, KindOfModel):
        return model.options.get("length") or (kind.seq_len if kind else None)
    return None


def _chosen(facts: list[Fact], name: str, given: int | None, usual: int, why: str) -> int:
    if given is not None:
        return given
    facts.append(Fact(name=name, value=f"{usual:,}", origin=Origin.ASSUMED, why=why))
    return usual


def _check_frozen(given: Mapping[str, Any]) -> None:
    if given.get("quantize") and not given.get("lora_rank"):
        raise UsageError("--quantize int8 freezes the weights, and nothing is left to train", "as in: --lora-rank 8")


def _check_sizes(data: Prepared, batch: int, micro: int, samples: int, replicas: int) -> None:
    if replicas > 1 and batch % replicas:
        near = max(replicas, batch // replicas * replicas)
        fewer = next(n for n in range(min(batch, replicas), 0, -1) if batch % n == 0)
        raise UsageError(
            f"--batch {batch} cannot be shared among {replicas:,} replicas of the model",
            # A batch may not be larger than the data.
            f"--batch {near}, or {units.many(fewer, 'replica')}" if near <= samples else f"{fewer:,} replicas at most",
        )
    if micro * replicas > batch or batch % (micro * replicas):
        of = f" on {replicas} replicas" if replicas > 1 else ""
        raise UsageError(f"--batch {batch} is no multiple of --micro-batch {micro}{of}", "give one that is")
    if not samples:
        raise UsageError(f"there is nothing to train on in {data.folder}", "prepare more data")
    if batch > samples:
        raise UsageError(
            f"a batch of {batch:,} is more than the {units.many(samples, 'sample')} to train on",
            f"--batch {samples}{f', or more data. {line}' if (line := left_out(data)) else ''}",
        )


def _steps(facts: list[Fact], given: Mapping[str, Any], request: Mapping[str, Any], of_a_pass: int) -> int:
    steps, epochs = given.get("steps"), request.get("epochs")
    if steps and epochs:
        raise UsageError("--steps and --epochs contradict", "give one of them")
    if steps:
        return int(steps)
    if not epochs:
        facts.append(Fact(name="epochs", value="1", origin=Origin.ASSUMED, why="--epochs or --steps say how long"))
    return max(1, int((epochs or 1.0) * of_a_pass))


def _loss(kind: Kind | None, data: Prepared) -> str:
    if kind is not None and kind.loss:
        return "numbers" if kind.loss == "classes" and data.classes is None else kind.loss
    return "next token" if data.kind == "tokens" else "numbers" if data.classes is None else "classes"


def _optimizer(
    facts: list[Fact], given: Mapping[str, Any], request: Mapping[str, Any], kind: Kind | None, steps: int
) -> Optimizer:
    name = request.get("optimizer") or (kind.optimizer if kind else "adamw")
    if name not in OPTIMIZERS:
        raise UnknownName("optimizer", name, OPTIMIZERS)
    worker, momentum = OPTIMIZERS[name]
    rate = given.get("learning_rate")
    if rate is None:
        rate = kind.learning_rate if kind and name == kind.optimizer else 0.01 if worker == "sgd" else 1e-3
        facts.append(
            Fact(name="learning rate", value=f"{rate:g}", origin=Origin.ASSUMED, why=f"usual for it with {name}")
        )
    if given.get("warmup_steps", 0) > steps:
        raise UsageError(
            f"--warmup-steps {given['warmup_steps']} are more than the {units.many(steps, 'step')}", "give fewer"
        )
    return Optimizer(
        name=worker,
        learning_rate=rate,
        momentum=given.get("momentum", momentum),
        weight_decay=given.get("weight_decay", 0.0),
        clip_norm=given.get("clip_norm", 0.0),
        schedule=given.get("schedule") or (kind.schedule if kind else "constant"),
        warmup_steps=given.get("warmup_steps", 0),
        final_share=given.get("final_share", 0.1),
    )


def _evaluated(data: Prepared, job: Train, length: int | None) -> int:
    there, most = data.samples("validation", length), job.evaluate_batches * job.micro_batch * job.replicas
    return min(there, most) if most else there


def _rehearsal(steps: int) -> Rehearsal | None:
    """None where three steps would be more than the share of the run that a rehearsal may take."""
    if _MOST_SHARE * steps < LEAST_REHEARSED:
        return None
    most = max(LEAST_REHEARSED, int(REHEARSAL_SHARE * steps))
    return Rehearsal(seconds=REHEARSAL_S, least=LEAST_REHEARSED, most=most, waits=True)


def request_text(given: Mapping[str, Any], options: Mapping[str, Any], compiled: bool | None) -> str:
    """The file that asks for the run, whole: what stood in a file and what was given beside it, as TOML.

    Args:
        given: flags of a request and of a run by name, as texts; paths become whole ones.
        options: of the kind of model.
        compiled: as it was asked for; None where nothing was.
    """
    # What both know, as the model, is the run's.
    tables = {
        name: {f.name: _as_number(f, given[f.name]) for f in flags if _is_own(f, given)}
        for name, flags in GROUPS.items()
    }
    train = {
        name: _as_number(BY_NAME[name], value) for name, value in given.items() if name in BY_NAME and value is not None
    }
    tables[TABLE] = {**train, **({} if compiled is None else {"compiled": compiled})}
    tables[f"{TABLE}.{OPTIONS}"] = dict(options)
    lines = ["# What this run was asked for with; 'zenplan train run.toml' asks for another like it."]
    for name, values in tables.items():
        if values:
            lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _is_own(flag: Flag, given: Mapping[str, Any]) -> bool:
    return flag.name not in BY_NAME and given.get(flag.name) is not None


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _as_number(flag: Flag, value: Any) -> Any:
    """The text of a flag that is read as a number, as that number; any other value as it is."""
    import tomllib

    if flag.parse is None or not isinstance(value, str):
        return value
    try:
        found = tomllib.loads(f"value = {value.strip()}\n")["value"]
    except tomllib.TOMLDecodeError:
        return value
    return _Number(value.strip()) if isinstance(found, int | float) and not isinstance(found, bool) else value


def _value(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Path):
        return json.dumps(os.fspath(value.absolute()), ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False)
