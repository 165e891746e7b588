"""Flags of a request: one table for every command, file and function that has them.

A command takes those it is decorated with, ``@takes(*RUN)``; ``request.request_of`` makes a request of what was given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_origin

import typer

from zenplan import units

Command = TypeVar("Command", bound=Callable[..., Any])
Parse = Callable[[str, str], Any]


def _count(most: float) -> Parse:
    return lambda text, what: units.parse_count(text, what, most)


def whole(most: float, example: object = 4096) -> Parse:
    """A whole number of at least 1; ``example`` is what the hint shows."""
    return lambda text, what: units.parse_whole(text, what, most, example)


def read_flag(given: Mapping[str, str | None], name: str, parse: Parse, usual: Any = None) -> Any:
    """What a flag of one command alone says; ``usual`` where it was not given."""
    text = given.get(name)
    return usual if text is None else parse(text, f"--{name.replace('_', '-')}")


def _deadline_s(text: str, what: str) -> float:
    from zenplan.adapters.clock import of_day_s, today
    from zenplan.commands.shared.deadline import parse_deadline_s

    return parse_deadline_s(text, what, today(), of_day_s())


def _data_kind(text: str, _: str) -> Any:
    from zenplan.families.transformer.samples import KINDS

    return one_of(*KINDS)(text, "kind of data")


def _then(given: Any, what: str) -> Any:
    from zenplan.commands.shared.follow_ups import parse_follow_ups

    return parse_follow_ups(names(given, what), what)


def _federated(given: Any, what: str) -> Any:
    from zenplan.commands.shared.federated import parse_federated

    return parse_federated(given, what)


def _parts(given: Any, what: str) -> tuple[str, ...]:
    from zenplan.domain.model.workload import PARTS

    return tuple(one_of(*PARTS)(name, what) for name in names(given, what))


def as_given(text: str, _: str) -> str:
    """The text itself."""
    return text


def one_of(*names: str) -> Parse:
    """One of these names, in any case."""

    def parse(text: str, what: str) -> str:
        from zenplan.errors import UnknownName

        name = text.strip().lower()
        if name not in names:
            raise UnknownName(what, text, names)
        return name

    return parse


def names(given: Any, _: str) -> tuple[str, ...]:
    """Names parted by commas, or several of them."""
    texts = given if isinstance(given, list | tuple) else [given]
    return tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag, and what becomes of it.

    Attributes:
        name: as an argument in Python, a key in a file: ``seq_len`` for ``--seq-len``.
        field: of the request; None for the name itself.
        parse: from what was given, and the name of the flag, to the request's own unit; None for a setting, which
            ``resolved`` has read, and for what is no part of the request.
        kind: what Typer hands over.
    """

    name: str
    metavar: str
    help: str
    field: str | None = None
    parse: Parse | None = None
    kind: Any = str

    @property
    def flag(self) -> str:
        """As on the command line."""
        return f"--{self.name.replace('_', '-')}"

    def parameter(self, several: bool) -> inspect.Parameter:
        """As an argument of a command, which may be given several times."""
        option = typer.Option(
            self.flag, help=self.help, metavar=self.metavar, rich_help_panel=HEADINGS.get(self.name, OTHERS)
        )
        once = several and get_origin(self.kind) is not list
        kind = list[self.kind] if once else self.kind  # type: ignore[name-defined]  # a type that is known by then
        return inspect.Parameter(
            self.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[kind | None, option]
        )


_MODEL: Final = (
    Flag(name="params", metavar="COUNT", help="Parameters, as in 1e9, 7B, 350M.", parse=_count(1e14)),
    Flag(
        name="model",
        metavar="NAME",
        help="A named model, as in llama3-8b or resnet:depth=101; 'zenplan workloads' lists them.",
        parse=as_given,
    ),
    Flag(
        name="config",
        metavar="FILE",
        help="A Hugging Face config.json or adapter_config.json, params.json of Llama, .gguf or .safetensors.",
        kind=Path,
    ),
    Flag(name="keras", metavar="TARGET", help="A Keras model: package.module:function, or a .keras file."),
    Flag(
        name="active_params",
        metavar="COUNT",
        help="Parameters active for a token, in a mixture of experts.",
        parse=_count(1e14),
    ),
    Flag(
        name="flops_per_sample",
        metavar="FLOP",
        help="With --params: forward FLOP of a sample, as in 8.2e9.",
        field="flop_per_sample",
        parse=_count(1e18),
    ),
    Flag(
        name="activations_per_sample",
        metavar="COUNT",
        help="With those: output elements of products and convolutions.",
        parse=_count(1e15),
    ),
)
_DATA: Final = (
    Flag(name="tokens", metavar="COUNT", help="Tokens to train on, as in 300B.", parse=_count(1e18)),
    Flag(
        name="dataset_size",
        metavar="SIZE",
        help="Bytes of text, as in 1TB, instead of --tokens.",
        field="dataset_bytes",
        parse=units.parse_bytes,
    ),
    Flag(
        name="samples",
        metavar="COUNT",
        help="Images, texts or other samples of the data set, as in 1.2M.",
        parse=whole(1e15),
    ),
    Flag(
        name="data_kind",
        metavar="KIND",
        help="Kind of the texts of --samples, for their length: chat, instructions, reasoning, documents, code, books, "
        "proteins.",
        parse=_data_kind,
    ),
    Flag(
        name="padding",
        metavar="PERCENT",
        help="Of the positions of a batch of texts, the share that is padding, as in 30%; by default they are packed.",
        parse=units.parse_share,
    ),
    Flag(
        name="data",
        metavar="PATH",
        help="A file or folder to count: text, JSONL, CSV, Parquet, images.",
        kind=Path,
    ),
    Flag(
        name="text_column",
        metavar="NAME",
        help="Column or key of the text in the data; by default a usual name, or the longest.",
    ),
    Flag(
        name="tokenizer",
        metavar="FILE",
        help="A tokenizer.json to count tokens with; else they go by bytes.",
        kind=Path,
    ),
    Flag(name="epochs", metavar="NUMBER", help="Passes over the data.", parse=_count(1e9)),
)
_STEP: Final = (
    Flag(name="image_size", metavar="COUNT", help="Pixels of a side of the input, as in 224.", parse=whole(1e5)),
    Flag(name="seq_len", metavar="COUNT", help="Tokens of a sequence, as in 4096.", parse=whole(1e8)),
    Flag(
        name="images",
        metavar="COUNT",
        help="Images of a sequence, of whose tokens they are, for a --config that sees; 1 by default.",
        parse=units.or_zero(whole(1e5)),
    ),
    Flag(
        name="global_batch",
        metavar="COUNT",
        help="Tokens of an optimizer step, as in 4M.",
        field="global_batch_tokens",
        parse=_count(1e12),
    ),
    Flag(
        name="batch",
        metavar="COUNT",
        help="Samples of an optimizer step (images, sequences), as in 256.",
        parse=whole(1e9),
    ),
    Flag(name="precision", metavar="NAME", help="bf16, fp16, fp8, fp8-rowwise, fp8-block, mxfp8, nvfp4, tf32 or fp32."),
    Flag(name="optimizer", metavar="NAME", help="adamw, adamw-8bit, lion, sgd, sgd-momentum, adafactor."),
    Flag(
        name="software",
        metavar="NAME",
        help="The software that runs it, and so the layouts searched: hf-trainer, unsloth, axolotl, llama-factory, "
        "torchtune, fsdp, deepspeed, megatron, nemo, maxtext, keras; or a kind, which may run any: eager, patched, fused, "
        "compiled, jax, xla.",
    ),
    Flag(name="method", metavar="NAME", help="full (default), lora or qlora.", parse=as_given),
    Flag(
        name="freeze",
        metavar="NAMES",
        help="Parts of a --config that do not learn: vision, audio, projector, text; several: vision,projector.",
        parse=_parts,
    ),
)
_HARDWARE: Final = (
    Flag(name="gpu", metavar="NAME", help="Accelerator, as in H100 or a100-40gb; several: H100,A100.", kind=list[str]),
    Flag(name="gpus", metavar="COUNT", help="Exactly this many devices."),
)
_FILTERS: Final = (
    Flag(name="provider", metavar="NAME", help="Cloud to rent from, as in aws; several: aws,gcp.", kind=list[str]),
    Flag(name="exclude_provider", metavar="NAME", help="Cloud to leave out; several: aws,gcp.", kind=list[str]),
    Flag(
        name="provider_class",
        metavar="KIND",
        help="hyperscaler, cloud, marketplace or unknown; several: cloud,marketplace.",
        kind=list[str],
    ),
    Flag(
        name="region",
        metavar="NAME",
        help="Region to rent in, as in us-east-1, EU, Europe, or a country as in DEU; several with commas.",
        kind=list[str],
    ),
    Flag(name="max_usd_per_hour", metavar="USD", help="The most that an hour of the whole cluster may cost."),
    Flag(name="max_price_age", metavar="TIME", help="Leave out prices older than this, as in 90d, and undated ones."),
)
_OFFERS: Final = (
    Flag(name="max_gpus", metavar="COUNT", help="The largest cluster to consider; by default what is had on demand."),
    *_FILTERS,
    Flag(
        name="usd_per_hour",
        metavar="USD",
        help="With --gpu: your price of one device, instead of all offers; may be 0.",
        field="usd_per_h",
        parse=units.or_zero(units.parse_usd),
    ),
    Flag(name="billing", metavar="KIND", help="Price to rank by: on-demand (default) or spot."),
)
_PRICES: Final = (
    Flag(
        name="prices",
        metavar="FILE",
        help="Your own prices: a CSV, which replaces the providers it names, or a price book, prices.toml.",
        kind=Path,
    ),
)
# Flags that a file may give as a table of their own: its names and values are one text on the command line.
TABLES: Final = ("operations", "federated")
_OPERATIONS: Final = (
    Flag(
        name="operations",
        metavar="KEY=VALUE",
        help="How the run is operated, as in pue=1.1,startup=5min; several with commas.",
    ),
)
_WISHES: Final = (
    Flag(
        name="deadline",
        metavar="TIME",
        help="How long it may take from now, or the day to be done by, to its end by the local clock: 7d, 36h, "
        "2027-03-01, '1 March'.",
        field="deadline_s",
        parse=_deadline_s,
    ),
    Flag(
        name="budget",
        metavar="USD",
        help="The most it may cost, in dollars, with what is given of the project.",
        field="budget_usd",
        parse=units.parse_usd,
    ),
    Flag(
        name="horizon",
        metavar="TIME",
        help="Leave out plans that take longer; 90d by default, or a later --deadline.",
        field="horizon_s",
        parse=units.parse_duration_s,
    ),
    Flag(
        name="day_is_worth",
        metavar="USD",
        help="What each day sooner is worth; by default a share of the bill.",
        field="day_usd",
        parse=units.or_zero(units.parse_usd),
    ),
    Flag(name="top", metavar="COUNT", help="How many quotes to show; 5 by default."),
)
_PROJECT: Final = (
    Flag(name="repeat", metavar="COUNT", help="Runs of full length: seeds, ablations.", parse=whole(1e4)),
    Flag(name="trials", metavar="COUNT", help="Shorter experiments before the run.", parse=units.or_zero(whole(1e6))),
    Flag(
        name="trial_share",
        metavar="PERCENT",
        help="Length of an experiment, as a share of the run; 5% by default.",
        parse=units.parse_share,
    ),
    Flag(
        name="failed_runs",
        metavar="COUNT",
        help="Runs that fail, half way on average.",
        parse=units.or_zero(whole(1e4)),
    ),
    Flag(
        name="data_usd",
        metavar="USD",
        help="What the data cost: licence, purchase, collection.",
        parse=units.or_zero(units.parse_usd),
    ),
    Flag(name="label_usd", metavar="USD", help="What labelling a sample costs.", parse=units.or_zero(units.parse_usd)),
    Flag(
        name="label_hours",
        metavar="NUMBER",
        help="Or hours of labelling, at --label-rate.",
        parse=units.or_zero(_count(1e9)),
    ),
    Flag(
        name="label_rate",
        metavar="USD",
        help="What an hour of labelling costs.",
        field="label_usd_per_h",
        parse=units.or_zero(units.parse_usd),
    ),
    Flag(
        name="then",
        metavar="NAMES",
        help="What follows the training: export, compress, explain, serve:TIME; each with an amount, as in "
        "export:2000,compress:5%,explain:100,serve:30d.",
        parse=_then,
    ),
    Flag(
        name="federated",
        metavar="KEY=VALUE",
        help="Compare with federated averaging, as in clients=100,rounds=50,local_epochs=1; also participating, "
        "bandwidth, flops, spread, penalty, usd_per_hour.",
        parse=_federated,
    ),
    Flag(
        name="currency",
        metavar="CODE",
        help="Show amounts in this currency, as in EUR: at --rate, or the price book's.",
    ),
    Flag(name="rate", metavar="NUMBER", help="What a dollar is in that currency, as in 0.92."),
    Flag(name="rate_date", metavar="DATE", help="The day of that rate, as in 2026-11-29."),
)
# The groups by the names of their tables in a request file.
GROUPS: Final = {
    "model": _MODEL,
    "data": _DATA,
    "step": _STEP,
    "hardware": _HARDWARE,
    "offers": _OFFERS,
    "prices": (*_PRICES, *_OPERATIONS),
    "wishes": _WISHES,
    "project": _PROJECT,
}
# The flags of a whole run, of price tables, and of one step, in the order of their help.
RUN: Final = tuple(flag for group in GROUPS.values() for flag in group)
PRICES: Final = (_HARDWARE[0], *_FILTERS, *_PRICES)
BUY: Final = (*_HARDWARE, *_FILTERS[:4], _FILTERS[-1], *_PRICES, *_OPERATIONS)
# Of one machine at a time.
_ONE_GPU: Final = replace(_HARDWARE[0], help="Accelerator, as in H100 or a100-40gb.")
SERVE: Final = (*_MODEL[:3], _ONE_GPU, *_FILTERS[:4], _FILTERS[-1], _OFFERS[-2], *_PRICES)
STEP: Final = (*_MODEL, *_HARDWARE, *_STEP, *_PRICES)
FLAGS: Final = {flag.name: flag for flag in RUN}
# The section of the help that each flag stands in: its table in a request file.
OTHERS: Final = "Training"
HEADINGS: Final = {flag.name: name.capitalize() for name, group in GROUPS.items() for flag in group}

RequestFile = Annotated[
    Path | None,
    typer.Option("--request", help="A TOML file of these options; those given beside it come first.", metavar="FILE"),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Fetch prices first, where that is an hour ago or more.")]
NoCalibrations = Annotated[
    bool, typer.Option("--no-calibrations", help="Leave out what 'zenplan calibrate' measured here.")
]


def parsed(given: Mapping[str, Any], flags: Iterable[Flag] = RUN) -> dict[str, Any]:
    """The fields of a request that these flags give, in its units.

    Args:
        given: by the names of flags.
        flags: those that are looked for.

    Raises:
        UsageError: one cannot be what was given.
    """
    return {
        flag.field or flag.name: flag.parse(given[flag.name], flag.flag)
        for flag in flags
        if flag.parse and given.get(flag.name) is not None
    }


def takes(*flags: Flag, several: bool = False) -> Callable[[Command], Command]:
    """A decorator: the command has these flags, before those of its own, and is given them as keyword arguments;
    each as a list where it may come ``several`` times."""

    def decorated(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        kept = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        arguments = [p for p in kept if p.default is inspect.Parameter.empty]
        options = [p for p in kept if p.default is not inspect.Parameter.empty]
        # Typer reads the flags of a command from its signature.
        signature = own.replace(parameters=[*arguments, *(flag.parameter(several) for flag in flags), *options])
        command.__signature__ = signature  # type: ignore[attr-defined]  # functions take attributes, Callable has none
        return command

    return decorated
