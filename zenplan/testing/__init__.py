"""What plugins are tested with: for each hook a contract, a class of tests that its author derives one from; a server on
loopback, a GPU that is not there, an engine whose law is known. It needs pytest.

    class TestMine(ProviderContract):
        provider = MyCloud()
"""

import pytest

# Before they are imported: then a failed assertion shows its values.
_WITH_TESTS = ("accelerators", "engines", "exporters", "lab", "launchers", "providers", "trackers", "workloads")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _WITH_TESTS))

from zenplan.testing.accelerators import AcceleratorsContract
from zenplan.testing.border import Taken, taken
from zenplan.testing.engines import EngineContract, KerasEngine
from zenplan.testing.exporters import ExporterContract, reports
from zenplan.testing.fakes import FakeEngine, fake_device
from zenplan.testing.fixtures import http, says, server
from zenplan.testing.lab import VOCABULARY, Lab, Worker, figures, losses, text_data, write_data
from zenplan.testing.launchers import LauncherContract, jobs
from zenplan.testing.network import network
from zenplan.testing.providers import ProviderContract
from zenplan.testing.server import LoopbackHttp, Reply, Request, Server
from zenplan.testing.trackers import TrackerContract
from zenplan.testing.workloads import WorkloadContract

__all__ = [
    "VOCABULARY",
    "AcceleratorsContract",
    "EngineContract",
    "ExporterContract",
    "FakeEngine",
    "KerasEngine",
    "Lab",
    "LauncherContract",
    "LoopbackHttp",
    "ProviderContract",
    "Reply",
    "Request",
    "Server",
    "Taken",
    "TrackerContract",
    "Worker",
    "WorkloadContract",
    "fake_device",
    "figures",
    "http",
    "jobs",
    "losses",
    "network",
    "reports",
    "says",
    "server",
    "taken",
    "text_data",
    "write_data",
]
