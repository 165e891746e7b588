"""Starts one node's ranks on each node of a Ray cluster. ``ray job submit`` runs it; the job is in job.json beside it.

Where a node is lost all ranks are ended, and begun again as often as the job says.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

# Exit codes of 'zenplan train' after which it is begun again: its machine is taken (EX_TEMPFAIL), a SIGTERM ended it. No
# second try changes others: finished, an error, wrong usage, a limit that was reached.
TAKEN, TERMINATED = 75, 143
# Ranks of other machines fail before Ray knows that one is gone: so long it is waited for (assumed).
LATE_S = 60


@ray.remote(max_retries=0)
def address() -> str:
    """Of the node that it runs on."""
    return str(ray.util.get_node_ip_address())


@ray.remote(max_retries=0)
def port() -> int:
    """One that nobody uses on that node."""
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


@ray.remote(max_retries=0)
def node(rank: int, master: str, master_port: int, job: dict[str, Any], left_s: int) -> int:
    """The exit code of the ranks of a node."""
    environment = {**os.environ, **job["environment"], "NODE_RANK": str(rank), "MASTER_ADDR": master}
    environment["MASTER_PORT"] = str(master_port)
    head = ["bash", "node.sh", str(job["nodes"]), str(job["node_ranks"]), str(left_s)]
    return subprocess.run([*head, *job["command"]], env=environment, check=False).returncode  # noqa: S603 - the job's


def attempt(job: dict[str, Any], left_s: int) -> int:
    """Run all nodes once; the first exit code that is not 0."""
    devices = {"GPU": job["node_ranks"]} if job["gpus"] else {}
    bundles = [{"CPU": 1, **devices} for _ in range(job["nodes"])]
    group = placement_group(bundles, strategy="STRICT_SPREAD")
    try:
        ray.get(group.ready(), timeout=left_s)

        def on(index: int) -> dict[str, Any]:
            strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)
            return {"num_cpus": 1, "num_gpus": devices.get("GPU", 0), "scheduling_strategy": strategy}

        master = ray.get(address.options(**on(0)).remote())
        master_port = job["port"] or ray.get(port.options(**on(0)).remote())
        running = [node.options(**on(i)).remote(i, master, master_port, job, left_s) for i in range(job["nodes"])]
        while running:
            done, running = ray.wait(running)
            code = ray.get(done[0])
            if code:
                late, running = ray.wait(running, num_returns=len(running), timeout=LATE_S) if running else ([], [])
                # Raises where one of their machines is lost.
                ray.get(late)
                for each in running:
                    ray.cancel(each, force=True)
                return int(code)
        return 0
    except ray.exceptions.RayError as error:
        sys.stderr.write(f"zenplan: {error}\n")
        return TAKEN
    finally:
        ray.util.remove_placement_group(group)


def main() -> int:
    """The exit code of the last try."""
    job = json.loads(Path("job.json").read_text(encoding="utf-8"))
    end_s = time.monotonic() + job["deadline_s"]
    # Whoever tests it has begun already.
    ray.init(ignore_reinit_error=True)
    code = 1
    for _ in range(job["retries"] + 1):
        left_s = int(end_s - time.monotonic())
        if left_s <= 0:
            break
        code = attempt(job, left_s)
        if code not in (TAKEN, TERMINATED):
            break
    return code


if __name__ == "__main__":
    sys.exit(main())
