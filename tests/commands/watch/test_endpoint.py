"""A run over HTTP: its endpoint, who is let in, and what a client makes of servers that mean no good."""

from __future__ import annotations

import json
import socket
import stat
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("httpx")

from zenplan.adapters.run_folder.folder import ENDPOINT, STOP
from zenplan.adapters.serving import run_endpoint
from zenplan.adapters.serving.endpoint_place import EndpointPlace, place_of
from zenplan.adapters.serving.run_endpoint import watchable
from zenplan.commands.watch import sources, use_case
from zenplan.errors import UsageError
from zenplan.testing.server import Reply, Server

Call = Callable[..., Any]
HERE = EndpointPlace(host="127.0.0.1", port=0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_case, "_RESULT_S", 0.0)
    monkeypatch.setattr(run_endpoint, "_LINGER_S", 0.0)
    monkeypatch.setattr(sources.EndpointSource, "every_s", 0.05)


@pytest.fixture
def endpoint(written: Any) -> Iterator[tuple[str, str]]:
    """Address and token of one."""
    with watchable(HERE, written.folder) as found:
        yield found.url, json.loads((written.folder / ENDPOINT).read_text(encoding="utf-8"))["token"]


def ask(url: str, token: str = "", method: str = "GET") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - of this machine
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            error.read()
            return error.code, None


# --- the endpoint


def test_nobody_is_let_in_without_the_token(endpoint: tuple[str, str], written: Any) -> None:
    url, token = endpoint
    assert stat.S_IMODE((written.folder / ENDPOINT).stat().st_mode) == 0o600
    for wrong in ("", "wrong", token[:-1], f"{token}x"):
        for route in ("/status", "/metrics", "/notices", "/result", "/nowhere"):
            assert ask(url + route, wrong)[0] == 401
        assert ask(f"{url}/stop", wrong, "POST")[0] == 401
    assert not (written.folder / STOP).exists()
    assert ask(f"{url}/nowhere", token)[0] == 404
    assert ask(f"{url}/stop", token)[0] == 405
    assert len(token) >= 32


def test_what_it_tells(endpoint: tuple[str, str], written: Any) -> None:
    url, token = endpoint
    found = ask(f"{url}/status", token)[1]
    assert (found["status"]["step"], found["view"], found["prediction"]) == (10, None, None)
    first = ask(f"{url}/metrics", token)[1]
    assert [line["step"] for line in first["lines"]] == list(range(1, 11))
    written.steps(11, 11, loss=float("nan"))
    then = ask(f"{url}/metrics?since={first['next']}", token)[1]
    assert then["lines"] == [{"step": 11, "loss": None, "wall_s": 0.5}]
    assert ask(f"{url}/metrics?since={then['next']}", token)[1] == {"lines": [], "next": then["next"]}
    # What it never said is as nothing.
    assert len(ask(f"{url}/metrics?since=../../etc/passwd", token)[1]["lines"]) == 11
    assert ask(f"{url}/result", token)[0] == 404
    assert ask(f"{url}/stop", token, "POST") == (202, {"stopping": True})
    assert (written.folder / STOP).exists()


def test_it_is_gone_with_the_run_and_its_token_too(written: Any) -> None:
    with watchable(HERE, written.folder) as found:
        port = int(found.url.rpartition(":")[2])
        with pytest.raises(UsageError, match="nothing can be served"):
            EndpointPlace(host="127.0.0.1", port=port).check()
    assert not (written.folder / ENDPOINT).exists()
    EndpointPlace(host="127.0.0.1", port=port).check()


def test_whoever_watches_hears_the_end(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run waits for that, and no longer."""
    monkeypatch.setattr(run_endpoint, "_LINGER_S", 30.0)
    with watchable(HERE, written.folder):
        began = time.monotonic()
    assert time.monotonic() - began < 10.0
    with watchable(HERE, written.folder) as found:
        token = json.loads((written.folder / ENDPOINT).read_text(encoding="utf-8"))["token"]
        ask(f"{found.url}/status", token)
        written.put("result.json", "{}")
        threading.Timer(0.3, ask, (f"{found.url}/result", token)).start()
        began = time.monotonic()
    assert 0.2 < time.monotonic() - began < 10.0


def test_a_server_that_ends_is_said_once(written: Any) -> None:
    found = run_endpoint.RunEndpoint(written.folder)

    class Broken:
        should_exit = False

        def run(self, sockets: Any) -> None:
            raise OSError("too many open files")

    found.serve(Broken(), None)  # type: ignore[arg-type]
    assert "too many open files" in found.failure()
    assert found.failure() == ""


@pytest.mark.parametrize(
    ("text", "place"),
    [("8090", ("127.0.0.1", 8090)), ("0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80)), ("a.b:443", ("a.b", 443))],
)
def test_where_it_listens(text: str, place: tuple[str, int]) -> None:
    assert place_of(text, "--endpoint") == place


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:x", "host:99999", "host:-1", "host:８０", "a\x1b:1", "1.5"]
)
def test_where_it_cannot(text: str) -> None:
    with pytest.raises(UsageError, match="--endpoint is"):
        place_of(text, "--endpoint")


def test_others_are_let_near_over_tls_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in the clear"):
        EndpointPlace(host="0.0.0.0", port=0).check()  # noqa: S104
    with pytest.raises(UsageError, match="go together"):
        EndpointPlace(host="127.0.0.1", port=0, key=tmp_path / "key").check()
    (tmp_path / "cert").write_text("none")
    for name in ("cert", "missing"):
        with pytest.raises(UsageError, match="no TLS with"):
            EndpointPlace(host="127.0.0.1", port=0, certificate=tmp_path / name, key=tmp_path / name).check()


# --- the client


def test_a_run_is_watched_and_stopped_over_tls(
    written: Any, called: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = [tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem")]
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    place = EndpointPlace(host="127.0.0.1", port=0, certificate=paths[0], key=paths[1])
    place.check()
    with watchable(place, written.folder) as found:
        assert found.url.startswith("https://")
        monkeypatch.setenv("ZENPLAN_TOKEN", json.loads((written.folder / ENDPOINT).read_text())["token"])
        # Nobody vouches for it: it is shown no token.
        ended = called("watch", found.url)
        assert ended.code == 1
        assert "is not trusted" in ended.err
        assert "SSL_CERT_FILE" in ended.err
        monkeypatch.setenv("SSL_CERT_FILE", str(paths[2]))
        ended = called("watch", found.url, "--once")
        assert (ended.code, ended.err) == (0, "")
        assert "10 of 100" in ended.out

        def end() -> None:
            while not (written.folder / STOP).exists():
                time.sleep(0.01)
            written.ended("stopped", "zenplan stop", 3, step=12, checkpoint=12)

        thread = threading.Thread(target=end)
        thread.start()
        ended = called("stop", found.url)
        thread.join()
    assert (ended.code, ended.err) == (0, "")
    assert "stopped (zenplan stop) at step 12 of 100" in ended.out
    assert "checkpoint is of step 12" in ended.out


def test_a_token_that_is_wrong(endpoint: tuple[str, str], called: Call) -> None:
    url, token = endpoint
    for more in ((), ("--token", "wrong")):
        for command in ("watch", "stop"):
            ended = called(command, url, *more)
            assert (ended.code, ended.out) == (1, "")
            assert "token" in ended.err
            assert "endpoint.json" in ended.err
            assert "wrong" not in ended.err
            assert token not in ended.err


def test_a_token_goes_to_no_proxy(endpoint: tuple[str, str], called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server({"": b"{}"}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        ended = called("watch", endpoint[0], "--once", "--token", endpoint[1])
        assert (ended.code, proxy.requests) == (0, [])


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>a login</html>",
        b"[1, 2]",
        b'{"status": {"id": "x"}}',
        b'{"status": null}',
        b'{"status": {}, "view": [], "prediction": 3}',
        b"[" * 200_000,
        b" " * 9_000_000,
        b"\xff\xfe{}",
        Reply(status=500),
        Reply(status=302, headers={"Location": "https://elsewhere.example/"}),
        Reply(body=b"{}" * 1000, truncated=True),
        Reply(body=b"{}", delay_s=2.0),
    ],
    ids=lambda page: repr(page)[:40],
)
def test_a_server_that_means_no_good(page: Any, called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_CALL_S", 1.0)
    with Server({"/status": page}) as server:
        for command in ("watch", "stop"):
            ended = called(command, server.url)
            assert (ended.code, ended.out) == (1, "")
            assert [line.partition(":")[0] for line in ended.err.splitlines()] in (["error"], ["error", "hint"])
            assert "a fault in" not in ended.err
            assert len(ended.err) < 1000


@pytest.mark.parametrize("command", ["watch", "stop"])
def test_one_that_cannot_be_reached_is_named_with_where_to_look(
    command: str, endpoint: tuple[str, str], called: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = called(command, f"http://127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in refused.err.splitlines()[0]
    assert "is the run over" in refused.err
    there = endpoint[0].partition("://")[2]
    unencrypted = called(command, f"https://{there}")
    assert there in unencrypted.err.splitlines()[0]
    assert f"http://{there}" in unencrypted.err.splitlines()[-1]

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    nowhere = called(command, "https://nowhere.invalid:8443")
    assert "nowhere.invalid:8443" in nowhere.err.splitlines()[0]
    assert "no host of that name" in nowhere.err
    assert {each.code for each in (refused, unencrypted, nowhere)} == {1}
    assert "try again" not in refused.err + unencrypted.err + nowhere.err


def test_one_that_trickles(called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_CALL_S", 1.0)
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                    while True:
                        connection.sendall(b" ")
                        time.sleep(0.05)
            except OSError:
                if listener.fileno() < 0:
                    return

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    began = time.monotonic()
    ended = called("watch", f"http://127.0.0.1:{listener.getsockname()[1]}")
    listener.close()
    assert (ended.code, ended.out) == (1, "")
    assert "no whole answer within" in ended.err
    assert time.monotonic() - began < 10.0
