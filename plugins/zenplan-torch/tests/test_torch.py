"""What the engine trains: the decoder beside zenplan's own, and modules of the user's."""

from __future__ import annotations

import importlib
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zenplan.testing import KerasEngine, Lab, losses, text_data, write_data
from zenplan.worker.protocol import Ended, Error, Event, Kind, Metric, Optimizer, Ready, Target, Train

import zenplan_torch

PLUGIN = Path(__file__).parents[1]
SGD = Optimizer(name="sgd", learning_rate=0.3, momentum=0.9)
MODELS = """
from torch import nn

class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.users, self.items, self.head = nn.Embedding(9, 4), nn.Embedding(9, 4), nn.Linear(4, 1)
    def forward(self, user, item):
        return self.head(self.users(user) * self.items(item))

def convnet(width=4):
    return nn.Sequential(Scaled(), nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))

class Scaled(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2).float() / 255

def built():
    import torch
    model = convnet()
    model(torch.zeros(1, 8, 8, 1, dtype=torch.uint8))
    return model

def tokens(vocabulary):
    return nn.Sequential(nn.Embedding(vocabulary, 8), nn.Linear(8, vocabulary))

def nothing():
    return 7
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODELS, encoding="utf-8")
    data = text_data(tmp_path / "data")
    return Lab(engine=zenplan_torch.PyTorch(), folder=tmp_path, data=data, patience_s=120.0)


def job(lab: Lab, **changes: Any) -> Train:
    usual: dict[str, Any] = {
        "what": "the model",
        "folder": str(lab.folder / "run"),
        "data": lab.data,
        "model": Kind(name="decoder", options={"layers": 2, "width": 16, "heads": 2, "length": 8}),
        "optimizer": Optimizer(name="adamw", learning_rate=1e-2, weight_decay=0.1, clip_norm=1.0),
        "threads": 1,
        "steps": 30,
        "batch": 8,
        "micro_batch": 4,
    }
    return Train(**{**usual, **changes})


def finished(events: list[Event]) -> list[Event]:
    assert isinstance(events[-1], Ended), events[-1]
    assert events[-1].reason == "finished"
    return events


def test_the_entry_point_leads_to_the_hook() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = importlib.import_module(project["entry-points"]["zenplan"]["pytorch"])
    assert [engine.name for engine in plugin.zenplan_engines()] == ["pytorch"]


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("keras"), reason="Keras is not installed")
def test_its_decoder_is_zenplans_own(lab: Lab) -> None:
    """The same weights, batches and network as of the Keras kind: the first loss is the same but for rounding, and the
    curves stay together (their AdamW differ in epsilon)."""
    keras = Lab(engine=KerasEngine("torch"), folder=lab.folder, data=lab.data, patience_s=120.0)
    ours, theirs = (finished(each.done(job(lab, folder=str(lab.folder / n)))) for each, n in ((lab, "a"), (keras, "b")))
    one, other = losses(ours), losses(theirs)
    assert one[1] == pytest.approx(other[1], abs=1e-5)
    assert all(one[step] == pytest.approx(other[step], rel=0.02) for step in one)
    counts = [next((e.parameters, e.trainable) for e in events if isinstance(e, Ready)) for events in (ours, theirs)]
    assert counts[0] == counts[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"precision": "bf16"}, {"optimizer": Optimizer(name="sgd", learning_rate=0.3, momentum=0.9)}]
)
def test_it_learns_otherwise_too(lab: Lab, changes: dict[str, Any]) -> None:
    curve = losses(finished(lab.done(job(lab, steps=60, **changes))))
    assert np.mean([curve[step] for step in range(55, 61)]) < 0.8 * curve[1]


def arrays(lab: Lab, name: str) -> dict[str, Any]:
    """Data and a job's changes for a module of the user's."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 90).astype(np.int32)
    if name == "tokens":
        return {"model": Target(target="mine:tokens", arguments={"vocabulary": 17}, input_shapes=((8,),))}
    if name == "Named":
        user, item = (random.integers(0, 9, 90).astype(np.int32) for _ in range(2))
        card = {"kind": "arrays", "inputs": ["user", "item"], "target": "y", "classes": None}
        values = {"user": user, "item": item, "y": ((user + item) / 9).astype(np.float32)}
    else:
        x = random.integers(0, 90, (90, 8, 8, 1)).astype(np.uint8)
        x[np.arange(90), 2 * y] += 150
        card, values = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 3}, {"x": x, "y": y}
    cut = {"train": slice(60), "validation": slice(60, 90)}
    data = write_data(lab.folder / name, card, {f"{p}-{n}": v[s] for p, s in cut.items() for n, v in values.items()})
    return {"data": data, "model": Target(target=f"mine:{name}")}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "figure"), [("built", "accuracy"), ("Named", "rmse"), ("tokens", "accuracy")])
def test_modules_of_the_users_are_trained(lab: Lab, name: str, figure: str) -> None:
    """Images as bytes through a batch norm, several inputs by name, tokens whose length the job says."""
    changes = arrays(lab, name)
    events = finished(lab.done(job(lab, steps=60, **changes)))
    curve = losses(events)
    assert np.mean([curve[step] for step in range(55, 61)]) < curve[1]
    assert {key for e in events if isinstance(e, Metric) for key in e.values} == {"loss", figure}
    assert isinstance(events[-1], Ended)
    assert events[-1].model.endswith("model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": Target(target="mine:nothing")}, "no PyTorch module"),
        ({"model": Target(target="mine:tokens", arguments={"vocabulary": 17})}, "how many tokens"),
        ({"model": Kind(name="decoder", options={"width": 15, "heads": 2})}, "not divided"),
        ({"model": Kind(name="decoder", options={"depth": 2})}, "depth"),
        ({"precision": "fp16"}, "fp16"),
        ({"lora_rank": 4}, "adapters"),
    ],
)
def test_what_it_cannot_is_refused(lab: Lab, changes: dict[str, Any], said: str) -> None:
    (*_, last) = lab.done(job(lab, **changes))
    assert isinstance(last, Error), last
    assert said in f"{last.message} {last.hint}"
