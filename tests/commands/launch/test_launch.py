"""``zenplan launch``: the files of a plan, what is kept of them, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import zenplan
from zenplan.version import __version__

SYSTEMS = {
    "slurm": (),
    "kubernetes": ("--shared", "/shared", "--volume", "claim"),
    "skypilot": ("--shared", "/shared", "--volume", "s3://bucket"),
    "dstack": ("--shared", "/shared", "--volume", "mine"),
    "ray": ("--shared", "/shared", "--volume", "nfs"),
}
RUN = """
[data]
data = "corpus"

[step]
batch = 512
precision = "bf16"

[train]
model = "decoder"
backend = "torch"
steps = 100
"""


@pytest.fixture
def plan(called: Callable[..., Any]) -> dict[str, Any]:
    """A plan of two nodes beside the request file of its run."""
    argv = ("--model", "gpt2", "--tokens", "1B", "--gpu", "H100", "--gpus", "16", "--provider", "aws")
    assert called("estimate", *argv, "--save", "plan.json").code == 0
    Path("run.toml").write_text(RUN, encoding="utf-8")
    found: dict[str, Any] = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    return found


def document(called: Callable[..., Any], *argv: str) -> dict[str, Any]:
    done = called("launch", *argv, "--format", "json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def flag(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_has_the_same_job(system: str, plan: dict[str, Any], called: Callable[..., Any]) -> None:
    found = document(called, "plan.json", "--on", system, *SYSTEMS[system])
    job, quote = found["job"], plan["quotes"][0]
    (bill,) = (each for each in quote["bills"] if each["billing"] == plan["billing"])
    assert (job["nodes"], job["node_ranks"]) == (2, 8)
    assert job["max_duration_s"] == bill["wall_clock_s"]["high"] < job["deadline_s"]
    assert job["max_usd"] == bill["total_usd"]["high"]
    assert job["usd_per_h"] == quote["prices"]["on-demand"]["usd_per_h"] * 2
    assert job["requirements"] == [f"zenplan[train,torch]=={__version__}"]
    assert job["plan_sha256"] == hashlib.sha256(Path("plan.json").read_bytes()).hexdigest()
    words = job["command"]
    assert words[:3] == ["zenplan", "train", "run.toml"]
    assert "--autoresume" in words
    # Never less than the plan's upper end, and no more than the next cent and the next second.
    assert 0 <= float(flag(words, "--max-usd")) - job["max_usd"] < 0.01
    assert 0 <= float(flag(words, "--max-hours")) * 3600 - job["max_duration_s"] < 1
    # Of one machine: a run of several counts them.
    assert float(flag(words, "--usd-per-hour")) == pytest.approx(job["usd_per_h"] / 2, abs=1e-4)
    folder = Path(f"launch-{system}")
    assert json.loads((folder / "launch.json").read_text(encoding="utf-8")) == found
    for file in found["files"]:
        assert hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    assert (folder / "run.toml").read_text(encoding="utf-8") == RUN
    whole = "".join(each.read_text(encoding="utf-8") for each in folder.iterdir() if each.name != "launch.json")
    assert shlex.join(words) in whole or json.dumps(words[-1]) in whole


def test_paths_are_as_nodes_see_them(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    here = document(called, "plan.json", "--on", "slurm")["job"]
    assert flag(here["command"], "--data") == str(Path("corpus").absolute())
    assert flag(here["command"], "--out") == here["run_folder"] == str(Path("launch-slurm").absolute() / here["name"])
    there = document(called, "plan.json", "--on", "ray", *SYSTEMS["ray"])["job"]
    assert flag(there["command"], "--data") == "/shared/corpus"
    Path("run.toml").write_text(RUN.replace('"corpus"', '"/data/x"'), encoding="utf-8")
    there = document(called, "plan.json", "--on", "ray", *SYSTEMS["ray"], "--overwrite", "--run-folder", "/r")["job"]
    assert (flag(there["command"], "--data"), flag(there["command"], "--out")) == ("/data/x", "/r")
    Path("run.toml").write_text(RUN.replace('"corpus"', '"python-library"'), encoding="utf-8")
    there = document(called, "plan.json", "--on", "ray", *SYSTEMS["ray"], "--overwrite")["job"]
    assert flag(there["command"], "--data") == "python-library"


def test_an_edited_file_is_kept(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    assert called("launch", "plan.json", "--on", "slurm").code == 0
    assert called("launch", "plan.json", "--on", "slurm", "--max-hours", "3").code == 0
    script = Path("launch-slurm/job.sh")
    mine = script.read_text(encoding="utf-8") + "# mine\n"
    script.write_text(mine, encoding="utf-8")
    done = called("launch", "plan.json", "--on", "slurm", "--max-hours", "4")
    assert (done.code, done.err.count("\n")) == (2, 2)
    assert "job.sh was edited" in done.err
    assert script.read_text(encoding="utf-8") == mine
    assert called("launch", "plan.json", "--on", "slurm", "--overwrite").code == 0
    assert "# mine" not in script.read_text(encoding="utf-8")
    Path("launch-slurm/launch.json").write_text("{}", encoding="utf-8")
    assert called("launch", "plan.json", "--on", "slurm").code == 2
    Path("other").mkdir()
    Path("other/job.sh").write_text("somebody's", encoding="utf-8")
    assert called("launch", "plan.json", "--on", "slurm", "--out", "other").code == 2
    assert Path("other/job.sh").read_text(encoding="utf-8") == "somebody's"


def test_files_are_handed_to_the_client(
    plan: dict[str, Any], called: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = called("launch", "plan.json", "--on", "slurm", "--submit")
    assert (done.code, "sbatch is not on the PATH" in done.err) == (1, True)
    assert Path("launch-slurm/job.sh").is_file()
    client = tmp_path / "bin" / "sbatch"
    client.write_text(f'#!/bin/sh\npwd > {tmp_path}/told; echo "$@" >> {tmp_path}/told; exit ${{FAKE:-0}}\n', "utf-8")
    client.chmod(0o755)
    assert called("launch", "plan.json", "--on", "slurm", "--submit").code == 0
    told = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    assert told == [str(Path("launch-slurm").resolve()), "job.sh"]
    monkeypatch.setenv("FAKE", "4")
    done = called("launch", "plan.json", "--on", "slurm", "--submit")
    assert (done.code, "ended with 4" in done.err) == (1, True)


def test_from_python_it_is_the_same(
    plan: dict[str, Any], called: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ("--out", "there", "--max-hours", "24", "--env", "A=b", "--option", "partition=gpu")
    told = document(called, "plan.json", "--on", "slurm", *argv)
    more: dict[str, Any] = {"env": {"A": "b"}, "options": {"partition": "gpu"}}
    found = zenplan.launch(Path("plan.json"), on="slurm", out=Path("there"), max_hours=24, overwrite=True, **more)
    assert found.to_dict() == told
    assert (found.folder / "job.sh").read_text(encoding="utf-8") == found.files["job.sh"]
    (tmp_path / "bin").mkdir()
    client = tmp_path / "bin" / "sbatch"
    client.write_text("#!/bin/sh\necho handed over; exit ${FAKE:-0}\n", "utf-8")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert zenplan.launch("plan.json", on="slurm", submit=True).folder == Path("launch-slurm")
    monkeypatch.setenv("FAKE", "4")
    with pytest.raises(zenplan.ZenplanError, match="ended with 4") as caught:
        zenplan.launch("plan.json", on="slurm", submit=True)
    assert "it said: handed over" in caught.value.hint


def test_spot_is_a_price_and_new_starts(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    job = document(called, "plan.json", "--on", "skypilot", *SYSTEMS["skypilot"], "--spot")["job"]
    spot = next(each for each in plan["quotes"][0]["bills"] if each["billing"] == "spot")
    assert (job["spot"], job["max_usd"], job["retries"]) == (True, spot["total_usd"]["high"], 10)
    plain = document(called, "plan.json", "--on", "skypilot", *SYSTEMS["skypilot"])["job"]
    assert (plain["spot"], plain["retries"]) == (False, 0)
    task = yaml.safe_load(Path("launch-skypilot/task.yaml").read_text(encoding="utf-8"))
    assert task["resources"]["use_spot"] is False


def test_a_request_file_alone(called: Callable[..., Any]) -> None:
    Path("run.toml").write_text(RUN, encoding="utf-8")
    argv = ("run.toml", "--on", "slurm", "--nodes", "2", "--gpus-per-node", "4", "--gpu", "H100")
    assert called("launch", *argv).code == 2
    assert called("launch", *argv, "--max-hours", "2", "--max-usd", "50").code == 2
    price = ("--usd-per-hour", "20")
    job = document(called, *argv, "--max-hours", "2", "--max-usd", "50", *price)["job"]
    assert (job["usd_per_h"], flag(job["command"], "--usd-per-hour")) == (40.0, "20.0000")
    assert (job["nodes"], job["node_ranks"], job["max_duration_s"], job["max_usd"]) == (2, 4, 7200.0, 50.0)
    Path("run.toml").write_text(RUN + "max_hours = 3\n", encoding="utf-8")
    job = document(called, "run.toml", "--on", "slurm", "--out", "b")["job"]
    assert (job["nodes"], job["accelerator"], job["max_usd"], job["max_duration_s"]) == (1, None, None, 10_800.0)
    assert not re.search("gpus", Path("b/job.sh").read_text(encoding="utf-8"))


def test_layouts_are_a_plan_without_hours(called: Callable[..., Any]) -> None:
    Path("run.toml").write_text(RUN, encoding="utf-8")
    argv = ("--model", "gpt2", "--gpu", "H100", "--gpus", "16", "--software", "keras", "--format", "json")
    Path("layouts.json").write_text(called("layouts", *argv).out, encoding="utf-8")
    done = called("launch", "layouts.json", "--on", "slurm")
    assert (done.code, "--max-hours" in done.err) == (2, True)
    job = document(called, "layouts.json", "--on", "slurm", "--max-hours", "5")["job"]
    assert (job["nodes"], job["node_ranks"], job["max_usd"]) == (2, 8, None)


def change(plan: dict[str, Any], **layout: int) -> None:
    plan["quotes"][0]["layout"] |= layout
    Path("plan.json").write_text(json.dumps(plan), encoding="utf-8")


@pytest.mark.parametrize("degree", ["pp", "cp", "ep"])
def test_layouts_that_cannot_be_run_are_refused(degree: str, plan: dict[str, Any], called: Callable[..., Any]) -> None:
    change(plan, **{degree: 2})
    done = called("launch", "plan.json", "--on", "slurm")
    assert (done.code, "--software keras" in done.err) == (3, True)
    assert not Path("launch-slurm").exists()


def test_tensor_parallelism_is_of_jax(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    change(plan, tp=8)
    done = called("launch", "plan.json", "--on", "slurm")
    # It is the plan's, not a flag's: what there is to do is another plan or another engine.
    assert (done.code, "--tensor-parallel" in done.err, "--software fsdp" in done.err) == (2, False, True)
    Path("run.toml").write_text(RUN.replace("torch", "jax"), encoding="utf-8")
    job = document(called, "plan.json", "--on", "slurm")["job"]
    assert flag(job["command"], "--tensor-parallel") == "8"
    assert "jax[cuda12]" in job["requirements"]


@pytest.mark.parametrize(
    ("edit", "argv", "code"),
    [
        ("", ("--on", "slrum"), 2),
        ("", ("--on", "slurm", "--nodes", "3"), 2),
        ("", ("--on", "slurm", "--gpus-per-node", "4"), 2),
        ("", ("--on", "slurm", "--gpu", "H100"), 2),
        ("", ("--on", "slurm", "--name", "Not A Name"), 2),
        ("", ("--on", "slurm", "--env", "NAME"), 2),
        ("", ("--on", "slurm", "--env", "A=1", "--env", "A=2"), 2),
        ("", ("--on", "slurm", "--env", "RANK=1"), 2),
        ("", ("--on", "slurm", "--env", "A=two\nlines"), 2),
        ("", ("--on", "slurm", "--option", "x y=1"), 2),
        ("", ("--on", "slurm", "--port", "70000"), 2),
        ("", ("--on", "slurm", "--train", "nothing.toml"), 1),
        ("", ("--on", "slurm", "--shared", "relative"), 2),
        ("", ("--on", "kubernetes"), 2),
        ("", ("--on", "kubernetes", "--shared", "/shared"), 2),
        ("", ("--on", "kinetic", "--shared", "/shared", "--volume", "gs://b"), 2),
        ("schema", ("--on", "slurm"), 1),
        ("none", ("--on", "slurm"), 1),
        ("batch", ("--on", "slurm"), 2),
        ("backend", ("--on", "slurm"), 2),
        ("unknown", ("--on", "slurm"), 2),
        ("tensorflow", ("--on", "slurm"), 2),
        ("workers", ("--on", "slurm"), 2),
        ("devices", ("--on", "slurm"), 2),
        ("search", ("--on", "slurm"), 2),
        ("empty", ("--on", "slurm"), 2),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    edit: str, argv: tuple[str, ...], code: int, plan: dict[str, Any], called: Callable[..., Any]
) -> None:
    run = {
        "batch": RUN.replace("512", "8"),
        "backend": RUN.replace('backend = "torch"', ""),
        "unknown": RUN.replace('"torch"', '"torhc"'),
        "tensorflow": RUN.replace('"torch"', '"tensorflow"'),
        "workers": RUN + "workers = 2\n",
        "devices": RUN + "devices = 2\n",
        "search": RUN + "[search]\ntrials = 2\n[search.fields]\nlearning_rate = [1e-3, 1e-4]\n",
        "empty": "[data]\ndata = 'corpus'\n",
    }
    Path("run.toml").write_text(run.get(edit, RUN), encoding="utf-8")
    if edit in ("schema", "none"):
        plan["schema"] = {"schema": "zenplan.estimate/99", "none": "zenplan.prices/1"}[edit]
        Path("plan.json").write_text(json.dumps(plan), encoding="utf-8")
    done = called("launch", "plan.json", *argv)
    assert done.code == code, done.err
    assert re.fullmatch(r"error: [^\n]+\nhint: [^\n]+\n", done.err), done.err
    assert done.out == ""
    assert [each.name for each in Path().iterdir() if each.name.startswith("launch")] == []


def test_what_differs_from_the_plan_is_said(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    Path("run.toml").write_text(RUN.replace("512", "64").replace("bf16", "fp32"), encoding="utf-8")
    notes = " ".join(document(called, "plan.json", "--on", "slurm")["notes"])
    assert "512" in notes
    assert "fp32" in notes


def test_a_model_of_another_size_is_said(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    notes = " ".join(document(called, "plan.json", "--on", "slurm")["notes"])
    assert ("parameters" in notes, "tokens a sample" in notes) == (True, True)
    own = "\n[train.options]\nlayers = 12\nwidth = 768\nheads = 12\nlength = 1024\n"
    Path("run.toml").write_text(RUN.replace("steps = 100", "steps = 1908") + own, encoding="utf-8")
    notes = " ".join(document(called, "plan.json", "--on", "slurm")["notes"])
    assert ("parameters" in notes, "tokens" in notes) == (False, False)


def test_what_fits_by_zero_alone_is_divided_where_the_engine_can_and_refused_where_not(
    called: Callable[..., Any],
) -> None:
    argv = ("--params", "7e9", "--tokens", "1B", "--gpu", "H100", "--gpus", "16", "--provider", "aws")
    assert called("estimate", *argv, "--save", "plan.json").code == 0
    Path("run.toml").write_text(RUN, encoding="utf-8")
    batch = json.loads(Path("plan.json").read_text(encoding="utf-8"))["quotes"][0]["layout"]
    assert batch["zero"] > 0
    found = document(called, "plan.json", "--on", "slurm")
    words = found["job"]["command"]
    assert words[words.index("--zero") + 1] == "3"

    for given, code in (
        (RUN.replace('"torch"', '"jax"'), 3),
        (RUN.replace("batch", 'optimizer = "adafactor"\nbatch'), 2),
    ):
        Path("run.toml").write_text(given, encoding="utf-8")
        done = called("launch", "plan.json", "--on", "slurm", "--out", "other")
        assert done.code == code, done.err
        assert "ZeRO" in done.err
        assert not Path("other").exists()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            "https://x.org/zenplan-0.1.0-py3-none-any.whl",
            "zenplan[train,torch] @ https://x.org/zenplan-0.1.0-py3-none-any.whl",
        ),
        ("zenplan>=0.1", "zenplan[train,torch]>=0.1"),
        ("zenplan[all] @ git+https://x.org/z", "zenplan[train,torch] @ git+https://x.org/z"),
        (
            f"/shared/zenplan-{__version__}-py3-none-any.whl",
            f"zenplan[train,torch] @ file:///shared/zenplan-{__version__}-py3-none-any.whl",
        ),
    ],
)
def test_a_package_is_what_nodes_install(
    given: str, wanted: str, plan: dict[str, Any], called: Callable[..., Any]
) -> None:
    argv = ("plan.json", "--on", "kubernetes", *SYSTEMS["kubernetes"])
    plain = document(called, *argv)
    assert any("package index" in note for note in plain["notes"])
    found = document(called, *argv, "--package", given)
    assert found["job"]["requirements"] == [wanted]
    assert not any("package index" in note for note in found["notes"])


def test_a_wheel_goes_along(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    name = f"zenplan-{__version__}-py3-none-any.whl"
    Path("dist").mkdir()
    Path("dist", name).write_bytes(b"PK\x03\x04\xff")
    for system in ("skypilot", "dstack", "ray"):
        job = document(called, "plan.json", "--on", system, *SYSTEMS[system], "--package", f"dist/{name}")["job"]
        assert (job["package"], job["requirements"]) == (name, [f"./{name}[train,torch]"])
        assert Path(f"launch-{system}", name).read_bytes() == b"PK\x03\x04\xff"
    task = yaml.safe_load(Path("launch-dstack/task.dstack.yml").read_text(encoding="utf-8"))
    assert f"{name}:/zenplan/{name}" in task["files"]
    runtime = json.loads(Path("launch-ray/runtime_env.json").read_text(encoding="utf-8"))
    assert runtime["pip"] == [f"${{RAY_RUNTIME_ENV_CREATE_WORKING_DIR}}/{name}[train,torch]"]
    for bad in ((f"dist/{name}", "kubernetes"), ("nothing.whl", "ray"), ("numpy", "ray"), (f"x/{name}", "ray")):
        assert (
            called("launch", "plan.json", "--on", bad[1], *SYSTEMS[bad[1]], "--package", bad[0], "--out", "o").code == 2
        )
    assert called("launch", "plan.json", "--on", "slurm", "--package", "zenplan", "--venv", "/v").code == 2


def test_limits_say_whose_they_are(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    plain = document(called, "plan.json", "--on", "slurm")
    assert not any("ends the run after" in note for note in plain["notes"])
    least = document(called, "plan.json", "--on", "slurm", "--max-usd", "5")
    assert any("lower end" in note for note in least["notes"])
    shown = called("launch", "plan.json", "--on", "slurm", "--max-usd", "5").out
    assert "as given" in shown
    assert plain["job"]["provider"] == "aws"
    assert plan["quotes"][0]["prices"]["on-demand"]["as_of"] in plain["job"]["price_of"]
    assert plain["job"]["price_of"] in Path("launch-slurm/job.sh").read_text(encoding="utf-8")


def test_machines_are_whole(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    assert not any("of its machines" in note for note in document(called, "plan.json", "--on", "slurm")["notes"])
    plan["quotes"][0]["idle_devices"] = 4
    Path("plan.json").write_text(json.dumps(plan), encoding="utf-8")
    notes = document(called, "plan.json", "--on", "slurm")["notes"]
    assert any("12 of the 16 devices" in note for note in notes)


def test_data_have_to_be_where_nodes_read_them(plan: dict[str, Any], called: Callable[..., Any]) -> None:
    there = document(called, "plan.json", "--on", "kubernetes", *SYSTEMS["kubernetes"])["notes"]
    assert any("/shared/corpus" in note for note in there)
    assert any("does not exist" in note for note in document(called, "plan.json", "--on", "slurm")["notes"])
    Path("corpus").mkdir()
    assert not any("does not exist" in note for note in document(called, "plan.json", "--on", "slurm")["notes"])


def test_a_limit_of_dollars_needs_a_price(called: Callable[..., Any]) -> None:
    argv = ("run.toml", "--on", "slurm", "--max-hours", "2")
    Path("run.toml").write_text(RUN, encoding="utf-8")
    assert any("no price" in note for note in document(called, *argv)["notes"])
    assert called("launch", *argv, "--max-usd", "5").code == 2
    Path("run.toml").write_text(RUN + "usd_per_kwh = 0.3\n", encoding="utf-8")
    assert document(called, *argv, "--max-usd", "5", "--out", "a")["job"]["max_usd"] == 5.0
    Path("run.toml").write_text(RUN + "\n[prices]\nusd_per_hour = 2\n", encoding="utf-8")
    found = document(called, *argv, "--max-usd", "1", "--out", "b")
    assert (found["job"]["usd_per_h"], found["job"]["price_of"]) == (2.0, "of run.toml")


def test_devices_are_named_and_the_engine_runs_on_them(called: Callable[..., Any]) -> None:
    Path("run.toml").write_text(RUN, encoding="utf-8")
    argv = ("run.toml", "--on", "slurm", "--max-hours", "2", "--gpus-per-node", "4")
    done = called("launch", *argv)
    assert (done.code, "--gpu" in done.err) == (2, True)
    assert called("launch", *argv, "--gpu", "TPU-v5e").code == 2
    Path("run.toml").write_text(RUN.replace("torch", "jax"), encoding="utf-8")
    assert "jax[tpu]" in document(called, *argv, "--gpu", "TPU-v5e")["job"]["requirements"]


SMALL = """
[data]
data = "corpus"

[step]
batch = 8
seq_len = 32

[train]
model = "decoder"
backend = "torch"
device = "cpu"
steps = 120

[train.options]
layers = 1
width = 16
heads = 2
length = 32
"""


@pytest.mark.slow
@pytest.mark.skipif(not (find_spec("keras") and find_spec("torch")), reason="Keras and PyTorch are not installed")
def test_one_job_is_stopped_and_gone_on_with_by_the_same_command(called: Callable[..., Any]) -> None:
    """Two ranks of a node, as the files start them, for real."""
    Path("run.toml").write_text(SMALL, encoding="utf-8")
    Path("corpus").mkdir()
    Path("corpus/a.txt").write_text(Path(signal.__file__).read_text(encoding="utf-8") * 20, encoding="utf-8")
    argv = ("run.toml", "--on", "ray", "--shared", str(Path.cwd()), "--volume", "here", "--gpus-per-node", "2")
    job = document(called, *argv, "--max-hours", "1")["job"]
    run = Path(job["run_folder"])
    words = [sys.executable, "-m", "zenplan", *job["command"][1:]]

    def started() -> subprocess.Popen[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        node = {"NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return subprocess.Popen(
            ["bash", "node.sh", "1", "2", "300", *words],
            cwd="launch-ray",
            env={**os.environ, **node},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def steps() -> list[int]:
        file = run / "metrics.jsonl"
        # The last line may be half written.
        lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
        return [found["step"] for found in map(json.loads, lines) if "loss" in found]

    with started() as process:
        end = time.monotonic() + 120
        while len(steps()) < 20 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        process.terminate()
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 143, out
    assert 20 <= len(steps()) < 120
    with started() as process:
        out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    assert steps() == list(range(1, 121))
    with started() as process:
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, "is finished" in out) == (0, True)
