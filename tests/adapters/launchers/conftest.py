"""A job, what a shell makes of a node's line, and a rank that tells where it stands."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

from zenplan.domain.launch.job import LaunchJob
from zenplan.testing import jobs

SHARED = {"shared": "/shared", "volume": "claim"}

RANK = """
import json, os, signal, sys, time
def end(*_):
    print("ended", os.environ["RANK"], flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
print(json.dumps({n: os.environ[n] for n in names}), flush=True)
code, rank = int(sys.argv[1]), os.environ["LOCAL_RANK"]
if rank == "1" and code != 143:
    time.sleep(0.3)
    sys.exit(code)
time.sleep(30 if code else 0)
"""


def job(what: str = "two nodes", **changes: Any) -> LaunchJob:
    return replace(jobs()[what], **{**SHARED, **changes})


def node_line(line: str) -> dict[str, Any]:
    """What a shell makes of the line that starts a node's ranks."""
    words = shlex.split(line)
    assert words[:3] == ["exec", "bash", "node.sh"]
    return {"command": words[6:], "nodes": int(words[3]), "deadline_s": float(words[5])}
