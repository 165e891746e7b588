"""Built-in kinds of models to train, with what is usual for each; and a commented file to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Final

from zenplan.errors import UnknownName


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of model.

    Attributes:
        line: what it is, for people.
        data: what it is trained on, ``tokens``, ``arrays``, or either; where: an example of a path; of: what lies there.
        loss: as of the job ``train``; empty for what goes with the data.
        optimizer, learning_rate, schedule: usual for it (assumed; small models of its kind learn well with them).
        batch: samples of a step.
        seq_len: tokens of a sample, where it is trained on tokens; None where it never is.
        options: of the kind, each as its line in a file.
    """

    line: str
    data: str
    where: str
    of: str
    loss: str
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    batch: int = 32
    seq_len: int | None = None
    options: tuple[str, ...] = ()

    def for_numbers(self) -> Kind:
        """What is usual of it where the label is a number: a squared error has no bound to its gradient, so that one row far
        off throws plain gradient descent out of its way."""
        return (
            self if self.optimizer != "sgd" else replace(self, optimizer="adamw", learning_rate=0.05, schedule="cosine")
        )


def _recurrent(what: str) -> Kind:
    return Kind(
        line=f"{what}, over tokens, each of which it predicts, or over rows, each of which it gives a class",
        data="tokens or arrays",
        where="corpus",
        of="text, or arrays",
        loss="",
        learning_rate=3e-3,
        seq_len=64,
        options=("layers = 1", "width = 128", "length = 64", "dropout = 0.0"),
    )


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "decoder": Kind(
            line="a decoder language model, which writes text like that it was trained on",
            data="tokens",
            where="corpus",
            of="text files, JSONL or Parquet",
            loss="next token",
            learning_rate=3e-3,
            batch=16,
            seq_len=128,
            options=("layers = 4", "width = 256", "heads = 4", "length = 128", "dropout = 0.0"),
        ),
        "text-classifier": Kind(
            line="a classifier of texts on an encoder",
            data="arrays",
            where="reviews.jsonl",
            of="JSONL or CSV with a text and a label",
            loss="classes",
            options=("layers = 2", "width = 128", "heads = 4", "dropout = 0.1"),
        ),
        "convnet": Kind(
            line="a convnet that classifies images",
            data="arrays",
            where="images",
            of="a folder of images for each class, or arrays",
            loss="classes",
            batch=64,
            options=("width = 32", "stages = 2", "dropout = 0.0"),
        ),
        "vision-transformer": Kind(
            line="a vision transformer that classifies images",
            data="arrays",
            where="images",
            of="a folder of images for each class, or arrays",
            loss="classes",
            batch=64,
            options=("layers = 4", "width = 128", "heads = 4", "patch = 4", "dropout = 0.0"),
        ),
        "lstm": _recurrent("an LSTM"),
        "gru": _recurrent("a GRU"),
        "recommender": Kind(
            line="a recommender with embeddings of users and items",
            data="arrays",
            where="ratings.csv",
            of="a table of user, item and rating",
            loss="numbers",
            batch=256,
            options=("width = 32", "hidden = 0", "dropout = 0.0"),
        ),
        "softmax-regression": Kind(
            line="softmax regression by plain gradient descent, or linear regression by AdamW where the label is a number",
            data="arrays",
            where="digits",
            of="arrays",
            loss="classes",
            optimizer="sgd",
            learning_rate=0.5,
            schedule="constant",
            batch=256,
        ),
    }
)
_HEAD: Final = """\
# zenplan train run.toml: {line}
#
# 'zenplan train run.toml --dry-run' says first what it takes. Lines that begin with # show what is used without them.
"""
# Key and value, and what is said of it; those with # are the defaults.
_LINES: Final = (
    ("[data]", ""),
    ('data = "{where}"', "{of}; or a folder that 'zenplan data prepare' made"),
    ("epochs = 1", "passes over it; or steps in [train]"),
    ("", ""),
    ("[step]", ""),
    ("batch = {batch}", "samples of a step"),
    ('# precision = "fp32"', "fp32, tf32, bf16 or fp16; bf16 on a GPU"),
    ('# optimizer = "{optimizer}"', "adamw, lion, sgd, sgd-momentum or adafactor"),
    ("", ""),
    ("[train]", ""),
    ('model = "{name}"', ""),
    ('# backend = "jax"', "jax, torch or tensorflow: the first that is installed"),
    ('# device = "cpu"', "a GPU where there is one"),
    ("# learning_rate = {learning_rate:g}", "at its highest"),
    ('# schedule = "{schedule}"', "constant, cosine or linear, after the warm-up"),
    ("# warmup_steps = 0", ""),
    ("# weight_decay = 0.0", ""),
    ("# clip_norm = 0.0", "of the gradient; 0 for none"),
    ("# micro_batch = {batch}", "samples that go through the model at once"),
    ("# seed = 0", "of weights, dropout and the order of samples"),
    ("# evaluate_every = 100", "steps; by default ten in a run, fewer where they cost"),
    ("# checkpoint_every = 100", "steps; by default what costs and loses least (Young, Daly)"),
    ("# max_usd = 5", "stop, with a checkpoint, before it costs more"),
    ("# max_hours = 2", "or takes longer"),
    ("# until_loss = 1.0", "of validation"),
    ("# patience = 0", "evaluations without a better one; 0 for no end"),
    ('# tracker = "tensorboard"', "mlflow, trackio, wandb or a plugin's"),
)
_COLUMN: Final = 28


def is_kind(name: str) -> bool:
    """Whether it would be that of a kind, and names neither a function nor a file."""
    return ":" not in name and not name.endswith((".keras", ".py", ".h5", ".hdf5"))


def kind_of(name: str) -> Kind:
    """The kind of that name. Raises UnknownName: there is none."""
    if name not in KINDS:
        raise UnknownName(
            "kind of model", name, KINDS, instead="a model of your own: package.module:function, or a .keras file"
        )
    return KINDS[name]


def starter(name: str) -> str:
    """A commented file for a kind, to begin with. Raises UnknownName: there is none."""
    kind = kind_of(name)
    known = {field.name: getattr(kind, field.name) for field in fields(kind)} | {"name": name}
    lines = [(line.format(**known), said.format(**known)) for line, said in _LINES]
    lines += (
        [("", ""), ("[train.options]", ""), *((f"# {option}", "") for option in kind.options)] if kind.options else []
    )
    text = "\n".join(f"{line:{_COLUMN}}# {said}" if said else line for line, said in lines)
    return f"{_HEAD.format(line=kind.line)}\n{text}\n"
