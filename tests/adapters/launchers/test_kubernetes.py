"""What Kubernetes is given: a Job of its own, or a TrainJob of Kubeflow Trainer, whose script is run as its runtime does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from tests.adapters.launchers.conftest import RANK, SHARED, job, node_line
from zenplan.adapters.launchers.kubernetes import Kubernetes
from zenplan.adapters.launchers.pods import FILES, SHARED_MEMORY
from zenplan.domain.launch.job import LaunchJob
from zenplan.errors import UsageError
from zenplan.testing import LauncherContract


def manifest(files: Mapping[str, str], kind: str) -> dict[str, Any]:
    (found,) = (each for each in yaml.safe_load_all(files["job.yaml"]) if each["kind"] == kind)
    assert isinstance(found, dict)
    return found


def kubernetes_job(files: Mapping[str, str]) -> dict[str, Any]:
    return manifest(files, "Job")


def kubelet(text: str) -> str:
    """What the kubelet makes of a text: one dollar of two, a value of ``$(NAME)``, of which there is none here."""
    return re.sub(r"\$\$|\$\((\w+)\)", lambda found: f"VALUE {found[1]}" if found[1] else "$", text)


def of_kubernetes(files: Mapping[str, str]) -> dict[str, Any]:
    job = kubernetes_job(files)["spec"]
    (container,) = job["template"]["spec"]["containers"]
    found = node_line(kubelet(container["command"][2]).splitlines()[-1])
    assert (job["completions"], job["parallelism"]) == (found["nodes"],) * 2
    assert job["activeDeadlineSeconds"] == found["deadline_s"]
    return {**found, "environment": {e["name"]: kubelet(e["value"]) for e in container["env"]}}


def train_job(files: Mapping[str, str]) -> dict[str, Any]:
    return manifest(files, "TrainJob")


def of_kubeflow(files: Mapping[str, str]) -> dict[str, Any]:
    spec = train_job(files)["spec"]
    trainer = spec["trainer"]
    found = node_line(kubelet(trainer["command"][2]).splitlines()[-1])
    assert (trainer["numNodes"], spec["activeDeadlineSeconds"]) == (found["nodes"], found["deadline_s"])
    return {**found, "environment": {e["name"]: kubelet(e["value"]) for e in trainer["env"]}}


class TestKubernetes(LauncherContract):
    launcher = Kubernetes()
    needs: ClassVar = SHARED
    parse = staticmethod(of_kubernetes)


class TestKubeflow(LauncherContract):
    launcher = Kubernetes()
    needs: ClassVar = {**SHARED, "options": {"kind": "TrainJob"}}
    parse = staticmethod(of_kubeflow)


def test_kubernetes() -> None:
    spec = kubernetes_job(Kubernetes().write(job("spot", options={"node-selector": "a/b=c", "namespace": "ml"})))
    assert spec["metadata"]["namespace"] == "ml"
    pod = spec["spec"]["template"]["spec"]
    assert spec["spec"]["completionMode"] == "Indexed"
    assert spec["spec"]["backoffLimit"] == 6
    assert pod["subdomain"] == spec["metadata"]["name"] == "run-7b"
    assert pod["nodeSelector"] == {"a/b": "c"}
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
    assert "MASTER_ADDR=run-7b-0.run-7b" in container["command"][2]
    files = Kubernetes().write(job())
    assert manifest(files, "Service")["spec"]["clusterIP"] == "None"
    data = manifest(files, "ConfigMap")["data"]
    assert data["run.toml"] == job().files["run.toml"]
    assert data["requirements.txt"] == "zenplan[train,torch]==0.1.0\n"
    for changes in ({"shared": "", "volume": ""}, {"volume": ""}, {"options": {"node-selector": "x"}}):
        with pytest.raises(UsageError):
            Kubernetes().write(job(**changes))


def test_kubernetes_begins_again_where_a_machine_was_taken_and_only_then() -> None:
    spec = kubernetes_job(Kubernetes().write(job("spot")))["spec"]
    count, fail = spec["podFailurePolicy"]["rules"]
    assert (count["action"], count["onPodConditions"][0]["type"]) == ("Count", "DisruptionTarget")
    assert fail["action"] == "FailJob"
    codes = fail["onExitCodes"]
    again = [code for code in (1, 2, 3, 75, 143) if (code in codes["values"]) != (codes["operator"] == "In")]
    assert again == [75, 143]


def test_kubernetes_takes_several_labels_and_names_of_claims() -> None:
    two = job(options={"node-selector": "a/b=c,d=e"})
    assert kubernetes_job(Kubernetes().write(two))["spec"]["template"]["spec"]["nodeSelector"] == {"a/b": "c", "d": "e"}
    for changes in (
        {"options": {"node-selector": "a=b,c"}},
        {"options": {"node-selector": "a=b,a=c"}},
        {"volume": "s3://bucket"},
        {"volume": "My_Claim"},
        {"package": "zenplan.whl"},
    ):
        with pytest.raises(UsageError):
            Kubernetes().write(job(**changes))
    plain, chosen = (Kubernetes().submit(replace(job("spot"), options=o)).notes for o in ({}, {"node-selector": "a=b"}))
    assert [sum("node selector" in note for note in notes) for notes in (plain, chosen)] == [2, 0]
    # The Job's end is counted from its beginning, whether its pods have nodes or not.
    assert all(any("waiting for nodes" in note for note in notes) for notes in (plain, chosen))


def test_kubernetes_puts_nothing_of_its_own_into_a_text() -> None:
    texts = {"A": "$(HOME)", "B": "$$(HOME) $$ $x $", "C": "$$$(HOME)$$$$", "D": "a$(b"}
    assert of_kubernetes(Kubernetes().write(job(environment=texts)))["environment"] == texts


TRAIN_JOB = {"kind": "trainjob"}


def run_pod(folder: Path, found: LaunchJob, rank: int, **more: str) -> tuple[int, str, str]:
    """The pod of that node, with the variables that the runtime ``torch-distributed`` sets."""
    files = Kubernetes().write(found)
    config = manifest(files, "ConfigMap")
    here = folder / "zenplan"
    here.mkdir(exist_ok=True)
    for name, text in {**config["data"], "rank.py": RANK}.items():
        (here / name).write_text(text, encoding="utf-8")
    trainer = train_job(files)["spec"]["trainer"]
    *words, script = map(kubelet, trainer["command"])
    script = script.replace(SHARED_MEMORY, str(folder)).replace(f"cd {FILES}", f"cd {here}")
    environment = {
        "PATH": os.environ["PATH"],
        "PET_NNODES": str(trainer["numNodes"]),
        "PET_NPROC_PER_NODE": str(trainer["numProcPerNode"]),
        "PET_NODE_RANK": str(rank),
        "PET_MASTER_ADDR": f"{found.name}-node-0-0.{found.name}",
        "PET_MASTER_PORT": "29500",
        **more,
    }
    done = subprocess.run([*words, script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def trained_by(code: int, **changes: Any) -> LaunchJob:
    command = ("python3", "rank.py", str(code))
    return job("spot", node_ranks=2, requirements=(), command=command, options=TRAIN_JOB, **changes)


def test_the_ranks_of_a_train_job_meet_where_its_runtime_says(tmp_path: Path) -> None:
    found = []
    for rank in (0, 1):
        code, out, err = run_pod(tmp_path, trained_by(0), rank)
        assert code == 0, err
        found += [json.loads(line) for line in out.splitlines()]
    found.sort(key=lambda each: int(each["RANK"]))
    assert [(x["RANK"], x["LOCAL_RANK"], x["WORLD_SIZE"]) for x in found] == [
        ("0", "0", "4"),
        ("1", "1", "4"),
        ("2", "0", "4"),
        ("3", "1", "4"),
    ]
    assert {(x["MASTER_ADDR"], x["MASTER_PORT"]) for x in found} == {("run-7b-node-0-0.run-7b", "29500")}
    assert '"MASTER_PORT": "7777"' in run_pod(tmp_path, trained_by(0, port=7777), 0)[1]


def test_a_runtime_that_is_none_of_pytorch_or_has_other_nodes_ends_before_the_run(tmp_path: Path) -> None:
    for more in ({"PET_NODE_RANK": ""}, {"PET_MASTER_ADDR": ""}, {"PET_NNODES": "1"}):
        code, out, err = run_pod(tmp_path, trained_by(0), 0, **more)
        assert code
        assert err
        assert not out


@pytest.mark.parametrize(("code", "retries", "again"), [(9, 3, False), (75, 3, True), (75, 0, False)])
def test_a_container_of_a_train_job_trains_again_only_where_that_helps(
    code: int, retries: int, again: bool, tmp_path: Path
) -> None:
    found = replace(trained_by(code), retries=retries)
    # A runtime begins it again whatever it has ended with, in the same pod.
    tries = [run_pod(tmp_path, found, 0) for _ in range(2)]
    assert [each[0] for each in tries] == [code, code]
    assert [bool(each[1]) for each in tries] == [True, again]


def test_a_train_job_is_patched_as_its_runtime_allows() -> None:
    found = train_job(
        Kubernetes().write(job("spot", options={**TRAIN_JOB, "node-selector": "a/b=c", "runtime": "mine"}))
    )
    spec = found["spec"]
    assert spec["runtimeRef"] == {"name": "mine"}
    assert train_job(Kubernetes().write(job(options=TRAIN_JOB)))["spec"]["runtimeRef"] == {"name": "torch-distributed"}
    assert spec["trainer"]["resourcesPerNode"] == {"limits": {"nvidia.com/gpu": 8}}
    (patch,) = spec["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = node["template"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"a/b": "c"}
    (container,) = pod["containers"]
    assert (node["name"], container["name"]) == ("node", "node")
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    for changes in (
        {"options": {"kind": "pod"}},
        {"options": {"runtime": "mine"}},
        {"options": TRAIN_JOB, "environment": {"PET_NNODES": "3"}},
    ):
        with pytest.raises(UsageError):
            Kubernetes().write(job(**changes))


def test_pods_ask_for_what_is_known_and_given() -> None:
    given = {"cpu": "12", "memory": "64Gi", "queue": "gpu", "pull-secret": "one,two"}
    given["toleration"] = "nvidia.com/gpu:NoSchedule,team=ml,spot"
    wanted = {"cpu": "12", "memory": "64Gi"}
    pods = []
    for kind in ("Job", "TrainJob"):
        found = manifest(Kubernetes().write(job(options={**given, "kind": kind})), kind)
        assert found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
        if kind == "Job":
            pods.append(found["spec"]["template"]["spec"])
            asked = pods[-1]["containers"][0]["resources"]
        else:
            patch = found["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]
            pods.append(patch["replicatedJobs"][0]["template"]["spec"]["template"]["spec"])
            asked = found["spec"]["trainer"]["resourcesPerNode"]
        assert asked == {"limits": {"nvidia.com/gpu": 8}, "requests": wanted}
    for pod in pods:
        assert pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
        assert pod["tolerations"] == [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "team", "operator": "Equal", "value": "ml"},
            {"key": "spot", "operator": "Exists"},
        ]
    known = kubernetes_job(Kubernetes().write(job("processors", rank_cpus=16)))
    assert known["spec"]["template"]["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "15"}}
    asking = [
        any("ask for no" in note for note in Kubernetes().submit(each).notes) for each in (job(), job(options=given))
    ]
    assert asking == [True, False]
    for wrong in (
        {"cpu": "many"},
        {"memory": "64 GB"},
        {"toleration": "a:Never"},
        {"queue": "A b"},
        {"pull-secret": "_"},
    ):
        with pytest.raises(UsageError):
            Kubernetes().write(job(options=wrong))
