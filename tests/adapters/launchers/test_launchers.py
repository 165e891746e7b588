"""Every launcher keeps the contract; its files, read back as the system reads them, are the job and nothing more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from tests.adapters.launchers.conftest import RANK, SHARED, job, node_line
from zenplan.adapters.launchers.dstack import Dstack
from zenplan.adapters.launchers.kinetic import Kinetic
from zenplan.adapters.launchers.kubernetes import Kubernetes
from zenplan.adapters.launchers.ray import Ray
from zenplan.adapters.launchers.skypilot import SkyPilot
from zenplan.adapters.launchers.slurm import Slurm
from zenplan.adapters.tables.market import provider_class
from zenplan.domain.launch.job import LaunchJob
from zenplan.domain.market.provider import ProviderClass
from zenplan.errors import DataError, UnknownName, UsageError
from zenplan.plugins import load_plugins
from zenplan.testing import LauncherContract, jobs
from zenplan.testing.launchers import ODD


def of_skypilot(files: Mapping[str, str]) -> dict[str, Any]:
    task = yaml.safe_load(files["task.yaml"])
    assert task["num_nodes"] == node_line(task["run"].splitlines()[-1])["nodes"]
    return {**node_line(task["run"].splitlines()[-1]), "environment": task["envs"]}


def of_dstack(files: Mapping[str, str]) -> dict[str, Any]:
    task = yaml.safe_load(files["task.dstack.yml"])
    found = node_line(task["commands"][-1])
    assert (task["nodes"], task["max_duration"]) == (found["nodes"], f"{found['deadline_s']:.0f}s")
    return {**found, "environment": dict(each.split("=", 1) for each in task["env"])}


def of_json(files: Mapping[str, str]) -> dict[str, Any]:
    told = json.loads(files["job.json"])
    return {name: told[name] for name in ("command", "environment", "nodes", "deadline_s") if name in told}


class TestSlurm(LauncherContract):
    launcher = Slurm()


class TestSkyPilot(LauncherContract):
    launcher = SkyPilot()
    needs: ClassVar = {"shared": "/shared", "volume": "s3://bucket"}
    parse = staticmethod(of_skypilot)


class TestDstack(LauncherContract):
    launcher = Dstack()
    # '${' of the odd text is a shell's, and not dstack's own '${{'.
    needs: ClassVar = SHARED
    parse = staticmethod(of_dstack)


class TestRay(LauncherContract):
    launcher = Ray()
    needs: ClassVar = SHARED
    parse = staticmethod(of_json)


class TestKinetic(LauncherContract):
    launcher = Kinetic()
    needs: ClassVar = {"shared": "/shared", "volume": "gs://bucket/data", "run_folder": "/root/run"}
    refused = ("two nodes", "spot", "processors")
    parse = staticmethod(of_json)


# --- Slurm: the script is run, with srun and scontrol that only say what they were given

SRUN = """#!/usr/bin/env python3
import json, os, subprocess, sys
words = sys.argv[1:]
inner = words[words.index("bash"):]
codes = []
for rank in range(int(os.environ["SLURM_NTASKS"])):
    local = rank % int(os.environ["PER_NODE"])
    env = {**os.environ, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(local)}
    codes.append(subprocess.run(inner, env=env).returncode)
sys.exit(max(codes))
"""
ZENPLAN = """#!/usr/bin/env python3
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print(os.environ.get("FAKE_VERSION", "zenplan 0.1.0"))
    sys.exit()
names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "ODD")
with open("told.jsonl", "a") as file:
    file.write(json.dumps({"argv": sys.argv[1:], **{n: os.environ[n] for n in names}}) + "\\n")
sys.exit(int(os.environ.get("FAKE_CODE", "0")))
"""
SCONTROL = '#!/bin/sh\nif [ "$1" = show ]; then echo node1; echo node2; else echo "$@" >> requeued; fi\n'


def run_slurm(folder: Path, found: LaunchJob, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "bin").mkdir(exist_ok=True)
    for name, text in {"srun": SRUN, "zenplan": ZENPLAN, "scontrol": SCONTROL}.items():
        (folder / "bin" / name).write_text(text, encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    (folder / "job.sh").write_text(Slurm().write(found)["job.sh"], encoding="utf-8")
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_ID": "7",
        "SLURM_NTASKS": str(found.ranks),
        "PER_NODE": str(found.node_ranks),
        **more,
    }
    return subprocess.run(
        ["bash", "job.sh"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "told.jsonl").read_text(encoding="utf-8").splitlines()]


def test_slurm_starts_each_rank_with_its_rendezvous(tmp_path: Path) -> None:
    found = job(node_ranks=2)
    done = run_slurm(tmp_path, found)
    assert (done.returncode, done.stderr) == (0, "")
    lines = told(tmp_path)
    assert [(x["RANK"], x["LOCAL_RANK"], x["WORLD_SIZE"]) for x in lines] == [
        ("0", "0", "4"),
        ("1", "1", "4"),
        ("2", "0", "4"),
        ("3", "1", "4"),
    ]
    assert {(x["MASTER_ADDR"], x["MASTER_PORT"], x["ODD"]) for x in lines} == {("node1", "20007", ODD)}
    assert all(x["argv"] == list(found.command[1:]) for x in lines)
    assert not (tmp_path / "pwned").exists()


def test_slurm_asks_for_what_the_plan_has() -> None:
    text = Slurm().write(job(options={"partition": "gpu", "cpus-per-task": "8"}))["job.sh"]
    asked = {line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert asked >= {"--nodes=2", "--ntasks-per-node=8", "--gpus-per-node=8", "--partition=gpu", "--no-requeue"}
    # Ten hours of the plan, and the time in which a system lets zenplan end it.
    assert "--time=10:10:00" in asked
    assert "--requeue" in Slurm().write(job("spot"))["job.sh"]
    known = Slurm().write(job(rank_cpus=6))["job.sh"]
    assert ("--cpus-per-task=6" in known, "SRUN_CPUS_PER_TASK" in known) == (True, True)
    own = Slurm().write(job(rank_cpus=6, options={"cpus-per-gpu": "4"}))["job.sh"]
    assert "cpus-per-task" not in own
    said = [
        any("cpus-per-task" in note for note in Slurm().submit(each).notes)
        for each in (job(), job(rank_cpus=6), job(options={"cpus-per-task": "8"}))
    ]
    assert said == [True, False, False]
    assert "gpus" not in Slurm().write(job("processors"))["job.sh"]
    for options in ({"nodes": "3"}, {"comment": "two words"}, {"mail-user": "a\\b"}, {"x y": "1"}):
        with pytest.raises(UsageError):
            Slurm().write(job(options=options))


def test_slurm_begins_again_where_a_machine_was_taken_and_only_then(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    found = job("spot", node_ranks=1, run_folder=str(run))
    (run / "status.json").write_text('{\n  "state": "failed"\n}\n', encoding="utf-8")
    assert run_slurm(tmp_path, found, FAKE_CODE="1").returncode == 1
    assert not (tmp_path / "requeued").exists()
    (run / "status.json").write_text('{\n  "state": "preempted"\n}\n', encoding="utf-8")
    assert run_slurm(tmp_path, found, FAKE_CODE="75").returncode == 75
    assert (tmp_path / "requeued").read_text(encoding="utf-8") == "requeue 7\n"
    run_slurm(tmp_path, found, FAKE_CODE="75", SLURM_RESTART_COUNT="3")
    assert (tmp_path / "requeued").read_text(encoding="utf-8") == "requeue 7\n"


def test_slurm_refuses_nodes_of_another_version(tmp_path: Path) -> None:
    done = run_slurm(tmp_path, job(node_ranks=1), FAKE_VERSION="zenplan 0.0.9")
    assert done.returncode == 2
    assert "zenplan 0.0.9, not zenplan 0.1.0" in done.stderr
    assert not (tmp_path / "told.jsonl").exists()


# --- the ranks of a node


def run_node(folder: Path, *, code: int, most_s: int = 60, signal_s: float | None = None) -> tuple[int, str]:
    (folder / "node.sh").write_text(Ray().write(job())["node.sh"], encoding="utf-8")
    (folder / "rank.py").write_text(RANK, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "NODE_RANK": "1", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}
    words = ["bash", "node.sh", "2", "2", str(most_s), "python3", "rank.py", str(code)]
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        if signal_s is not None:
            assert process.stdout is not None
            process.stdout.readline()
            process.terminate()
        out, _ = process.communicate(timeout=60)
    return process.returncode, out


def test_a_node_starts_its_ranks(tmp_path: Path) -> None:
    code, out = run_node(tmp_path, code=0)
    found = sorted((json.loads(line) for line in out.splitlines()), key=lambda x: str(x["RANK"]))
    assert code == 0
    assert [(x["RANK"], x["LOCAL_RANK"], x["WORLD_SIZE"]) for x in found] == [("2", "0", "4"), ("3", "1", "4")]
    assert {(x["MASTER_ADDR"], x["MASTER_PORT"]) for x in found} == {("first", "29500")}


def test_where_one_rank_ends_badly_all_end_with_its_code(tmp_path: Path) -> None:
    code, out = run_node(tmp_path, code=9)
    assert code == 9
    assert "ended 2" in out


def test_a_node_ends_once_its_time_is_over(tmp_path: Path) -> None:
    code, out = run_node(tmp_path, code=143, most_s=2)
    assert code == 143
    assert "ended" in out


# --- what stands in the files


def test_a_provider_that_a_system_does_not_have_is_said() -> None:
    for launcher in (SkyPilot(), Dstack()):
        assert not any("aws" in note for note in launcher.submit(job()).notes)
        assert any("coreweave" in note for note in launcher.submit(job(provider="coreweave")).notes)
        priced = job(provider="coreweave", price_of="as given")
        assert not any("coreweave" in note for note in launcher.submit(priced).notes)


def test_an_option_that_takes_another_providers_machines_is_said_and_has_no_region_of_the_plans() -> None:
    for launcher, option in ((SkyPilot(), "infra"), (Dstack(), "backend")):
        other, same = (job(options={option: name}) for name in ("gcp", "aws"))
        assert any("aws" in note and "gcp" in note for note in launcher.submit(other).notes)
        assert not any("aws" in note for note in launcher.submit(same).notes)
        assert "us-east-1" not in "".join(launcher.write(other).values())
    assert yaml.safe_load(Dstack().write(job(options={"backend": "aws"}))["task.dstack.yml"])["regions"] == [
        "us-east-1"
    ]


def test_slurm_knows_the_options_of_sbatch() -> None:
    with pytest.raises(UnknownName, match="partiton") as found:
        Slurm().write(job(options={"partiton": "gpu"}))
    assert "partition" in found.value.hint
    assert "--container-image=x" in Slurm().write(job(options={"container-image": "x"}))["job.sh"]


def test_skypilot() -> None:
    task = yaml.safe_load(SkyPilot().write(job("spot", volume="s3://bucket"))["task.yaml"])
    resources = task["resources"]
    assert resources["accelerators"] == "H100:8"
    assert resources["infra"] == "aws/us-east-1"
    assert resources["use_spot"] is True
    assert resources["job_recovery"]["recover_on_exit_codes"] == [75]
    assert task["file_mounts"]["/shared"]["source"] == "s3://bucket"
    assert yaml.safe_load(SkyPilot().write(job(volume="mine"))["task.yaml"])["volumes"] == {"/shared": "mine"}
    assert yaml.safe_load(SkyPilot().write(job())["task.yaml"])["resources"]["use_spot"] is False


class Lost(Exception):
    """What Ray raises where a machine is gone."""


def ray_of(monkeypatch: pytest.MonkeyPatch, *tries: tuple[int | Lost, ...]) -> dict[str, Any]:
    """``ray_job.py`` with a stand-in for Ray, in which the nodes of each try end as is said, in that order."""
    left = [list(each) for each in tries]

    def wait(running: list[Any], num_returns: int = 1, timeout: float | None = None) -> tuple[list[Any], list[Any]]:
        return running[:num_returns], running[num_returns:]

    def get(what: Any, timeout: float | None = None) -> Any:
        if isinstance(what, list):
            return [get(each) for each in what]
        if isinstance(what, Lost):
            raise what
        return what

    def remote(**_: Any) -> Any:
        def of(function: Any) -> Any:
            ends = lambda *_: left[0].pop(0) if function.__name__ == "node" else "x"  # noqa: E731 - a stand-in
            return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=ends))

        return of

    fake: Any = ModuleType("ray")
    fake.remote, fake.wait, fake.get, fake.init = remote, wait, get, lambda **_: None
    fake.cancel = lambda *_, **__: None
    fake.exceptions = SimpleNamespace(RayError=Lost)
    groups: Any = ModuleType("ray.util.placement_group")
    groups.placement_group = lambda *_, **__: SimpleNamespace(ready=lambda: True)
    fake.util = SimpleNamespace(remove_placement_group=lambda _: left.pop(0))
    strategies: Any = ModuleType("ray.util.scheduling_strategies")
    strategies.PlacementGroupSchedulingStrategy = lambda *_, **__: None
    for module in (fake, groups, strategies):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    files = Ray().write(job("spot", nodes=2, retries=2))
    Path("job.json").write_text(files["job.json"], encoding="utf-8")
    found: dict[str, Any] = {"__name__": "ray_job"}
    exec(files["ray_job.py"], found)  # noqa: S102 - it is ours
    return {"code": found["main"](), "left": len(left)}


@pytest.mark.parametrize(
    ("tries", "code", "left"),
    [
        (((0, 0),), 0, 0),
        (((1, 143), (0, 0)), 1, 1),
        (((3, 3), (0, 0)), 3, 1),
        (((75, 143), (0, 0)), 0, 0),
        # A machine is gone, and a rank of the other has failed first.
        (((1, Lost()), (0, 0)), 0, 0),
        (((Lost(), 0), (75, 75), (75, 0), (0, 0)), 75, 1),
    ],
)
def test_ray_begins_again_where_a_machine_was_taken_and_only_then(
    tries: Any, code: int, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ray_of(monkeypatch, *tries) == {"code": code, "left": left}


def test_dstack() -> None:
    task = yaml.safe_load(Dstack().write(job("spot"))["task.dstack.yml"])
    assert task["resources"]["gpu"] == {"name": "H100", "memory": "80GB", "count": 8}
    assert (task["spot_policy"], task["max_price"]) == ("spot", 61.725)
    # 1,234.5 dollars for ten hours of two machines; where they do not last so long, or are not limited, the price seen.
    for usd in (100.0, None):
        least = yaml.safe_load(Dstack().write(job("spot", max_usd=usd))["task.dstack.yml"])
        assert least["max_price"] == 19.6
        assert any("max_price 19.6" in note for note in Dstack().submit(job("spot", max_usd=usd)).notes)
    assert "max_price" not in yaml.safe_load(Dstack().write(job(usd_per_h=None, max_usd=None))["task.dstack.yml"])
    assert "interruption" in task["retry"]["on_events"]
    assert "error" not in task["retry"]["on_events"]
    assert task["volumes"] == ["claim:/shared"]
    assert "retry" not in yaml.safe_load(Dstack().write(job())["task.dstack.yml"])
    with pytest.raises(UsageError):
        Dstack().write(job(environment={"X": "${{ secrets.key }}"}))


def test_devices_have_the_systems_names() -> None:
    named = job(accelerator_name="MINE")
    assert yaml.safe_load(SkyPilot().write(named)["task.yaml"])["resources"]["accelerators"] == "MINE:8"
    strange = replace(jobs()["two nodes"].accelerator, name="X1")  # type: ignore[type-var]  # it has one
    for launcher in (SkyPilot(), Dstack()):
        with pytest.raises(UsageError, match="X1"):
            launcher.write(job(accelerator=strange))


def test_options_that_nobody_knows() -> None:
    for launcher in (Kubernetes(), SkyPilot(), Dstack(), Ray()):
        with pytest.raises(UnknownName):
            launcher.write(job(options={"partition": "x"}))


def test_a_job_that_is_none() -> None:
    for changes in (
        {"name": "No!"},
        {"command": ()},
        {"environment": {"A-B": "x"}},
        {"environment": {"RANK": "0"}},
        {"environment": {"A": "two\nlines"}},
        {"shared": "relative"},
        {"shared": "/a/../b"},
        {"nodes": 0},
        {"max_duration_s": float("inf")},
    ):
        with pytest.raises(DataError):
            job(**changes)


def test_names_of_accelerators_and_providers_are_of_the_tables() -> None:
    from zenplan.adapters.launchers.names import _names

    plugins = load_plugins({"ZENPLAN_PLUGINS": ""})
    known = {each.name for each in plugins.accelerators()}
    systems = {each.name for each in plugins.launchers()}
    assert {name for _, name in _names("accelerator")} <= known
    providers = {name for _, name in _names("provider")}
    assert [name for name in providers if provider_class(name) is ProviderClass.UNKNOWN] == []
    assert {system for what in ("accelerator", "provider") for system, _ in _names(what)} <= systems
