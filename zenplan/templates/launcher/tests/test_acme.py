"""Acme keeps the contract of a launcher, and its file says what the job is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zenplan_acme import Acme

from zenplan.testing import LauncherContract


def read_back(files: Mapping[str, str]) -> Mapping[str, Any]:
    told = json.loads(files["acme.json"])
    return {
        "command": told["argv"],
        "environment": told["env"],
        "nodes": told["nodes"],
        "deadline_s": told["seconds"],
    }


class TestAcme(LauncherContract):
    launcher = Acme()
    parse = staticmethod(read_back)
