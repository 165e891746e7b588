"""``zenplan estimate`` and ``layouts`` with calibrations in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from zenplan.adapters.machine.host import read_host
from zenplan.adapters.store.store import CalibrationStore
from zenplan.domain.measured.calibration import DONE, MODEL, Calibration, Fingerprint, Measured, Point, Sample, Stored
from zenplan.plugins import load_plugins

SCHEMAS = Path(__file__).parents[3] / "zenplan" / "data" / "schemas"
ASKED = ("estimate", "--model", "gpt2-124m", "--tokens", "1e9", "--software", "eager", "--gpus", "1", "--gpu", "H100")
Called = Callable[..., Any]


@pytest.fixture
def store(called: Called, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The store of the home that ``called`` is in."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "zenplan" / "calibrations.sqlite"


def fill(store: Path) -> None:
    """Calibrations of the model on an H100, and on this machine's processor if its name is known."""
    model = next(f for f in load_plugins({}).workloads() if ASKED[2] in f.presets()).lower({"model": ASKED[2]})
    marks = [
        Fingerprint(
            device="NVIDIA H100 80GB HBM3",
            kind="gpu",
            threads=8,
            backend="torch",
            precision="bf16",
            compiled=False,
            versions={"keras": "3.15.1"},
        )
    ]
    if processor := read_host().cpu_model.value:
        marks.append(
            Fingerprint(
                device=processor,
                kind="cpu",
                threads=1,
                backend="jax",
                precision="fp32",
                compiled=True,
                versions={"keras": "0.0.1"},
            )
        )
    point = Point(key="whole", batch=8)
    samples = tuple(Sample(round=n, wall_s=0.2, cpu_s=0.2) for n in range(3))
    store.parent.mkdir(parents=True)
    with CalibrationStore.open(store) as opened:
        opened.insert(
            Stored(
                state=DONE,
                calibration=Calibration(
                    id=opened.new_id(),
                    kind=MODEL,
                    subject=ASKED[2],
                    family="decoder",
                    fingerprint=mark,
                    target=point,
                    parameters=model.parameters,
                    flop_per_sample=model.training_flop_per_sample,
                    measured=(Measured(point=point, samples=samples),),
                    taken_at=datetime(2026, 11, 20, tzinfo=UTC),
                ),
            )
            for mark in marks
        )


def test_the_document_says_what_was_measured(called: Called, store: Path) -> None:
    fill(store)
    document = json.loads(called(*ASKED, "--batch", "8", "--format", "json").out)
    schema = json.loads((SCHEMAS / "estimate-2.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(document)
    first = document["quotes"][0]
    assert first["grounds"] == "measured"
    assert first["step"]["total_s"]["mid"] == pytest.approx(0.2)
    assert first["correction"]["factor"] > 1
    assert "calibration" in [fact["name"] for fact in document["inputs"]]
    if read_host().cpu_model.value:
        (here,) = document["here"]
        assert here["samples_per_s"]["mid"] == pytest.approx(40.0)
        assert here["steps_s"]["mid"] == pytest.approx(document["plan"]["samples"] / 40.0)


def test_people_read_it_too(called: Called, store: Path) -> None:
    fill(store)
    ended = called(*ASKED, "--details")
    assert (ended.code, ended.err) == (0, "")
    assert all(len(line) <= 80 for line in ended.lines)
    text = " ".join(ended.out.split())
    assert "carried over to another batch: measured here on one NVIDIA H100 80GB HBM3 on 2026-11-20" in text
    assert "#1 measured on that accelerator" in text
    if read_host().cpu_model.value:
        assert "On this machine:" in text
        assert "keras 0.0.1" in text


def test_every_line_of_the_derivation_is_there(called: Called, store: Path) -> None:
    fill(store)
    lines = json.loads(called(*ASKED, "--explain", "--format", "json").out)["derivation"]
    (factor,) = (line["value"] for line in lines if line["quantity"] == "measured over predicted")
    assert factor > 1


@pytest.mark.parametrize(
    "argv", [ASKED, ("layouts", "--model", "gpt2-124m", "--software", "eager", "--gpus", "8", "--gpu", "H100")]
)
def test_without_calibrations_it_is_as_if_there_were_none(called: Called, store: Path, argv: Any) -> None:
    before = called(*argv)
    assert not store.parent.exists(), "reading makes nothing"
    fill(store)
    assert called(*argv).out != before.out
    assert called(*argv, "--no-calibrations") == before


@pytest.mark.parametrize("command", ["estimate", "layouts"])
def test_a_damaged_store_is_one_warning(called: Called, store: Path, command: str) -> None:
    store.parent.mkdir(parents=True)
    store.write_text("this is no database, and never was one\n" * 40, encoding="utf-8")
    ended = called(command, "--params", "1e9", "--gpu", "H100", "--gpus", "8")
    assert ended.code == 0
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("warning: ")
    assert "going on without its calibrations" in ended.err
