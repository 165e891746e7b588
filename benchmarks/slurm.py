"""A launch on a real Slurm of two nodes, each in a network namespace of this machine: ``python benchmarks/slurm.py``.

Needs root, Debian's ``slurmctld slurmd slurm-client munge iproute2``, and a processor's JAX or PyTorch; some ten minutes.
``zenplan launch --on slurm`` writes the script, ``sbatch`` takes it, two ranks train on two nodes over a bridge. The losses
are compared with those of one worker that no Slurm started. Then a rank is killed in the middle, and the same script is
handed over again. Everything lies in a folder that is removed at the end, and so are the namespaces.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

import psutil
import readme

from zenplan.adapters.run_folder.folder import METRICS, STATUS
from zenplan.adapters.run_folder.lines import read_metrics

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "munged", "ip", "nsenter", "unshare")
NODES = ("n1", "n2")
# Of the bridge, which only these namespaces see.
NET = "10.77.0"
WAIT_S = 600.0
STEPS = 120
CONF = """\
ClusterName=zenplan
SlurmctldHost=ctl({net}.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/ctl.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctl.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdParameters=config_overrides
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""
RUN = """\
[data]
data = "python-library"
seq_len = 32
[step]
batch = 8
[train]
model = "decoder"
backend = "{backend}"
device = "cpu"
threads = 1
steps = {steps}
checkpoint_every = 40
evaluate_every = 60
[train.options]
layers = 2
width = 32
heads = 2
"""


def sh(line: str, **more: Any) -> str:
    """What a command says."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        ["bash", "-ec", line], check=True, capture_output=True, text=True, **more
    )
    return done.stdout


@contextmanager
def cluster(folder: Path) -> Iterator[Mapping[str, str]]:
    """Within it there are two nodes; the environment that Slurm's clients need."""
    for each in ("munge", "state", *(f"spool/{node}" for node in NODES)):
        (folder / each).mkdir(parents=True)
    hosts = "".join(f"{NET}.{10 + i} {node}\n" for i, node in enumerate(NODES, 1))
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{NET}.1 ctl\n{hosts}", encoding="utf-8")
    nodes = "\n".join(
        f"NodeName={node} NodeAddr={NET}.{10 + i} NodeHostname={node} CPUs=2 State=UNKNOWN"
        for i, node in enumerate(NODES, 1)
    )
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(net=NET, folder=folder, nodes=nodes, names=",".join(NODES)), encoding="utf-8")
    try:
        _up(folder, conf)
        yield {**os.environ, "SLURM_CONF": os.fspath(conf)}
    finally:
        for pid in [*folder.glob("*.pid"), folder / "munge" / "pid"]:
            if pid.is_file():
                subprocess.run(
                    ["kill", pid.read_text(encoding="ascii").strip()], check=False, stderr=subprocess.DEVNULL
                )
        time.sleep(1.0)
        for node in NODES:
            subprocess.run(["ip", "netns", "del", f"zp-{node}"], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", "zp-bridge"], check=False, stderr=subprocess.DEVNULL)


def _up(folder: Path, conf: Path) -> None:
    sh(f"ip link add zp-bridge type bridge; ip addr add {NET}.1/24 dev zp-bridge; ip link set zp-bridge up")
    for i, node in enumerate(NODES, 1):
        sh(
            f"ip netns add zp-{node}; ip link add zp-{node} type veth peer name eth0 netns zp-{node};"
            f"ip link set zp-{node} master zp-bridge up; ip -n zp-{node} addr add {NET}.{10 + i}/24 dev eth0;"
            f"ip -n zp-{node} link set eth0 up; ip -n zp-{node} link set lo up"
        )
    munge = folder / "munge"
    (munge / "key").write_bytes(os.urandom(1024))
    (munge / "key").chmod(0o600)
    munge.chmod(0o755)
    sh(
        f"munged --force --key-file={munge}/key --socket={munge}/socket --pid-file={munge}/pid "
        f"--log-file={munge}/log --seed-file={munge}/seed"
    )
    sh(f"unshare --uts sh -c 'hostname ctl; exec slurmctld -f {conf}'")
    for node in NODES:
        inside = f"mount --bind {folder}/hosts /etc/hosts; hostname {node}; exec slurmd -f {conf}"
        sh(f"nsenter --net=/run/netns/zp-{node} unshare --uts --mount sh -c {shlex.quote(inside)}")
    time.sleep(3.0)


def submitted(folder: Path, environ: Mapping[str, str], kill_at: int | None = None) -> float:
    """Hand the script over, and wait for the job's end: its seconds.

    Args:
        kill_at: a rank is killed once so many steps are done; None for none.
    """
    begin = time.monotonic()
    sh("sbatch job.sh", cwd=folder / "launch-slurm", env=dict(environ))
    metrics = folder / "run" / METRICS
    while sh("squeue -h", env=dict(environ)).strip():
        if time.monotonic() > begin + WAIT_S:
            raise SystemExit("the job does not end")
        if kill_at is not None and metrics.is_file() and len(metrics.read_text("utf-8").splitlines()) > kill_at:
            _kill_second(folder)
            kill_at = None
        time.sleep(0.3)
    return time.monotonic() - begin


def _kill_second(folder: Path) -> None:
    """Kill rank 1's ``zenplan``, found among the processes that were started for this folder."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        mine = os.fspath(folder / "run") in (process.info["cmdline"] or ())
        if mine and (process.info["environ"] or {}).get("RANK") == "1" and "train" in process.info["cmdline"]:
            process.send_signal(signal.SIGKILL)


def losses(run: Path) -> list[float]:
    """Of each step."""
    return [loss for _, loss in read_metrics(run / METRICS).training]


def row(backend: str, folder: Path, environ: Mapping[str, str]) -> str:
    """Of one backend: it alone, on two nodes, and killed between."""
    (folder / "run.toml").write_text(RUN.format(backend=backend, steps=STEPS), encoding="utf-8")
    zenplan = [sys.executable, "-m", "zenplan"]
    alone = [*zenplan, "train", "run.toml", "--out", "alone"]
    subprocess.run(alone, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    launch = [*zenplan, "launch", "run.toml", "--on", "slurm", "--nodes", "2", "--max-hours", "1"]
    where = ["--shared", os.fspath(folder), "--run-folder", os.fspath(folder / "run"), "--venv", sys.prefix]
    subprocess.run([*launch, *where], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    sh("sbatch --test-only job.sh", cwd=folder / "launch-slurm", env=dict(environ))
    took_s = submitted(folder, environ)
    whole = _finished(folder / "run")
    far = max(abs(a - b) / abs(a) for a, b in zip(losses(folder / "alone"), whole, strict=True))
    (folder / "run").rename(folder / "first")
    submitted(folder, environ, kill_at=STEPS // 2)
    stopped = json.loads((folder / "run" / STATUS).read_text("utf-8"))
    submitted(folder, environ)
    again = _finished(folder / "run")
    same = (
        "the same bits" if again == whole else f"{max(abs(a - b) for a, b in zip(again, whole, strict=True)):.1e} off"
    )
    return f"| {backend} | {took_s:.0f} s | {far:.0e} | {stopped['checkpoint']} of {STEPS} | {same} |"


def _finished(run: Path) -> list[float]:
    status = json.loads((run / STATUS).read_text("utf-8"))
    if status["state"] != "finished":
        raise SystemExit(f"the run is {status['state']}: {status['message']}")
    return losses(run)


def main() -> None:
    """Print a table; a row is a backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", choices=["jax", "torch"])
    parser.add_argument("--readme", action="store_true", help="also write the table into docs/clusters.md")
    asked = parser.parse_args()
    missing = [each for each in PROGRAMS if which(each) is None]
    if missing or os.geteuid() != 0:
        raise SystemExit(f"not run: {', '.join(missing) or 'root'} is missing")
    lines = [
        "| backend | from sbatch to the end | loss, from one worker's | a rank killed: goes on from step | its curve |",
        "|---|---:|---:|---:|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as place, cluster(Path(place) / "slurm") as environ:
        for backend in asked.backend or ["jax", "torch"]:
            folder = Path(place) / backend
            folder.mkdir()
            lines.append(row(backend, folder, environ))
            print(lines[-1], flush=True)
    if asked.readme:
        readme.write("slurm", "\n".join(lines))


if __name__ == "__main__":
    main()
