"""``zenplan federate`` as its user sees it, with a worker that says what Flower's would."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from zenplan.commands.federate.asked import federated_of
from zenplan.commands.federate.environment import lines
from zenplan.commands.federate.use_case import told
from zenplan.errors import UsageError
from zenplan.worker.protocol import Round

WORKER = """
import json, os, sys
from pathlib import Path
job = json.loads(sys.stdin.readline())
wanted = job["federated"]
def send(**event):
    os.write(job["events"], (json.dumps(event) + "\\n").encode())
send(event="machine", device="a processor", kind="cpu", threads=1, versions={}, compiled=True)
if os.environ.get("WISH") == "fails":
    send(event="error", message="Flower's SuperLink ended with 1", hint="port is taken")
    sys.exit()
send(event="ready", parameters=10, trainable=10, setup_s=0.1, micro_batch=4, samples=90, tokens_per_sample=8)
count = wanted["clients"]
send(event="clients", samples=[30] * count, steps=[7 * wanted["local_epochs"]] * count, bytes=40)
for number in range(1, job["steps"] + 1):
    send(event="step", first=number, losses=[1.0 / number], wall_s=[0.5], wait_s=[0.0], cpu_s=0.1)
    left = [count - 1] if number == 1 else []
    averaged = [client for client in range(1, count) if client not in left]
    send(event="round", number=number, averaged=averaged, dropped=[0], left_out=left, wall_s=0.5, client_s=0.1)
    send(event="metric", step=number, part="validation", values={"loss": 2.0 / number, "accuracy": 0.5}, wall_s=0.1)
send(event="metric", step=job["steps"], part="test", values={"loss": 0.7, "accuracy": 0.9}, wall_s=0.1)
send(event="moved", up_bytes=1000, down_bytes=2000, engine="Flower 0", how="over nothing")
folder = Path(job["folder"]) / "model"
folder.mkdir()
(folder / "model.keras").write_text("a model")
model = str(folder / "model.keras")
send(event="ended", reason="finished", step=job["steps"], model=model)
"""
PLUGIN = """
import sys
from zenplan import UsageError, hookimpl

class Flower:
    name, extra = "flower", "zenplan-flower"
    def worker(self):
        {refuses}
        return (sys.executable, {worker!r})

@hookimpl
def zenplan_engines():
    return (Flower(),)
"""
REQUEST = """
[data]
data = "data"
epochs = 2
seq_len = 8
[step]
batch = 4
[train]
model = "decoder"
backend = "jax"
device = "cpu"
"""


@pytest.fixture
def federation(trainer: Any) -> Any:
    """A trainer whose plugin federates."""
    (trainer.folder / "run.toml").write_text(REQUEST, encoding="utf-8")
    (trainer.folder / "federated.py").write_text(WORKER, encoding="utf-8")
    plugin(trainer)
    return trainer


def plugin(trainer: Any, refuses: str = "pass") -> None:
    path = trainer.folder / "plugin.py"
    path.write_text(PLUGIN.format(worker=str(trainer.folder / "federated.py"), refuses=refuses), encoding="utf-8")
    trainer.environ["ZENPLAN_PLUGIN_FILES"] = str(path)


def result_of(out: str) -> Any:
    return json.loads(out.splitlines()[-1])["result"]


def test_a_run_among_clients_is_a_run_like_others(federation: Any) -> None:
    code, out, err = federation(
        "federate", "run.toml", "--clients", "3", "--rounds", "2", "--out", "run", "--format", "json"
    )
    assert code == 0, err
    document = json.loads((federation.folder / "run" / "federation.json").read_text(encoding="utf-8"))
    assert result_of(out) == document
    status, job, result = (federation.json(f"{name}.json") for name in ("status", "job", "result"))
    assert (status["state"], status["step"], status["backend"]) == ("finished", 2, "jax")
    assert (job["steps"], job["federated"]["clients"], job["rehearsal"]) == (2, 3, None)
    # Two rounds of all 90 samples, whatever a batch is.
    assert result["samples"] == 180
    assert [line["step"] for line in federation.metrics() if line.get("part") == "validation"] == [1, 2]
    clients = [(each["number"], each["averaged"], each["dropped"], each["left_out"]) for each in document["clients"]]
    assert clients == [(1, 0, 2, 0), (2, 2, 0, 0), (3, 1, 0, 1)]
    assert (document["up_bytes"], document["down_bytes"], document["central"]) == (1000, 2000, None)
    assert document["metrics"]["test"]["accuracy"] == 0.9
    rounds = [json.loads(line) for line in out.splitlines() if json.loads(line)["event"] == "round"]
    assert [(each["round"], each["left_out"], each["dropped"]) for each in rounds] == [(1, [3], [1]), (2, [], [1])]


def test_it_is_compared_with_the_same_in_one_place(federation: Any) -> None:
    flags = ("--clients", "3", "--rounds", "2", "--format", "json")
    code, out, err = federation("federate", "run.toml", *flags, "--compare")
    assert code == 0, err
    central = result_of(out)["central"]
    # 4,000 tokens are 499 samples of 8, 124 batches of 4 a pass: two rounds are two passes.
    assert (central["steps"], central["metrics"]["test"]["loss"]) == (248, pytest.approx(2.0 / 248**0.5 + 0.2))
    # One that is there is found again; another seed is another run.
    code, out, _ = federation("federate", "run.toml", *flags)
    assert (code, result_of(out)["central"]["run"]) == (0, central["run"])
    (federation.folder / "run.toml").write_text(REQUEST + "seed = 5\n", encoding="utf-8")
    code, out, _ = federation("federate", "run.toml", *flags)
    assert (code, result_of(out)["central"]) == (0, None)


def test_what_is_missing_is_said_before_anything_is_done(federation: Any) -> None:
    plugin(federation, "raise UsageError('no environment', 'zenplan federate --how')")
    code, out, err = federation("federate", "run.toml", "--out", "run")
    assert (code, out) == (2, "")
    assert err.splitlines() == ["error: no environment", "hint: zenplan federate --how"]
    del federation.environ["ZENPLAN_PLUGIN_FILES"]
    code, _, err = federation("federate", "run.toml", "--out", "run")
    assert code == 2
    assert "hint: pip install zenplan-flower" in err
    assert not (federation.folder / "run").exists()


def test_one_that_fails_is_a_failed_run(federation: Any) -> None:
    federation.environ["WISH"] = "fails"
    code, _, err = federation("federate", "run.toml", "--out", "run")
    assert code == 1
    assert err.splitlines()[-2:] == ["error: Flower's SuperLink ended with 1", "hint: port is taken"]
    assert federation.json("status.json")["state"] == "failed"
    code, _, err = federation("train", "--resume", "run")
    assert code == 2
    assert "zenplan federate" in err


def test_flags() -> None:
    found, rounds = federated_of({"clients": "4", "alpha": "0.5", "dropout": "20%", "dp_clip": "1", "dp_noise": "0.5"})
    assert (found.clients, found.alpha, found.dropout, found.clip, found.noise, rounds) == (4, 0.5, 0.2, 1.0, 0.5, 20)
    assert federated_of({})[0].alpha is None


@pytest.mark.parametrize(
    "given",
    [
        {"clients": "1"},
        {"clients": "2.5"},
        {"rounds": "0"},
        {"alpha": "0"},
        {"alpha": "nan"},
        {"dropout": "1"},
        {"dropout": "-0.1"},
        {"dp_noise": "1"},
        {"dp_clip": "0"},
        {"local_epochs": "some"},
    ],
)
def test_what_cannot_be_is_refused_with_a_hint(given: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        federated_of(given)
    assert caught.value.hint


def test_the_lines_make_an_environment_apart_from_zenplans() -> None:
    made, flower, own = lines("torch")
    folder = made.rpartition(" ")[2]
    assert made.startswith(sys.executable)
    assert all(line.startswith(f"{folder}/bin/python -m pip install ") for line in (flower, own))
    assert "flwr" in flower
    assert flower.endswith(" torch")
    assert "typer" not in flower
    assert "--no-deps" in own


def test_a_round_says_who_was_not_in_it() -> None:
    line = told(Round(number=3, averaged=(0, 2), dropped=(1,), left_out=(3,), wall_s=1.0, client_s=0.5))
    assert line.startswith("round 3: 2 clients averaged")
    assert "client 2 dropped" in line
    assert "client 4 left out" in line


def test_the_run_is_found_by_others(federation: Any, tmp_path: Path) -> None:
    assert federation("federate", "run.toml", "--clients", "2", "--rounds", "1", "--out", "run")[0] == 0
    code, out, err = federation("runs", "show", "run", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["metrics"]["test"]["accuracy"] == 0.9
