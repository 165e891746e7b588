"""Flags of a training run, which are the keys of ``[train]`` in a request file as well; and what was given of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.files.toml_file import read_toml_file
from zenplan.adapters.serving.endpoint_place import place_of
from zenplan.commands.shared.options import FLAGS, Flag
from zenplan.commands.shared.preparing import PREPARE
from zenplan.commands.shared.request_file import flag_value, is_given
from zenplan.errors import UsageError, shown

SCHEDULES: Final = ("constant", "cosine", "linear")
LOSSES: Final = ("next token", "classes", "numbers")
TABLE, OPTIONS = "train", "options"
# What others call a key.
_MEANT: Final = {
    **dict.fromkeys(("lr", "rate"), ("learning_rate",)),
    **dict.fromkeys(("max_steps", "iterations", "max_iters"), ("steps",)),
    **dict.fromkeys(("warmup", "warmup_iters"), ("warmup_steps",)),
    **dict.fromkeys(("grad_clip", "clip", "max_grad_norm"), ("clip_norm",)),
    **dict.fromkeys(("framework", "engine"), ("backend",)),
}
_HINT: Final = "'zenplan train init decoder' shows such a file"


def _one_of(*names: str) -> Any:
    def parse(text: str, what: str) -> str:
        if text not in names:
            raise UsageError(f"{what} is '{text}'", f"one of {', '.join(names)}")
        return text

    return parse


def _number(most: float, example: str = "0.5") -> Any:
    return lambda text, what: units.parse_count(text, what, most, example)


def _whole(most: float, example: str = "8") -> Any:
    return lambda text, what: units.parse_whole(text, what, most, example)


def _seconds(text: str, what: str) -> float:
    return units.parse_duration_s(text, what)


def _names(text: str, what: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise UsageError(f"{what} is '{text}'", "as in: tensorboard,mlflow")
    return found


_STEPS: Final = units.or_zero(_whole(1e12, "100"))
_Row = tuple[str, str, str, Any]
_ROWS: Final[Sequence[_Row]] = (
    (
        "model",
        "NAME",
        "decoder, convnet, ... ('train init' lists them), package.module:function, or a .keras file.",
        None,
    ),
    ("backend", "NAME", "jax, torch, tensorflow, or a plugin's.", None),
    ("device", "KIND", "cpu or gpu; a GPU where there is one.", _one_of("cpu", "gpu")),
    ("threads", "COUNT", "Threads of the host; all cores by default.", _whole(1e5)),
    ("workers", "COUNT", "Processes that train together, each on its share of a batch.", _whole(1e5)),
    ("devices", "COUNT", "Devices of this machine that train together.", _whole(1e3)),
    ("tensor_parallel", "COUNT", "Devices that each matrix is divided over; JAX alone.", _whole(1e3)),
    (
        "zero",
        "STAGE",
        "ZeRO stage: 3 divides weights and optimizer over workers (FSDP); PyTorch alone.",
        _one_of("0", "3"),
    ),
    ("max_restarts", "COUNT", "Times that workers of which one is lost begin again; 3 by default.", _STEPS),
    ("rendezvous_timeout", "TIME", "After which a worker that has not come is missing; 5min by default.", _seconds),
    ("steps", "COUNT", "Optimizer steps of the run, instead of --epochs.", _whole(1e12, "1000")),
    ("micro_batch", "COUNT", "Samples that go through the model at once; the batch by default.", _whole(1e9)),
    ("learning_rate", "NUMBER", "At its highest.", _number(1e6, "1e-3")),
    ("schedule", "NAME", "Of the learning rate: constant, cosine or linear.", _one_of(*SCHEDULES)),
    ("warmup_steps", "COUNT", "Steps in which the learning rate rises from 0.", _STEPS),
    (
        "final_share",
        "NUMBER",
        "Of the learning rate, at the last step; 0.1 by default.",
        units.or_zero(units.parse_share),
    ),
    ("momentum", "NUMBER", "Of sgd.", units.or_zero(_number(1.0))),
    ("weight_decay", "NUMBER", "Decoupled, of matrices alone.", units.or_zero(_number(1e3, "0.1"))),
    ("clip_norm", "NUMBER", "Norm that the gradient is cut down to; 0 for none.", units.or_zero(_number(1e9, "1"))),
    ("loss", "NAME", "next token, classes or numbers; by default what goes with the model.", _one_of(*LOSSES)),
    ("seed", "COUNT", "Of weights, dropout and the order of samples; 0 by default.", units.or_zero(_whole(2**31))),
    ("weights", "FILE", "Initial weights in place of drawn ones.", None),
    ("lora_rank", "COUNT", "Rank of adapters, all else frozen; 0 for training all.", units.or_zero(_whole(1e5))),
    ("quantize", "NAME", "int8: frozen weights in eight bits, as of QLoRA; needs --lora-rank.", _one_of("int8")),
    ("evaluate_every", "COUNT", "Steps between evaluations; by default ten in a run, fewer where they cost.", _STEPS),
    ("evaluate_batches", "COUNT", "Micro-batches of an evaluation at most; 50 by default, 0 for all.", _STEPS),
    ("checkpoint_every", "COUNT", "Steps between checkpoints; by default what costs and loses least.", _STEPS),
    ("mtbf", "TIME", "Mean time between interruptions of the machine, as in 24h.", _seconds),
    ("until_loss", "NUMBER", "End once the validation loss is this low.", _number(1e12, "1.5")),
    ("patience", "COUNT", "Evaluations without a better one after which it ends; 0 for no such end.", _STEPS),
    ("max_usd", "USD", "Stop, with a checkpoint, before it costs more.", units.parse_usd),
    (
        "max_hours",
        "HOURS",
        "Stop, with a checkpoint, before it takes longer; in hours, or as in 90min.",
        lambda text, what: units.parse_hours(text, what, 1e6),
    ),
    (
        "usd_per_kwh",
        "USD",
        "Price of electricity, where an hour of the machine has none.",
        units.or_zero(units.parse_usd),
    ),
    ("power", "WATTS", "Of the machine while it trains, where it does not measure that itself.", _number(1e9, "300")),
    ("endpoint", "HOST:PORT", "Let 'zenplan watch' follow the run there; 0 for any port of this machine.", place_of),
    ("endpoint_cert", "FILE", "Certificate of it (PEM), where others reach it.", None),
    ("endpoint_key", "FILE", "Key of that certificate.", None),
    ("tracker", "NAME", "tensorboard, mlflow, trackio, wandb or a plugin's; several with commas.", _names),
)
_PATHS: Final = ("weights", "endpoint_cert", "endpoint_key")
TRAIN: Final = tuple(
    Flag(name=name, metavar=metavar, help=text, parse=parse, kind=Path if name in _PATHS else str)
    for name, metavar, text, parse in _ROWS
)
BY_NAME: Final = {flag.name: flag for flag in TRAIN}
# Of a request, what a run takes: its data, its step, and what an hour costs.
_OF_DATA: Final = ("label", "features", "ids", "vocabulary")
_SAID: Final = {
    "data": "Text, JSONL, Parquet, CSV, images or arrays, a file or a folder; one that is prepared; or python-library.",
    "tokenizer": "A tokenizer.json, in place of one that is trained.",
    "precision": "fp32, tf32, bf16 or fp16.",
    "optimizer": "adamw, lion, sgd, sgd-momentum or adafactor.",
    "batch": "Samples of an optimizer step.",
    "usd_per_hour": "What an hour of this machine costs, with all its devices; may be 0.",
}
REQUEST: Final = tuple(
    replace(FLAGS[name], help=_SAID.get(name, FLAGS[name].help))
    for name in (
        "data",
        "text_column",
        "tokenizer",
        "epochs",
        "seq_len",
        "image_size",
        "batch",
        "precision",
        "optimizer",
        "usd_per_hour",
    )
)
# What ends a run and what it costs: it may be other when a run, or a search, is gone on with.
LIMITS: Final = ("max_usd", "max_hours", "usd_per_hour", "usd_per_kwh", "power", "mtbf")
ENDPOINT: Final = ("endpoint", "endpoint_cert", "endpoint_key")
OF_DATA: Final = tuple(flag for flag in PREPARE if flag.name in _OF_DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command was given: the file, flags as texts, the rest as it is."""

    file: Path | None = None
    given: Mapping[str, Any]
    options: tuple[str, ...] = ()
    compiled: bool | None = None
    resume: str | None = None
    out: Path | None = None
    autoresume: bool = False
    dry_run: bool = False
    demo: bool = False
    output: str | None = None

    @property
    def own(self) -> dict[str, Any]:
        """The flags that were given."""
        return {name: value for name, value in self.given.items() if is_given(value)}


def read_train_table(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The keys of ``[train]`` in a request file, as the command line would hand them over; ``options`` as it is.

    Raises:
        UsageError: a key is unknown, or its value cannot be used; the message names the line.
        InputFileError: the file cannot be read.
    """
    file = read_toml_file(path, os.fspath(path), _HINT)
    table = file.values.get(TABLE)
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise UsageError(f"{file.at(TABLE)}: {TABLE} must be a table", _HINT)
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        try:
            found[name] = _value(name, key, value, file.folder)
        except KeyError:
            if name in FLAGS:
                where = next((t for t, flags in _groups().items() if name in flags), "")
                raise UsageError(f"{file.at(TABLE, key)}: {key} belongs in [{where}]", _HINT) from None
            raise file.unknown((TABLE, key), (*BY_NAME, OPTIONS), near=_MEANT.get(name, ())) from None
        except UsageError as error:
            raise UsageError(f"{file.at(TABLE, key)}: {error.message}", error.hint) from error
    return found


def _groups() -> Mapping[str, Sequence[str]]:
    from zenplan.commands.shared.options import GROUPS

    return {table: [flag.name for flag in flags] for table, flags in GROUPS.items()}


def _value(name: str, key: str, value: Any, folder: Path) -> Any:
    if name == OPTIONS:
        return _options(value)
    if name == "compiled":
        if not isinstance(value, bool):
            raise UsageError(f"compiled must be true or false, not {shown(value)}")
        return value
    if name == "model" and isinstance(value, str) and value.endswith(".keras"):
        return os.fspath(folder / value)
    return flag_value(BY_NAME[name], value, folder, key)


def _options(value: Any) -> dict[str, Any]:
    plain = (str, bool, int, float)
    if not isinstance(value, dict) or any(
        not isinstance(each, plain) and not (isinstance(each, list) and all(isinstance(e, plain) for e in each))
        for each in value.values()
    ):
        raise UsageError("options must be a table of texts, numbers and lists", "as in: [train.options] and layers = 4")
    return dict(value)


def option_of(text: str) -> tuple[str, Any]:
    """``layers=4`` as a name and its value: a number, true or false, or a text. Raises UsageError: it is none."""
    name, equals, given = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name.isidentifier():
        raise UsageError(f"--option {text} is none", "write it as in: --option layers=4")
    given = given.strip()
    if given.lower() in ("true", "false"):
        return name, given.lower() == "true"
    number = units.number_of(given)
    if number is None:
        return name, given
    whole = number.is_integer() and not any(c in given.lower() for c in ".e")
    return name, int(number) if whole else number


def parsed_train(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the flags of a run among these, in base units; what was not given is left out.

    Raises:
        UsageError: one cannot be what was given.
    """
    found = {}
    for name, value in given.items():
        flag = BY_NAME.get(name)
        if flag is not None and value is not None:
            found[name] = flag.parse(value, flag.flag) if flag.parse else value
    return found
