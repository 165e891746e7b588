"""A server over real HTTP on loopback, its worker a process that has no framework."""

from __future__ import annotations

import http.client
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).with_name("fake_server.py")
PLAIN, SLEEPS, DIES, GROWS = 0.0, 1.0, 2.0, 3.0

pytestmark = pytest.mark.skipif(not find_spec("uvicorn"), reason="the libraries of serving are not installed")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    process: subprocess.Popen[str]
    port: int

    def ask(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, value: Any, path: str = "/predict", **headers: str) -> Answer:
        return self.ask("POST", path, json.dumps(value), Content_Type="application/json", **headers)

    def one(self, wish: float = PLAIN) -> Answer:
        return self.post({"sample": [0.25, 0.5, 0.0, wish]})

    def until_ready(self) -> None:
        end = time.monotonic() + 20
        while self.ask("GET", "/ready").status != 200:
            assert time.monotonic() < end
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> str:
        self.process.send_signal(number)
        return self.process.communicate(timeout=20)[0]


@contextmanager
def serving(folder: Path, writes: bool = False, **wishes: Any) -> Iterator[Served]:
    environ = {**os.environ, **({"FAKE_WRITES": "1"} if writes else {})}
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(folder), json.dumps(wishes)], stdout=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 30)[0]
        yield Served(process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def certificate(folder: Path, *more: str) -> tuple[str, str]:
    """Files of a certificate of this machine by itself, and of its key."""
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    asked = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*asked, *names, *(more or ("-nodes",)), "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return cert, key


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all that leave it as it was."""
    with serving(tmp_path_factory.mktemp("served")) as found:
        yield found


def test_one_sample_and_several(served: Served) -> None:
    one = served.one()
    assert (one.status, one.said["predictions"][0]["class"]) == (200, "yes")
    assert one.said["predictions"][0]["probabilities"] == {"yes": 0.75, "no": 0.25}
    several = served.post({"samples": [[i / 20, 0, 0, 0] for i in range(11)], "top": 1})
    found = [each["probabilities"] for each in several.said["predictions"]]
    assert [list(each) for each in found] == [["no"]] * 10 + [["no"]]
    assert [round(each["no"], 4) for each in found] == [round(1 - i / 20, 4) for i in range(11)]


def test_answers_go_to_those_who_asked(served: Served) -> None:
    """Samples of many requests are in one batch, and a request's samples in several."""

    def asked(i: int) -> bool:
        values = [(i + j) / 200 for j in range(1 + i % 7)]
        answer = served.post({"samples": [[value, 0, 0, 0] for value in values]})
        found = [each["probabilities"]["yes"] for each in answer.said["predictions"]]
        return answer.status == 200 and found == pytest.approx(values, abs=1e-6)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(asked, range(60)))


BAD = {
    "no JSON": (400, "{"),
    "no UTF-8": (400, b"\xff\xfe{}"),
    "nested without end": (400, "[" * 9000),
    "a number that is none": (400, '{"sample": [NaN, 0, 0, 0]}'),
    "empty": (400, ""),
    "a list": (422, "[1, 2]"),
    "nothing in it": (422, "{}"),
    "both": (422, '{"sample": [0, 0, 0, 0], "samples": [[0, 0, 0, 0]]}'),
    "another field": (422, '{"sample": [0, 0, 0, 0], "sampel": 1}'),
    "no samples": (422, '{"samples": []}'),
    "samples that are none": (422, '{"samples": "ab"}'),
    "too many": (422, json.dumps({"samples": [[0, 0, 0, 0]] * 65})),
    "of another shape": (422, '{"sample": [0, 0, 0]}'),
    "ragged": (422, '{"sample": [0, [1], 0, 0]}'),
    "texts": (422, '{"sample": ["a", "b", "c", "d"]}'),
    "beyond floats": (422, '{"sample": [1e999, 0, 0, 0]}'),
    "null": (422, '{"sample": null}'),
    "top of nothing": (422, '{"sample": [0, 0, 0, 0], "top": 0}'),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_has_one_line_and_the_server_goes_on(served: Served, name: str) -> None:
    status, body = BAD[name]
    answer = served.ask("POST", "/predict", body, Content_Type="application/json")
    # A number beyond those of floats may be refused as JSON, or as a sample.
    assert answer.status in ((400, 422) if name == "beyond floats" else (status,)), answer.body
    assert answer.said["error"]
    assert "\n" not in answer.said["error"]
    assert served.one().status == 200


def test_routes_methods_and_media_types(served: Served) -> None:
    assert served.ask("GET", "/nowhere").status == 404
    assert served.post({"prompt": "a"}, "/generate").status == 404
    wrong = served.ask("GET", "/predict")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert served.ask("POST", "/health").status == 405
    assert served.ask("POST", "/predict", '{"sample": [0,0,0,0]}', Content_Type="text/plain").status == 415
    assert served.ask("POST", "/predict", b"GIF89a", Content_Type="image/gif").status == 415
    assert served.ask("GET", "/health").status == 200
    assert b"/predict" in served.ask("GET", "/").body


@pytest.mark.parametrize("size", [20_001, 70_000, 900_000])
def test_a_body_that_is_too_large(served: Served, size: int) -> None:
    try:
        status = served.ask("POST", "/predict", b" " * size, Content_Type="application/json").status
    except (ConnectionResetError, BrokenPipeError):
        # Of one that is far too large the connection may be cut before it is sent.
        status = 413 if size > 100_000 else 0
    assert status == 413
    assert served.one().status == 200


def test_a_slow_client_is_told_and_others_are_answered(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as slow:
        slow.sendall(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        assert served.one().status == 200
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_what_is_no_http(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as odd:
        odd.sendall(b"\x16\x03\x01\x02\x00 what is this\r\n\r\n")
        assert odd.recv(1000).startswith(b"HTTP/1.1 400")
    assert served.one().status == 200


def test_metrics_count_what_came(served: Served) -> None:
    def figures() -> dict[str, float]:
        lines = served.ask("GET", "/metrics").body.decode().splitlines()
        return {k: float(v) for k, _, v in (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    before = figures()
    served.post({"samples": [[0, 0, 0, 0]] * 9})
    served.ask("GET", "/nowhere")
    after = figures()
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    assert grown["zenplan_samples_total"] == 9
    assert grown['zenplan_requests_total{code="200",route="/predict"}'] == 1
    assert grown['zenplan_requests_total{code="404",route="other"}'] == 1
    assert grown['zenplan_request_seconds_count{route="/predict"}'] == 1
    # Nine samples in batches of four.
    assert grown["zenplan_batch_size_count"] == 3
    assert after["zenplan_usd_per_1000_requests"] > 0
    assert after["zenplan_worker_resident_bytes"] > 1e6
    assert after["zenplan_ready"] == 1


def test_a_token_is_wanted_of_all_but_probes(tmp_path: Path) -> None:
    with serving(tmp_path, token="secret") as served:
        assert served.one().status == 401
        assert served.post({"sample": [0, 0, 0, 0]}, Authorization="Bearer secreT").status == 401
        assert served.post({"sample": [0, 0, 0, 0]}, Authorization="Bearer secret").status == 200
        assert [served.ask("GET", path).status for path in ("/health", "/ready", "/metrics")] == [200, 200, 401]
        assert "secret" not in served.end()


@pytest.mark.parametrize("wish", [DIES, GROWS], ids=["dies", "outgrows its memory"])
def test_a_worker_that_is_gone(tmp_path: Path, wish: float) -> None:
    """What it had is refused with 503 and a time to try again; the server goes on with another."""
    with serving(tmp_path) as served:
        answer = served.one(wish)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert served.ask("GET", "/health").status == 200
        early = served.one()
        assert early.status in (200, 503)
        served.until_ready()
        assert served.one().status == 200
        assert served.ask("GET", "/ready").said["restarts"] == 1
        assert ("memory" in answer.said["error"]) == (wish == GROWS)
        assert "another is started" in served.end()


def test_a_worker_that_never_comes_to_be_ready_ends_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DIES_AT_ONCE", "1")
    done = subprocess.run(
        [sys.executable, str(SERVER), str(tmp_path), "{}"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_too_many_wait(tmp_path: Path) -> None:
    with serving(tmp_path, queue=4) as served, ThreadPoolExecutor(12) as pool:
        slow = [pool.submit(served.one, SLEEPS) for _ in range(12)]
        time.sleep(0.5)
        answer = served.post({"samples": [[0, 0, 0, 0]] * 4})
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert served.ask("GET", "/health").status == 200
        assert {each.result().status for each in slow} <= {200, 429}
        assert served.one().status == 200


def test_an_answer_that_takes_too_long(tmp_path: Path) -> None:
    with serving(tmp_path, time_s=0.5) as served:
        assert served.one(SLEEPS).status == 504
        time.sleep(1.0)
        assert served.one().status == 200


def test_sigterm_lets_requests_in_flight_finish(tmp_path: Path) -> None:
    with serving(tmp_path) as served, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(served.one, SLEEPS)
        time.sleep(0.3)
        ended = pool_end(served)
        time.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            served.one()
        assert slow.result().status == 200
        ended.join()
        assert served.process.returncode == 0


def pool_end(served: Served) -> threading.Thread:
    thread = threading.Thread(target=served.end)
    thread.start()
    return thread


def test_sigterm_cuts_what_takes_longer_than_it_may(tmp_path: Path) -> None:
    with serving(tmp_path, drain_s=1.0) as served, ThreadPoolExecutor(2) as pool:
        # Two batches, one behind the other.
        slow = [pool.submit(served.post, {"samples": [[0, 0, 0, SLEEPS]] * 4}) for _ in range(2)]
        time.sleep(0.3)
        said = served.end()
        assert f"cut {int(signal.SIGTERM)}" in said
        assert any(each.exception() is not None or each.result().status >= 500 for each in slow)


def test_text_comes_in_pieces(tmp_path: Path) -> None:
    with serving(tmp_path, writes=True) as served:
        answer = served.post({"prompt": "ab", "max_tokens": 5}, "/generate")
        assert answer.said == {"text": "bbbbb", "tokens": 5, "ended": "length"}
        answer = served.post({"prompt": "ab", "max_tokens": 3, "stream": True}, "/generate")
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line]
        assert "".join(each["text"] for each in events) == "bbb"
        assert (len(events), events[-1]["tokens"]) == (3, 3)
        assert served.post({"sample": 1}, "/predict").status == 404


def test_half_a_letter_is_not_shown(tmp_path: Path) -> None:
    with serving(tmp_path, writes=True) as served:
        # Each token is the last byte of the prompt, of which none stands alone.
        answer = served.post({"prompt": "é", "max_tokens": 3, "stream": True}, "/generate")
        events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line]
        assert [bool(each["text"]) for each in events] == [True]


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": ""},
        {"prompt": 5},
        {},
        {"prompt": "a", "max_tokens": 0},
        {"prompt": "a", "max_tokens": 2001},
        {"prompt": "a", "max_tokens": True},
        {"prompt": "a", "temperature": -1},
        {"prompt": "a", "temperature": "hot"},
        {"prompt": "a", "seed": 1.5},
        {"prompt": "a", "stream": 1},
        {"prompt": "a", "stop": "b"},
    ],
)
def test_a_text_that_is_asked_for_wrongly(tmp_path_factory: pytest.TempPathFactory, writer: Served, body: Any) -> None:
    answer = writer.post(body, "/generate")
    assert answer.status == 422
    assert answer.said["error"]
    assert writer.post({"prompt": "\x00\x1b[2J\u202e", "max_tokens": 1}, "/generate").status == 200


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("writer"), writes=True) as found:
        yield found


def test_a_reader_that_leaves_ends_its_text(tmp_path: Path) -> None:
    with serving(tmp_path, writes=True) as served:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", served.port), timeout=10) as reader:
                body = json.dumps({"prompt": "a", "max_tokens": 2000, "stream": True}).encode()
                head = f"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
                reader.sendall(head.encode() + b"\r\n\r\n" + body)
                assert reader.recv(100)
            time.sleep(0.3)
        # Two may be written at once: three that nobody reads would leave no room.
        connection = served.post({"prompt": "a", "max_tokens": 1, "stream": True}, "/generate")
        assert connection.status == 200


@pytest.mark.skipif(not shutil.which("openssl"), reason="nothing makes a certificate")
def test_with_a_certificate_it_speaks_https_alone(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    trust = ssl.create_default_context(cafile=cert)
    body = json.dumps({"sample": [0.25, 0.5, 0.0, PLAIN]})
    with serving(tmp_path, tls=[cert, key]) as found:
        connection = http.client.HTTPSConnection("localhost", found.port, timeout=20, context=trust)
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()
        with pytest.raises((http.client.HTTPException, OSError)):
            found.ask("GET", "/health")
        assert "cut None" in found.end()
