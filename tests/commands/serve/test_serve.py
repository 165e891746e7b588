"""``zenplan serve`` on finished runs, over HTTP on loopback; and what its flags may not be."""

from __future__ import annotations

import http.client
import json
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.commands.conftest import MODULE, ROWS, Ended, Zenplan

pytestmark = pytest.mark.skipif(not find_spec("uvicorn"), reason="the libraries of serving are not installed")


class Served:
    """A server of a run, as a user starts it."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process, self.ready = process, ready
        self.port = int(ready["url"].rpartition(":")[2])

    def ask(self, path: str, value: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        try:
            connection.request("GET" if body is None else "POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()


@contextmanager
def serving(run: Path, folder: Path, *flags: str) -> Iterator[Served]:
    place = Zenplan(folder)
    process = subprocess.Popen(
        [*MODULE, "serve", str(run), "--port", "0", "--format", "json", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=place.environment(),
        cwd=place.cwd,
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 120)[0]
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        yield Served(process, json.loads(first))
    finally:
        process.kill()
        process.communicate()


def test_a_table(rows_run: Path, tmp_path: Path) -> None:
    """Predicted, described, watched for drift, and ended: all that a user does with one server."""
    with serving(rows_run, tmp_path, "--usd-per-hour", "2", "--window", "400") as served:
        _, example = served.ask("/example")
        _, schema = served.ask("/schema")
        status, answer = served.ask("/predict", example)
        assert status == 200
        jsonschema.validate(example, schema["request"])
        jsonschema.validate(answer, schema["answer"])
        assert set(answer["predictions"][0]["probabilities"]) == {"buys", "leaves"}
        buys = dict.fromkeys(ROWS, 0.0) | {"age": 2.0}
        _, answer = served.ask("/predict", {"samples": [buys, buys | {"age": -2.0}]})
        assert [each["class"] for each in answer["predictions"]] == ["buys", "leaves"]
        for wrong, said in (
            ({"age": 1}, "visits"),
            (buys | {"age": "old"}, "age"),
            (buys | {"age": None}, "age"),
            ([1, 2], "columns"),
        ):
            status, answer = served.ask("/predict", {"sample": wrong})
            assert (status, said in answer["error"]) == (422, True), answer

        draw = np.random.default_rng(1).normal(size=(400, len(ROWS)))
        samples = [dict(zip(ROWS, row, strict=True)) for row in draw.tolist()]
        served.ask("/predict", {"samples": samples})
        _, found = served.ask("/drift")
        assert {each["name"] for each in found["features"]} == {*ROWS, "prediction"}
        assert [each["name"] for each in found["features"] if each["drifted"]] == []
        served.ask("/predict", {"samples": [each | {"rain": each["rain"] + 1.0} for each in samples]})
        _, found = served.ask("/drift")
        assert [each["name"] for each in found["features"] if each["drifted"]] == ["rain"]
        _, metrics = served.ask("/metrics")
        assert re.search(r'^zenplan_drift_psi\{feature="rain"\} [0-9.]+$', metrics, re.MULTILINE)
        assert served.process.stdout is not None
        assert "rain has drifted" in json.loads(served.process.stdout.readline())["text"]

        served.process.send_signal(signal.SIGTERM)
        _, err = served.process.communicate(timeout=30)
        assert (served.process.returncode, err) == (0, "")


def test_texts(texts_run: Path, tmp_path: Path) -> None:
    with serving(texts_run, tmp_path) as served:
        _, example = served.ask("/example")
        assert served.ask("/predict", example)[0] == 200
        _, answer = served.ask("/predict", {"samples": ["the film was great", "the film was awful"]})
        assert [each["class"] for each in answer["predictions"]] == ["positive", "negative"]
        # Control characters, letters that are none of the data's, and more than the model looks at, are text.
        for odd in ("\x00\x1b[31m\u202e\x07", "日本語 🙂", "a" * 5000):
            assert served.ask("/predict", {"sample": odd})[0] == 200
        assert served.ask("/predict", b'{"sample": "\\ud800"}')[0] in (200, 400, 422)
        for odd in ("", None, 5):
            assert served.ask("/predict", {"sample": odd})[0] == 422
        _, found = served.ask("/drift")
        assert {each["name"] for each in found["features"]} == {"text length in tokens", "tokens", "prediction"}
        # The command that is shown is one that works.
        assert "curl" in served.ready["example"]
        done = subprocess.run(["bash", "-c", served.ready["example"]], capture_output=True, text=True, timeout=30)
        assert done.returncode == 127 or json.loads(done.stdout)["predictions"]


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--port", "70000"), 2),
        (("--port", "-1"), 2),
        (("--max-batch", "0"), 2),
        (("--max-wait", "0ms"), 2),
        (("--timeout", "soon"), 2),
        (("--drift", "nan"), 2),
        (("--format", "csv"), 2),
        (("--usd-per-hour", "5 EUR"), 2),
        (("--token", "a\nb"), 2),
    ],
)
def test_flags_that_are_wrong(rows_run: Path, called: Callable[..., Ended], flags: tuple[str, str], code: int) -> None:
    done = called("serve", str(rows_run), *flags)
    assert (done.code, done.out) == (code, "")
    lines = done.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert "a\nb" not in done.err


def test_a_run_that_is_not_there(called: Callable[..., Ended]) -> None:
    assert called("serve", "nothere").code == 2


def test_an_address_that_is_none(rows_run: Path, called: Callable[..., Ended]) -> None:
    done = called("serve", str(rows_run), "--host", "256.256.256.256")
    assert done.code == 2
    assert "error: nothing can be served" in done.err


def test_a_port_that_is_taken(rows_run: Path, called: Callable[..., Ended]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = called("serve", str(rows_run), "--port", str(taken.getsockname()[1]))
    assert done.code == 2
    assert "in use" in done.err


def test_elsewhere_without_a_token_is_warned_of(
    rows_run: Path, called: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenplan.commands.serve.use_case.serve_run", lambda *_: None)
    assert "warning" in called("serve", str(rows_run), "--host", "192.0.2.1").err
    assert called("serve", str(rows_run), "--host", "127.0.0.1").err == ""
    monkeypatch.setenv("ZENPLAN_SERVE_TOKEN", "secret")
    done = called("serve", str(rows_run), "--host", "192.0.2.1")
    # With a token there is no warning of that, and one of the network, over which it goes as it is.
    assert ("whoever reaches" in done.err, "--cert and --key" in done.err, done.out) == (False, True, "")


def test_a_large_language_model_is_left_to_an_engine(called: Callable[..., Ended]) -> None:
    done = called("serve", "--model", "llama3-8b", "--gpu", "L4", "--rate", "2/s")
    assert (done.code, done.err) == (0, "")
    assert "vllm serve" in done.out
    assert "kind: Deployment" in called("serve", "--model", "llama3-8b", "--gpu", "L4", "--manifest", "kubernetes").out
    for wrong in ((), ("RUN", "--model", "llama3-8b"), ("--model", "nothing"), ("--model", "llama3-8b")):
        assert called("serve", *wrong).code == 2
    assert called("serve", "RUN", "--rate", "1/s").code == 2


def test_a_certificate_that_cannot_be_used_is_one_line(called: Callable[..., Ended], tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate", encoding="utf-8")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    for flags, code in (
        (("--cert", cert), 2),
        (("--key", key), 2),
        (("--cert", cert, "--key", key), 1),
        (("--cert", cert, "--key", str(tmp_path / "gone")), 1),
        (("--cert", str(tmp_path), "--key", key), 1),
    ):
        done = called("serve", "a-run", *flags)
        assert done.code == code, done.err
        error, hint = done.err.splitlines()
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
