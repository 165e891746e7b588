"""Notices of clouds, over HTTP on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.machine.preemption import CLOUDS, here, preemption

AWS, GCP, AZURE = CLOUDS


@pytest.fixture
def service() -> Iterator[Callable[..., tuple[str, list[tuple[str, str, dict[str, str]]]]]]:
    """A metadata service that answers by path; its address, and what it was asked."""
    servers = []

    def start(answers: dict[str, str]) -> tuple[str, list[tuple[str, str, dict[str, str]]]]:
        asked: list[tuple[str, str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                text = answers.get(self.path)
                self.send_response(404 if text is None else 200)
                self.end_headers()
                self.wfile.write((text or "").encode())

            do_GET = do_PUT = answer  # noqa: N815 - names that the library looks for

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_aws_is_asked_with_a_token_of_its_own(service: Any) -> None:
    answers = {"/latest/api/token": "secret"}
    address, asked = service(answers)
    assert AWS.notice(address) == ""
    answers["/latest/meta-data/spot/instance-action"] = '{"action": "stop", "time": "2026-11-30T08:22:00Z"}'
    assert AWS.notice(address) == "stop at 2026-11-30T08:22:00Z"
    assert asked[0][0] == "PUT"
    assert asked[1][2]["x-aws-ec2-metadata-token"] == "secret"


def test_google_says_true(service: Any) -> None:
    answers = {"/computeMetadata/v1/instance/preempted": "FALSE"}
    address, asked = service(answers)
    assert GCP.notice(address) == ""
    answers["/computeMetadata/v1/instance/preempted"] = "TRUE\n"
    assert GCP.notice(address) == "preempted"
    assert asked[0][2]["metadata-flavor"] == "Google"


def test_azure_schedules_events_of_which_some_take_the_machine(service: Any) -> None:
    path = "/metadata/scheduledevents?api-version=2020-07-01"
    answers = {path: '{"Events": [{"EventType": "Reboot"}]}'}
    address, asked = service(answers)
    assert AZURE.notice(address) == ""
    answers[path] = '{"Events": [{"EventType": "Preempt", "NotBefore": "Mon, 30 Nov"}]}'
    assert AZURE.notice(address) == "preempt not before mon, 30 nov"
    assert asked[0][2]["metadata"] == "true"


@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.name)
@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"Events": 4}', '{"Events": ["x"]}', "\x00", "[" * 9999])
def test_what_is_no_notice_is_none(cloud: Any, text: str, service: Any) -> None:
    paths = ("/latest/api/token", "/latest/meta-data/spot/instance-action")
    paths += ("/computeMetadata/v1/instance/preempted", "/metadata/scheduledevents?api-version=2020-07-01")
    address, _ = service(dict.fromkeys(paths, text))
    assert cloud.notice(address) == ""


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense", "file:///etc/passwd", "http://", "http://x:y"])
def test_a_service_that_is_not_there_is_no_notice(address: str) -> None:
    assert [cloud.notice(address) for cloud in CLOUDS] == ["", "", ""]


def test_nothing_is_asked_but_on_a_machine_of_the_cloud(tmp_path: Path) -> None:
    assert here({}, tmp_path) == ()
    vendor = tmp_path / "sys/class/dmi/id/sys_vendor"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("Amazon EC2\n", encoding="utf-8")
    assert here({}, tmp_path) == ((AWS, "http://169.254.169.254"),)
    assert here({"ZENPLAN_AWS_METADATA": ""}, tmp_path) == ()
    assert here({"ZENPLAN_GCP_METADATA": "http://127.0.0.1:1"}, Path("/none")) == ((GCP, "http://127.0.0.1:1"),)


def test_a_thread_asks_until_there_is_a_notice(service: Any) -> None:
    answers: dict[str, str] = {}
    address, asked = service(answers)
    with preemption(((GCP, address),), every_s=0.01) as notice:
        end = time.monotonic() + 10.0
        while len(asked) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert notice() == ""
        answers["/computeMetadata/v1/instance/preempted"] = "TRUE"
        while not notice():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert notice() == "Google Cloud: preempted"
    with preemption(()) as notice:
        assert notice() == ""
