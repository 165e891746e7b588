"""zenplan from Python: a function for each question that the command line answers.

Arguments are the flags of the command, with the same defaults and errors; a number may be a number (``1e9``) or a text
as on the command line (``"1B"``). ``ZENPLAN_GPU`` and the like, ``zenplan.toml`` and the user's settings are not read:
an answer depends on its arguments, the installed plugins and, by default, the calibrations of this machine.
Nothing is printed; what the command line says on stderr is a ``ZenplanWarning``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenplan.adapters.clock import today
from zenplan.arguments import flags, settings_of, unseen, warn
from zenplan.commands.shared.filters import filtered
from zenplan.commands.shared.known import known
from zenplan.commands.shared.machines import wanted
from zenplan.commands.shared.output import loaded_plugins
from zenplan.commands.shared.request import check_sizes, filters_of, request_of
from zenplan.commands.shared.tables import catalogue, only, price_tables
from zenplan.errors import UsageError
from zenplan.results import Answer, Backtest, Calibrations, Catalogue, Prices, Profile, Tradeoff, result

if TYPE_CHECKING:
    from zenplan.domain.model.count import ModelCount
    from zenplan.domain.model.operators import Operator
    from zenplan.domain.model.workload import Workload

Number = float | str
Names = str | Sequence[str]
File = str | os.PathLike[str]
Counter = Callable[[Any, Sequence[tuple[int, ...]]], "Iterable[Operator]"]


def estimate(
    *,
    params: Number | None = None,
    model: str | None = None,
    config: File | Mapping[str, Any] | None = None,
    keras: Any = None,
    active_params: Number | None = None,
    flops_per_sample: Number | None = None,
    activations_per_sample: Number | None = None,
    tokens: Number | None = None,
    dataset_size: Number | None = None,
    samples: Number | None = None,
    data_kind: str | None = None,
    padding: Number | None = None,
    data: File | None = None,
    text_column: str | None = None,
    tokenizer: File | None = None,
    epochs: Number | None = None,
    image_size: Number | None = None,
    seq_len: Number | None = None,
    images: Number | None = None,
    global_batch: Number | None = None,
    batch: Number | None = None,
    precision: str | None = None,
    optimizer: str | None = None,
    software: str | None = None,
    method: str | None = None,
    freeze: Names | None = None,
    gpu: Names | None = None,
    gpus: Number | None = None,
    max_gpus: Number | None = None,
    provider: Names | None = None,
    exclude_provider: Names | None = None,
    provider_class: Names | None = None,
    region: Names | None = None,
    max_usd_per_hour: Number | None = None,
    max_price_age: timedelta | str | None = None,
    usd_per_hour: Number | None = None,
    billing: str | None = None,
    prices: File | None = None,
    fresh: bool = False,
    operations: str | Mapping[str, Any] | None = None,
    deadline: timedelta | date | str | None = None,
    budget: Number | None = None,
    horizon: timedelta | str | None = None,
    day_is_worth: Number | None = None,
    top: Number | None = None,
    repeat: Number | None = None,
    trials: Number | None = None,
    trial_share: Number | None = None,
    failed_runs: Number | None = None,
    data_usd: Number | None = None,
    label_usd: Number | None = None,
    label_hours: Number | None = None,
    label_rate: Number | None = None,
    then: Names | None = None,
    federated: str | Mapping[str, Any] | None = None,
    currency: str | None = None,
    rate: Number | None = None,
    rate_date: date | str | None = None,
    no_calibrations: bool = False,
    request: File | None = None,
) -> Answer:
    """Time, GPU-hours, dollars and memory of a training run. As ``zenplan estimate``.

    One of ``params``, ``model``, ``config`` and ``keras`` says what to train; the rest has defaults, which
    ``answer.plan.facts`` names with their origin. With none of them, ``budget``, ``deadline``, ``tokens``,
    ``dataset_size`` or ``data`` gives the largest language model for it. Fine-tuning with adapters needs data.

    Args:
        params: parameters, as in 1e9 or "7B".
        model: a named model, or one with parameters: "resnet:depth=101".
        config: a Hugging Face config.json, or what is in one.
        keras: a Keras model: "package.module:function", a .keras file, or a built ``keras.Model``.
        active_params: parameters active for a token, in a mixture of experts.
        flops_per_sample: with ``params``: forward FLOP of a sample; a multiply-add is 2.
        activations_per_sample: with those: output elements of its products and convolutions, forward.
        tokens: to train on, as in "300B".
        dataset_size: bytes of text, as in "1TB", instead of ``tokens``.
        samples: images, texts or other samples of the data set.
        data_kind: what the texts of ``samples`` are: chat, instructions, reasoning, documents, proteins, code or books.
        padding: of the positions of a batch, the share that is padding, as in 0.3 or "30%"; None for packed texts.
        data: a text, JSONL, Parquet or CSV file, or a folder of them or of images, which is counted.
        text_column: of these data, the column or key of the text; the longest where it is not known by its name.
        tokenizer: a tokenizer.json, to count the tokens of these data.
        epochs: passes over that data.
        image_size: pixels of a side of the input.
        seq_len: tokens of a sequence.
        images: of a sequence, of whose tokens they are, for a ``config`` that sees; 1 by default.
        global_batch, batch: tokens, or samples, of an optimizer step.
        precision: bf16, fp16, fp8, fp8-rowwise, fp8-block, mxfp8, nvfp4, tf32 or fp32.
        optimizer: adamw, adamw-8bit, lion, sgd, sgd-momentum, adafactor.
        software: hf-trainer, unsloth, axolotl, llama-factory, torchtune, fsdp, deepspeed, megatron, nemo, maxtext or
            keras, whose layouts alone are searched; or a kind, which may run any: eager, patched, fused, compiled, jax,
            xla.
        method: full, lora or qlora.
        freeze: parts of a ``config`` that do not learn: vision, audio, projector, text; or several.
        gpu: the accelerator, as in "H100" or "a100-40gb"; or several: ("H100", "A100"), "H100,A100".
        gpus: exactly this many devices.
        max_gpus: the largest cluster to consider; None for what is had on demand.
        provider, exclude_provider: whose offers to look at, as in "aws", and whose not; or several.
        provider_class: hyperscaler, cloud, marketplace or unknown; or several.
        region: of the provider; or several.
        max_usd_per_hour: the most that the whole cluster may cost an hour.
        max_price_age: leave out older prices, as in "90d", or a ``timedelta``, and those without a date.
        usd_per_hour: the price of one device of ``gpu``, instead of all offers; 0 for your own.
        billing: the price to rank by: on-demand (default) or spot.
        prices: your own prices: a CSV, which replaces the providers it names, or a price book in TOML, which adds to them.
        fresh: fetch prices first, where that is an hour ago or more.
        operations: how the run is operated, as in {"pue": 1.1, "startup": "5min"}; ``docs/prices.md`` lists the names.
        deadline: the latest it may take from now, as in "7d" or a ``timedelta``, or the day to be done by, to its end by the
            local clock: "1 March", a ``date``.
        budget: the most it may cost, in dollars, with what is given of the project.
        horizon: leave out plans that take longer; 90 days by default, or a later ``deadline``.
        day_is_worth: what each day sooner is worth, in dollars; by default a share of the bill.
        top: how many quotes; 5 by default.
        repeat: runs of full length: seeds, ablations. The budget and the deadline are for all of them.
        trials, trial_share: experiments before the run, and the share of its length that each has, 0.05 by default.
        failed_runs: runs that fail, half way on average.
        data_usd: what the data cost: licence, purchase, collection.
        label_usd: what labelling a sample costs.
        label_hours, label_rate: or hours of labelling, and what one costs.
        then: what follows the training, as in "export,compress:5%,explain:100,serve:30d", or several names.
        federated: compares with federated averaging, as in {"clients": 100, "rounds": 50}; it is ``answer.federation``.
        currency, rate, rate_date: shows amounts in it too, as in "EUR"; what a dollar is in it, and on which day. Without
            a rate, that of the price book.
        no_calibrations: do without what was measured by ``calibrate``.
        request: a TOML file of these arguments; those given beside it come first.

    Raises:
        UsageError: an argument is wrong, or two contradict.
        NoFit: no offer can run it. One that misses the deadline or the budget is an answer: see ``answer.met``.
    """
    given = flags(locals())
    from zenplan.commands.estimate.use_case import estimate as use_case
    from zenplan.commands.shared.request_file import lines_named, with_request

    with lines_named(request, given), loaded_plugins(warn) as plugins:
        given = with_request(request, given)
        settings = settings_of(given)
        check_sizes(settings, given["gpus"], given["max_gpus"])
        asked = request_of(settings, _workload, unseen, **given)
        told = None if no_calibrations else warn
        world = known(plugins, settings["prices"], told, settings["fresh"], settings["operations"], warn)
        found = use_case(asked, world)
    return result(Answer, found)


def layouts(
    *,
    gpu: str,
    gpus: Number,
    params: Number | None = None,
    model: str | None = None,
    config: File | Mapping[str, Any] | None = None,
    keras: Any = None,
    active_params: Number | None = None,
    flops_per_sample: Number | None = None,
    activations_per_sample: Number | None = None,
    image_size: Number | None = None,
    seq_len: Number | None = None,
    images: Number | None = None,
    global_batch: Number | None = None,
    batch: Number | None = None,
    precision: str | None = None,
    optimizer: str | None = None,
    software: str | None = None,
    method: str | None = None,
    freeze: Names | None = None,
    by: str = "time",
    top: Number = 10,
    prices: File | None = None,
    no_calibrations: bool = False,
) -> Tradeoff:
    """The best layouts of a training step on so many devices of one kind. As ``zenplan layouts``.

    Args:
        gpu, gpus: the accelerator, as in "H100", and how many of it.
        params, model, config, keras: one of them says what to train, as for ``estimate``.
        active_params, flops_per_sample, activations_per_sample, image_size, seq_len, images, global_batch, batch: as for
            ``estimate``.
        precision, optimizer, software, method, freeze: how it is trained, as for ``estimate``.
        by, top: time or memory, what the list is ordered by; and how many layouts to list.
        prices: a CSV of your own prices.
        no_calibrations: do without what was measured by ``calibrate``.

    Raises:
        UsageError: an argument is wrong, or two contradict.
        NoFit: no layout fits, or nothing joins so many devices.
    """
    given = flags(locals())
    from zenplan.commands.layouts.use_case import layouts as use_case

    settings = settings_of(given)
    request = request_of(settings, _workload, **given)
    with loaded_plugins(warn) as plugins:
        found = use_case(request, by, known(plugins, settings["prices"], None if no_calibrations else warn, tell=warn))
    return result(Tradeoff, found)


def calibrate(
    *,
    model: str | None = None,
    config: File | Mapping[str, Any] | None = None,
    params: Number | None = None,
    keras: File | None = None,
    vary: str | None = None,
    depth: Number | None = None,
    batch: Number | None = None,
    image_size: Number | None = None,
    seq_len: Number | None = None,
    backend: str | None = None,
    compare: bool = False,
    compiled: bool | None = None,
    device: str | None = None,
    precision: str | None = None,
    threads: Number | None = None,
    workers: Number | None = None,
    family: str | None = None,
    minutes: float = 1.0,
    strict: bool = False,
    samples: Number | None = None,
    tokens: Number | None = None,
    epochs: Number | None = None,
    usd_per_hour: Number | None = None,
    prices: File | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Calibrations:
    """Measure this machine through the framework that trains on it; for minutes. As ``zenplan calibrate``.

    Every step is kept in the user's store as it is measured: after an interrupt, the same call goes on.

    Args:
        model, config, params, keras: whose blocks to measure and which to predict; none for a general calibration.
        vary: an argument of the function that ``keras`` names, and its values: "depth=1,2,4".
        depth: the whole model's value of that argument.
        batch: samples of a step on one device.
        image_size, seq_len: sizes of a sample.
        backend: jax, torch, tensorflow, a plugin's, or all.
        compare: all backends, compiled and not, side by side.
        compiled: by XLA or torch.compile, or not; None as Keras does.
        device: cpu or gpu; None for a GPU where there is one.
        precision: fp32, tf32, bf16 or fp16.
        threads: of the host; None for all cores.
        workers: processes of this machine, whose step together is predicted too, and that of more; PyTorch or JAX.
        family: of a general calibration: transformer, convnet, recurrent or all.
        minutes: that measuring may take on each backend.
        strict: refuse a machine that is busy, hot or on battery.
        samples, tokens, epochs: of the whole run that is predicted.
        usd_per_hour: what an hour of the device costs.
        prices: a CSV of your own prices.
        progress: called with the share that is done, 0 to 1, and what is being done.

    Raises:
        UsageError: an argument is wrong, two contradict, or the backend is not installed.
        ZenplanError: nothing at all was measured.
    """
    given = flags(locals())
    from zenplan.commands.calibrate.flags import how_flags, measured, wanted_of, workers_of

    settings = settings_of({name: given[name] for name in ("precision", "prices")})
    several, backend = workers_of(given["workers"], backend, compiled, compare)
    how = how_flags(
        device=device,
        precision=settings["precision"],
        compiled=compiled,
        compare=compare,
        strict=strict,
        threads=given["threads"],
        minutes=minutes,
        workers=several,
    )
    of_request = ("model", "config", "params", "batch", "image_size", "seq_len", "samples", "tokens", "epochs")
    asked = {**{name: given[name] for name in of_request}, "workers": several}
    target = None if keras is None else os.fsdecode(keras)
    asked_for = wanted_of(settings, asked, target, family, vary, given["depth"], compare, given["usd_per_hour"])
    with loaded_plugins(warn) as plugins:
        found = measured(asked_for, backend, how, settings["prices"], plugins, progress or unseen, warn)
    return result(Calibrations, found)


def backtest(
    table: File, *, by: str | Sequence[str] = "accelerator", progress: Callable[[float], None] | None = None
) -> Backtest:
    """Every measured run of a table, and what is predicted for it. As ``zenplan backtest``, whose help has the columns.

    Args:
        table: a CSV file of measured runs.
        by: what to group errors by, as in "accelerator,size" or ("accelerator", "size").
        progress: called with the share of the file that is done, 0 to 1.

    Raises:
        UsageError: the file cannot be used, or there is no such key.
        ZenplanError: no row could be scored.
    """
    from zenplan.adapters.tables.coefficients import read_coefficients
    from zenplan.commands.backtest.use_case import backtest as use_case
    from zenplan.commands.backtest.use_case import check_scored, keys_of

    keys = keys_of(by if isinstance(by, str) else ",".join(by))
    with loaded_plugins(warn) as plugins:
        found = use_case(Path(table), catalogue(plugins), read_coefficients(), keys, progress or unseen)
    check_scored(found)
    return result(Backtest, found)


def profile() -> Profile:
    """The GPUs of this machine and the host, each with its data sheet. As ``zenplan profile``."""
    from zenplan.commands.profile.use_case import profile as use_case

    with loaded_plugins(warn) as plugins:
        sheets_known = catalogue(plugins)
        taken, sheets, why = use_case(sheets_known)
    processor = sheets_known.by_processor(taken.host.cpu_model.value or "")
    return result(Profile, taken, sheets=sheets, why=why, processor=processor)


def accelerators(*, vendor: str | None = None, architecture: str | None = None) -> Catalogue:
    """Accelerators that are known. As ``zenplan accelerators``; ``.by_name("h100")`` is one data sheet.

    Args:
        vendor: only this maker's, as in "NVIDIA".
        architecture: only this generation, as in "Hopper".

    Raises:
        UnknownName: there is none of these.
    """
    given = flags(locals())
    with loaded_plugins(warn) as plugins:
        return result(Catalogue, only(catalogue(plugins), **given))


def prices(
    *,
    gpu: Names | None = None,
    provider: Names | None = None,
    exclude_provider: Names | None = None,
    provider_class: Names | None = None,
    region: Names | None = None,
    max_usd_per_hour: Number | None = None,
    max_price_age: timedelta | str | None = None,
    spot: bool = False,
    fresh: bool = False,
    prices: File | None = None,
) -> Prices:
    """What offers cost, a table for each provider. As ``zenplan prices``.

    Args:
        gpu: only offers with this accelerator, or any of several; machines of eight, as in "8xH100".
        provider: only this provider's, or any of several.
        exclude_provider: none of this provider's, or of several.
        provider_class: only of hyperscaler, cloud, marketplace or unknown, or any of several.
        region: only in this region, or any of several.
        max_usd_per_hour: only machines that cost no more an hour.
        max_price_age: leave out older prices, as in "90d", or a ``timedelta``, and those without a date.
        spot: only offers with a spot price.
        fresh: fetch prices first, where that is an hour ago or more.
        prices: a CSV of your own prices; it replaces the providers it names.

    Raises:
        UsageError: nobody has such an accelerator, provider or region, or the file cannot be used.
    """
    settings = settings_of(flags(locals()))
    with loaded_plugins(warn) as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"], settings["fresh"], warn)
        found = filtered(tables, sheets, wanted(filters_of(settings), sheets, tables, spot), today())
    return Prices(t for t in found if t.offers or t.left_out or t.too_old)


def count_flop(
    model: Any,
    batch: int | None = None,
    input_shapes: Sequence[Sequence[int]] | None = None,
    loop: int | None = None,
) -> ModelCount:
    """What a Keras model computes, layer by layer; ``.forward_flop`` and ``.training_flop`` are the sums of a sample.

    Args:
        model: a built ``keras.Model``, on any backend. It is not run, and is left as it is.
        batch: samples that it is called with; None for 1, as few models depend on it.
        input_shapes: of one sample, one for each input, where the model's own have an open size.
        loop: turns of a loop that ends by a condition; None: the cost of its layer is unknown.

    Raises:
        UsageError: it is no Keras model, it was never built, or the shape of an input is open.
    """
    # Whoever has a model has imported Keras, on the backend of their choice.
    if "keras" not in sys.modules:
        raise UsageError(f"{type(model).__name__} is no Keras model", "count_flop takes a keras.Model that is built")
    from zenplan.worker.counting.count import count_model

    return count_model(model, batch, input_shapes, loop)


def register_layer(layer: type) -> Callable[[Counter], Counter]:
    """A decorator of the function that counts a layer of your own, where its operations cannot be traced.

    The function gets the layer and the shapes of its inputs, without the batch; it answers with operators for one
    sample, a multiply-add being 2 FLOP:

        @zenplan.register_layer(MyLayer)
        def operators(layer, input_shapes):
            (length, width), *_ = input_shapes
            yield zenplan.MatMul(name="mix", rows=length, inner=width, columns=layer.units, split=zenplan.Split.NONE)

    Args:
        layer: the class; its subclasses are counted alike.
    """
    from zenplan.worker.counting.registry import register_layer as register

    return register(layer)


def _workload(keras: Any) -> Workload:
    """A Keras model as something to train: a target in a process of its own, a model where it is."""
    from zenplan.commands.shared.workload import given_model, keras_model

    if isinstance(keras, str | os.PathLike):
        return keras_model(os.fsdecode(keras), unseen)
    if "keras" not in sys.modules:
        raise UsageError(f"--keras cannot be a {type(keras).__name__}", "give a built keras.Model, or package:function")
    from zenplan.commands.shared.counting import trained

    return given_model(trained(count_flop(keras), keras.name), keras.name)
