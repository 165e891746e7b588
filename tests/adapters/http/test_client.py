"""The network of price sources, over real HTTP on this machine: what servers do that mean well, and those that do not."""

from __future__ import annotations

import gzip
import json
import math
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from zenplan import units
from zenplan.adapters.http.client import AGENT, HttpClient, Limits
from zenplan.adapters.http.waiting import Sockets
from zenplan.errors import DataError
from zenplan.protocols import Http

# A busy machine takes its time; what is to be too late is so at once.
QUICK = Limits(
    connect_s=10,
    read_s=10,
    call_s=30,
    stream_s=30,
    json_bytes=1e6,
    stream_bytes=1e6,
    tries=3,
    backoff_s=0.01,
    most_wait_s=2,
)
HURRIED = replace(QUICK, call_s=0.2, stream_s=0.2)


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with HttpClient(QUICK) as client:
        yield client


def whole(http: HttpClient, url: str, **more: Any) -> bytes:
    with http.stream(url, **more) as parts:
        return b"".join(parts)


def refused(work: Callable[[], object]) -> str:
    """What it says, once it is one line."""
    with pytest.raises(DataError) as caught:
        work()
    assert "\n" not in caught.value.message + caught.value.hint
    assert len(caught.value.message) < 300
    return caught.value.message


def endless(handler: BaseHTTPRequestHandler, piece: bytes, pause_s: float = 0.0) -> None:
    """An answer that never ends."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while True:
        handler.wfile.write(piece)
        time.sleep(pause_s)


# --- good answers


def test_it_is_what_a_price_source_may_use(http: HttpClient) -> None:
    asked: Http = http
    assert asked is http


def test_a_get_and_a_post(server: Any, http: HttpClient) -> None:
    url = server.page("/prices", b'{"a": [1, 2.5, null]}')
    assert http.get_json(url) == {"a": [1, 2.5, None]}
    assert http.get_json(url, {"X-Shop": "1"}, {"q": {"gpu": "H100"}}) == {"a": [1, 2.5, None]}
    (get, post) = server.seen
    assert get[0] == "GET"
    assert get[2]["user-agent"] == AGENT
    assert (post[0], json.loads(post[3]), post[2]["x-shop"]) == ("POST", {"q": {"gpu": "H100"}}, "1")
    assert post[2]["content-type"] == "application/json"


def test_packed_answers_are_unpacked(server: Any, http: HttpClient) -> None:
    text = json.dumps({"a": list(range(20_000))}).encode()
    # Members may follow each other (RFC 1952, 2.2), and the cut may be anywhere.
    url = server.page("/packed", gzip.compress(text[:50_001]) + gzip.compress(text[50_001:]), Content_Encoding="gzip")
    assert http.get_json(url) == json.loads(text)
    assert whole(http, url) == text


def test_a_stream_comes_in_small_pieces_and_little_memory(server: Any, http: HttpClient) -> None:
    large = b"0" * 40_000_000
    url = server.page("/large", gzip.compress(large), Content_Encoding="gzip")
    tracemalloc.start()
    taken = 0
    with http.stream(url, most_bytes=1e9) as parts:
        for part in parts:
            assert len(part) <= 1 << 16
            taken += len(part)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken == len(large)
    assert peak_bytes < 5e6


def test_what_has_not_changed_is_not_sent_again(server: Any, tmp_path: Path) -> None:
    def page(handler: BaseHTTPRequestHandler) -> None:
        same = handler.headers.get("if-none-match") == '"1"'
        content = b"" if same else b'{"a": 1}'
        handler.send_response(304 if same else 200)
        handler.send_header("ETag", '"1"')
        # Within that hour it may have changed all the same: whoever refreshes wants to know.
        handler.send_header("Cache-Control", "max-age=3600")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    server.pages["/prices"] = page
    for _ in range(2):
        with HttpClient(QUICK, tmp_path) as client:
            assert client.get_json(f"{server.url}/prices") == {"a": 1}
    assert [seen[2].get("if-none-match") for seen in server.seen] == [None, '"1"']


def test_no_key_is_written_down(server: Any, tmp_path: Path) -> None:
    server.page("/prices", b'{"a": 1}', ETag='"1"', Cache_Control="max-age=3600")
    with HttpClient(QUICK, tmp_path) as client:
        client.get_json(f"{server.url}/prices", {"Authorization": "Bearer PLANTED"})
        client.get_json(f"{server.url}/prices?api_key=PLANTED")
        client.get_json(f"{server.url}/prices", {}, {"key": "PLANTED"})
        client.get_json(f"{server.url}/prices?page=2")
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"page=2" in written
    assert b"PLANTED" not in written


@pytest.mark.parametrize("spoilt", [b"no database" * 1000, b""])
def test_a_spoilt_store_of_answers_costs_nothing(server: Any, tmp_path: Path, spoilt: bytes) -> None:
    (tmp_path / "http-2.sqlite").write_bytes(spoilt)
    with HttpClient(QUICK, tmp_path) as client:
        assert client.get_json(server.page("/prices", b"[1]", ETag='"1"')) == [1]


def test_cookies_are_not_given_back(server: Any, http: HttpClient) -> None:
    url = server.page("/prices", b"[]", Set_Cookie="who=me")
    http.get_json(url)
    http.get_json(url)
    assert "cookie" not in server.seen[1][2]


# --- servers that are busy


def busy(times: int, status: int = 429, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    left = [times]

    def page(handler: BaseHTTPRequestHandler) -> None:
        left[0] -= 1
        content = b"[1]"
        handler.send_response(200 if left[0] < 0 else status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return page


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: Any, http: HttpClient, status: int) -> None:
    server.pages["/busy"] = busy(2, status)
    assert http.get_json(f"{server.url}/busy") == [1]
    server.pages["/busier"] = busy(9, status)
    assert f"{status} " in refused(lambda: http.get_json(f"{server.url}/busier"))
    assert len(server.seen) == 3 + QUICK.tries


@pytest.mark.parametrize("dated", [False, True])
def test_it_is_left_alone_for_as_long_as_it_asks(server: Any, dated: bool) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server.pages["/busy"] = busy(1, Retry_After=then if dated else "1")
    patient = Limits(call_s=10, backoff_s=0.001)
    with HttpClient(patient) as client:
        start = time.monotonic()
        assert client.get_json(f"{server.url}/busy") == [1]
    assert time.monotonic() - start >= 0.9


def test_an_hour_is_not_waited_for(server: Any, http: HttpClient) -> None:
    server.pages["/busy"] = busy(1, Retry_After="3600")
    start = time.monotonic()
    assert "1.00 h" in refused(lambda: http.get_json(f"{server.url}/busy"))
    assert time.monotonic() - start < 5
    assert len(server.seen) == 1


def test_a_wait_that_nobody_can_read_is_none(server: Any, http: HttpClient) -> None:
    for text in ("soon", "-5", "9" * 5000, "0"):
        server.pages["/busy"] = busy(1, Retry_After=text)
        assert http.get_json(f"{server.url}/busy") == [1]


def test_an_answer_that_breaks_off_is_asked_for_again(server: Any, http: HttpClient) -> None:
    server.page("/cut", b'{"a": 1', Content_Length="100", Connection="close")
    server.page("/cut-gzip", gzip.compress(b"[1]" * 1000)[:-12], Content_Encoding="gzip")

    def nothing(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    server.pages["/nothing"] = nothing
    for path in ("/cut", "/cut-gzip", "/nothing"):
        server.seen.clear()
        assert "breaks off" in refused(lambda path=path: http.get_json(server.url + path))
        assert len(server.seen) == QUICK.tries
    for path in ("/cut", "/cut-gzip"):
        assert "breaks off" in refused(lambda path=path: whole(http, server.url + path))


def test_nobody_there(http: HttpClient) -> None:
    assert "cannot be reached" in refused(lambda: http.get_json("http://127.0.0.1:9/prices"))


# --- answers that cost


def test_an_endless_answer(server: Any, http: HttpClient) -> None:
    server.pages["/endless"] = lambda handler: endless(handler, b"[1]," * 10_000)
    for ask in (http.get_json, lambda url: whole(http, url)):
        assert "more than 1.00 MB" in refused(lambda ask=ask: ask(f"{server.url}/endless"))
    assert "more than 2.00 MB" in refused(lambda: whole(http, f"{server.url}/endless", most_bytes=2e6))


def test_ten_gigabytes(server: Any, http: HttpClient) -> None:
    """They are not begun."""
    url = server.page("/huge", b"[", Content_Length=str(10**10))
    for ask in (http.get_json, lambda url: whole(http, url)):
        start = time.monotonic()
        assert "more than 1.00 MB" in refused(lambda ask=ask: ask(url))
        assert time.monotonic() - start < 5


def test_a_bomb(server: Any, http: HttpClient) -> None:
    bomb = gzip.compress(b"0" * 200_000_000, 1)
    assert len(bomb) < 1e6
    url = server.page("/bomb", bomb, Content_Encoding="gzip")
    tracemalloc.start()
    for ask in (http.get_json, lambda url: whole(http, url)):
        assert "more than 1.00 MB" in refused(lambda ask=ask: ask(url))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20e6
    twice = server.page("/twice", gzip.compress(bomb), Content_Encoding="gzip, gzip")
    assert "gzip, gzip" in refused(lambda: http.get_json(twice))


def dripping(of_header: bool) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer of which something comes every 50 ms, and never the end."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        if not of_header:
            endless(handler, b" ", 0.05)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X-A: b\r\n")
            time.sleep(0.05)

    return drip


@pytest.mark.parametrize("of_header", [False, True])
def test_a_trickle(server: Any, of_header: bool) -> None:
    """A byte comes in time each time, and the answer never does."""
    server.pages["/drip"] = dripping(of_header)
    with HttpClient(HURRIED) as http:
        for ask in (http.get_json, lambda url: whole(http, url)):
            start = time.monotonic()
            assert "within 200 ms" in refused(lambda ask=ask: ask(f"{server.url}/drip"))
            assert time.monotonic() - start < 10


@pytest.mark.parametrize("of_header", [False, True])
def test_a_connection_that_is_there_too_late_is_not_read_from(
    server: Any, of_header: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is up before there is anything to shut, as on a busy machine."""
    open_one = socket.create_connection

    def late(*given: Any, **named: Any) -> socket.socket:
        expired.wait(10)
        return open_one(*given, **named)

    expired = threading.Event()
    shut = Sockets.shut
    monkeypatch.setattr(Sockets, "shut", lambda sockets: (shut(sockets), expired.set()))
    monkeypatch.setattr(socket, "create_connection", late)
    server.pages["/drip"] = dripping(of_header)
    for ask in (HttpClient.get_json, whole):
        expired.clear()
        with HttpClient(HURRIED) as http:
            assert "within 200 ms" in refused(lambda ask=ask, http=http: ask(http, f"{server.url}/drip"))


def test_a_trickle_is_not_read_for_half_an_hour(server: Any, http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenplan.adapters.http.pieces._SLOW_S", 0.2)
    server.pages["/drip"] = lambda handler: endless(handler, b" ", 0.05)
    start = time.monotonic()
    assert "bytes a second" in refused(lambda: whole(http, f"{server.url}/drip"))
    assert time.monotonic() - start < QUICK.stream_s / 2


# --- answers that are none


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html>Sign in to this network</html>", "a web page"),
        (b'{"a": "\xff\xfe"}', "no JSON"),
        (b'{"usd": NaN}', "no JSON"),
        (b'{"usd": 1e999}', "no JSON"),
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{'a': 1}", "no JSON"),
    ],
)
def test_what_is_no_json(server: Any, http: HttpClient, content: bytes, said: str) -> None:
    assert said in refused(lambda: http.get_json(server.page("/prices", content)))


def test_the_largest_number_is_one(server: Any, http: HttpClient) -> None:
    """It is finite: whether a price may be so large is for the table to say."""
    assert math.isfinite(http.get_json(server.page("/prices", b"1e308")))


def test_what_is_no_gzip(server: Any, http: HttpClient) -> None:
    assert "no gzip" in refused(lambda: http.get_json(server.page("/prices", b"[1]", Content_Encoding="gzip")))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 500])
def test_what_is_refused_is_not_asked_again(server: Any, http: HttpClient, status: int) -> None:
    url = server.page("/prices", b'{"error": "PLANTED"}', status)
    said = refused(lambda: http.get_json(f"{url}?page=PLANTED", {"Authorization": "Bearer PLANTED"}))
    assert str(status) in said
    assert "PLANTED" not in said
    assert len(server.seen) == 1


# --- where it goes


def test_a_redirect_to_its_own_host(server: Any, http: HttpClient) -> None:
    server.page("/old", b"", 301, Location="/new")
    server.page("/new", b"[1]")
    assert http.get_json(f"{server.url}/old", {"Authorization": "Bearer x"}) == [1]
    assert server.seen[1][2]["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    "location",
    ["http://localhost:1/", "https://example.com/", "http://127.0.0.2:1/", "file:///etc/passwd", "//[", "ftp://x"],
)
def test_a_redirect_to_another(server: Any, http: HttpClient, location: str) -> None:
    url = server.page("/old", b"", 302, Location=location)
    assert "redirects to" in refused(lambda: http.get_json(url))
    assert len(server.seen) == 1


def test_a_key_stays_with_the_server_that_it_is_for(server: Any, http: HttpClient) -> None:
    """Another port is another server, though it be the same host."""
    other = type(server)()
    try:
        server.page("/old", b"", 307, Location=other.page("/new", b"[1]"))
        assert http.get_json(f"{server.url}/old", {"Authorization": "Bearer x"}) == [1]
        assert "authorization" not in other.seen[0][2]
    finally:
        other.close()


def test_a_circle_of_redirects(server: Any, http: HttpClient) -> None:
    url = server.page("/round", b"", 302, Location="/round")
    assert "302" in refused(lambda: http.get_json(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "prices",
        "",
        "https://",
        "https://me:pw@example.com/",
    ],
)
def test_only_https_is_asked(http: HttpClient, url: str) -> None:
    refused(lambda: http.get_json(url))
    refused(lambda: whole(http, url))


@pytest.mark.parametrize("value", ["a\nb: c", "ключ", "a\0"])
def test_a_header_that_cannot_be_sent_is_not_quoted(server: Any, http: HttpClient, value: str) -> None:
    said = refused(lambda: http.get_json(server.page("/prices", b"[]"), {"Authorization": f"PLANTED{value}"}))
    assert "PLANTED" not in said


def test_a_certificate_that_nobody_vouches_for(server: Any, http: HttpClient) -> None:
    trustme = pytest.importorskip("trustme")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    server.page("/prices", b"[1]")
    server.http.socket = ours.wrap_socket(server.http.socket, server_side=True)
    url = server.url.replace("http:", "https:") + "/prices"
    assert "is not trusted" in refused(lambda: http.get_json(url))
    assert server.seen == []
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with HttpClient(QUICK, trust=trusting) as client:
        assert client.get_json(url) == [1]


def test_proxies_of_the_environment(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx asks a proxy for a plain http address with the whole of it."""
    server.page("http://127.0.0.1:9/prices", b"[1]")
    monkeypatch.setenv("HTTP_PROXY", server.url)
    with HttpClient(QUICK) as client:
        assert client.get_json("http://127.0.0.1:9/prices") == [1]
    monkeypatch.setenv("HTTP_PROXY", "gopher://nowhere")
    assert "network cannot be used" in refused(lambda: HttpClient(QUICK))


def test_sizes_are_those_that_are_documented() -> None:
    assert (Limits().json_bytes, Limits().stream_bytes) == (64 * units.MB, 2 * units.GB)
