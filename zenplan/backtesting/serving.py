"""Published measurements of serving as they can be predicted: a row becomes a model, a replica and its load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from zenplan import units
from zenplan.adapters.files.csv_file import Row, read_rows
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.serving.deployment import Deployment, Traffic
from zenplan.domain.serving.model import ServedModel
from zenplan.errors import InputFileError
from zenplan.planning.serving.served import served_model

LOADS: Final = ("batch", "concurrency", "all", "rate")
_COLUMNS = (
    *("publisher", "source", "software", "version", "model", "accelerator", "tp", "pp", "weights", "kv"),
    *("input_tokens", "output_tokens", "lengths", "load", "concurrency", "requests", "rate_per_s"),
    *("output_tokens_per_s", "ttft_ms", "tpot_ms", "note"),
)
# TensorRT-LLM's own quantised checkpoints are made for a cache of 8 bits, which its engine takes for fp8 and fp4 weights
# where nothing else is said: our assumption for rows that are silent.
_NARROW = ("fp8", "fp4")
_MS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRun:
    """One measurement.

    Attributes:
        publisher, source: who measured, and where it stands.
        version: of the software, as the source says it.
        load: one of ``LOADS``.
        in_flight: requests at once, by the load; all of them where they come at once; None for a rate.
        rate_per_s: at which they come, None for other loads.
        varied: whether lengths differ from request to request: the longest then run on alone.
        token_s: measured seconds for an output token of the replica; ``ttft_s``, ``tpot_s``; None where not printed.
    """

    publisher: str
    source: str
    version: str
    model: ServedModel
    on: Deployment
    traffic: Traffic
    load: str
    in_flight: float | None
    rate_per_s: float | None
    varied: bool
    token_s: float | None
    ttft_s: float | None
    tpot_s: float | None


def served_runs(table: Path, catalogue: Catalogue) -> list[ServedRun]:
    """The measurements of a table in the columns of ``benchmarks/published/serving.csv``.

    Raises:
        InputFileError: there is no such table, or a row of it cannot be read.
    """
    return list(_runs(table, catalogue))


def _runs(table: Path, catalogue: Catalogue) -> Iterator[ServedRun]:
    for number, row in read_rows(table, _COLUMNS, "table of serving measurements"):
        load = row["load"]
        if load not in LOADS:
            raise InputFileError(f"{table}, line {number}: no load '{load}'", f"one of {', '.join(LOADS)}")
        rate = _number(row, "output_tokens_per_s")
        weights = row["weights"]
        narrow = row["software"] == "TensorRT-LLM" and weights in _NARROW
        yield ServedRun(
            publisher=row["publisher"],
            source=row["source"],
            version=row["version"],
            model=_model(row["model"]),
            on=Deployment(
                accelerator=catalogue.by_name(row["accelerator"]),
                tp=int(row["tp"]),
                pp=int(row["pp"]),
                weights=weights,
                cache=row["kv"] or ("fp8" if narrow else "bf16"),
                software=row["software"],
                joined="over PCIe" not in row["note"],
            ),
            traffic=Traffic(input_tokens=float(row["input_tokens"]), output_tokens=float(row["output_tokens"])),
            load=load,
            in_flight=_number(row, "requests" if load == "all" else "concurrency"),
            rate_per_s=_number(row, "rate_per_s"),
            varied=row["lengths"] != "fixed",
            token_s=None if rate is None else 1.0 / rate,
            ttft_s=_seconds(row, "ttft_ms"),
            tpot_s=_seconds(row, "tpot_ms"),
        )


def _number(row: Row, column: str) -> float | None:
    return units.number_of(row[column]) if row[column] else None


def _seconds(row: Row, column: str) -> float | None:
    found = _number(row, column)
    return None if found is None else found * _MS


@cache
def _model(name: str) -> ServedModel:
    from zenplan.plugins.builtin import zenplan_workloads

    *_, transformers = zenplan_workloads()
    return served_model(transformers.lower({"model": name, "seq_len": 16}))
