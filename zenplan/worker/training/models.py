"""The model that is trained: of a built-in kind, of a builder of the user's, or of a ``.keras`` file."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np

from zenplan.errors import UnknownName, UsageError
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.counting.load import imported_model, trained_model, with_inputs
from zenplan.worker.measuring.ready import POLICIES, in_policy, set_policy
from zenplan.worker.protocol import Event, Events, File, Kind, Train
from zenplan.worker.training.initial import begin, begin_with
from zenplan.worker.training.kinds import model_of
from zenplan.worker.training.kinds.facts import Facts
from zenplan.worker.training.prepared import TOKENS, Prepared, as_called
from zenplan.worker.training.quantized import INT8, merge, quantize


def built(job: Train, data: Prepared, events: Events) -> keras.Model:
    """The model of the job, with the weights that it begins with.

    Raises:
        UsageError: it cannot be built, or does not go with the data.
    """
    if job.quantize not in ("", INT8):
        raise UnknownName("quantization", job.quantize, (INT8,))
    if job.quantize and not job.lora_rank:
        raise UsageError("weights in int8 are not trained", "adapters beside them are: --lora-rank 8")
    set_policy(job.precision)
    _seeded(job.seed)
    model = begun(job, data, events)
    if job.quantize:
        quantize(model)
    if job.lora_rank:
        begin(model, job.seed, _adapted(model, job.lora_rank))
    return model


class _Unheard(Events):
    """Tells nobody: what is built again at the end of a run is no stage of it."""

    def send(self, event: Event) -> None:
        """Nothing is sent."""


def in_floats(model: keras.Model, job: Train, data: Prepared) -> keras.Model:
    """A trained model whose weights are in int8 as one that any Keras loads: in floats, its adapters added to them."""
    plain = begun(job, data, _Unheard(-1))
    merge(model, plain)
    return plain


def begun(job: Train, data: Prepared, events: Events) -> keras.Model:
    """The model before anything of it is frozen."""
    wanted = job.model
    if isinstance(wanted, Kind):
        events.begin("build")
        model = model_of(wanted.name, wanted.options, Facts.of(data))
    elif isinstance(wanted, File):
        model = _of_file(wanted.path, job.precision, events)
    else:
        model = imported_model(wanted.target, events, wanted.arguments)
    shapes = [] if isinstance(wanted, Kind) else list(wanted.input_shapes)
    if not getattr(model, "inputs", None):
        _with_inputs(model, shapes, data)
    if job.weights:
        begin_with(model, job.weights)
    elif isinstance(wanted, Kind):
        begin(model, job.seed)
    return model


def _seeded(seed: int) -> None:
    """What Keras does for a seed, without importing TensorFlow where another backend is used: it takes seconds, and
    400 MB that would look like the model's."""
    if keras.config.backend() == "tensorflow":
        keras.utils.set_random_seed(seed)
        return
    random.seed(seed)
    np.random.seed(seed % 2**32)
    keras.src.backend.common.global_state.set_global_attribute("global_random_seed", seed)
    if keras.config.backend() == "torch":
        import torch

        torch.manual_seed(seed)


def length_of(model: keras.Model, job: Train, data: Prepared) -> int:
    """Tokens of a sample, as the model takes them; 0 where the data is no tokens.

    Raises:
        UsageError: the model takes samples of any length, and none is given.
    """
    if data.card.kind != TOKENS:
        return 0
    given = [] if isinstance(job.model, Kind) else list(job.model.input_shapes)
    shapes = [tuple(each.shape[1:]) for each in getattr(model, "inputs", None) or []] or given
    if len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] is None and given:
        shapes = given
    if len(shapes) != 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise UsageError(f"model {model.name} does not say how many tokens a sample has", "--input-shape 128 says it")
    return int(shapes[0][0])


def _of_file(path: str, precision: str, events: Events) -> keras.Model:
    """The model of a file, with its weights; how it was compiled is left out."""
    events.begin("read")
    # What would run code is refused here; only then Keras sees the file.
    config = in_policy(read_keras_config(path), POLICIES[precision])
    return trained_model(config, path, events, "save the model anew")


def _with_inputs(model: keras.Model, shapes: list[Any], data: Prepared) -> None:
    """Build a model that does not know its inputs: by what was said of them, or by the data."""
    if shapes:
        with_inputs(model, shapes)
        return
    if data.card.kind == TOKENS:
        raise UsageError(f"model {model.name} does not say how many tokens a sample has", "--input-shape 128 says it")
    kinds = data.kinds()
    inputs = {n: keras.Input(shape, dtype=kinds[n], name=n) for n, shape in data.shapes().items()}
    model(as_called(inputs))


def _head(history: Any) -> Any:
    """The last layer of a model that has weights, or what is there in its place: not what brings its numbers into units."""
    operation = history.operation
    if isinstance(operation, keras.layers.Rescaling):
        return _head(operation._inbound_nodes[history.node_index].input_tensors[0]._keras_history)
    return operation


def _adapted(model: keras.Model, rank: int) -> list[Any]:
    """Freeze all but low-rank adapters of the matrices within the model; what they are.

    Neither tables nor the last layer have one (Hu et al. 2021, https://arxiv.org/abs/2106.09685, adapt matrices of
    attention and feed-forward alone).
    """
    outputs = getattr(model, "outputs", None) or []
    last = {id(_head(o._keras_history)) for o in outputs if hasattr(o, "_keras_history")}
    layers = [
        each
        for each in model._flatten_layers(include_self=False)
        if isinstance(each, keras.layers.Dense | keras.layers.EinsumDense) and each.built and id(each) not in last
    ]
    before = {id(v) for v in model.variables}
    for layer in layers:
        try:
            layer.enable_lora(rank)
        except (ValueError, NotImplementedError) as error:
            raise UsageError(f"layer {layer.name} takes no adapter: {error}", "leave out --lora-rank") from error
    adapters = [v for v in model.variables if id(v) not in before]
    if not adapters:
        raise UsageError(f"model {model.name} has no matrix that takes an adapter", "leave out --lora-rank")
    chosen = {id(v) for v in adapters}
    for variable in model.variables:
        if id(variable) not in chosen:
            variable.trainable = False
    return [v for v in adapters if v.trainable]
