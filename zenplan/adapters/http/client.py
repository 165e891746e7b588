"""What price sources may do with the network: bounded in time and size, patient with a busy server, strict about places.

Only https, but for this machine's own addresses. Names that a server redirects to are those of its own host. No cookies;
proxies and certificates as the environment says. A question without a header of the plugin's own, and without a key in its
address, is kept with its answer, and asked again as ``If-None-Match`` or ``If-Modified-Since``; no other is.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec
from hishel import CacheOptions, SqliteStorage
from hishel.httpx import CacheClient

from zenplan import units
from zenplan.adapters.http.pieces import CutOff, pieces
from zenplan.adapters.http.places import address, has_key, place_of, redirected, same_origin
from zenplan.adapters.http.waiting import Expiry, Sockets, pause_s, retry_after_s
from zenplan.errors import DataError
from zenplan.version import __version__

AGENT: Final = f"zenplan/{__version__} (+https://github.com/zenplan/zenplan)"
_BUSY: Final = frozenset({429, 502, 503, 504})
_LATER: Final = "try again later"
_MOST_REDIRECTS: Final = 5
_MOST_KEPT_BYTES: Final = int(256 * units.MB)
# A new major version of hishel may have other tables, and wants another file.
_KEPT: Final = "http-2.sqlite"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long to wait, and how much to take.

    Attributes:
        connect_s: for a connection and its encryption.
        read_s: for the next piece of an answer.
        call_s: for a whole answer in JSON, all tries together; and for the beginning of a stream.
        stream_s: for the rest of a stream.
        json_bytes: of an answer in JSON, unpacked.
        stream_bytes: of a stream, unpacked, where its reader gives no other limit.
        tries: of a question to which a server is too busy, or whose answer is cut off.
        backoff_s: the longest first pause; each next one may be twice as long.
        most_wait_s: that a server may ask for between tries; where it asks for more, it is left alone.
    """

    connect_s: float = 10.0
    read_s: float = 20.0
    call_s: float = 120.0
    stream_s: float = 1800.0
    json_bytes: float = 64 * units.MB
    stream_bytes: float = 2 * units.GB
    tries: int = 4
    backoff_s: float = 1.0
    most_wait_s: float = 60.0


class HttpClient:
    """The network for one price source; see ``protocols.Http``. It is a context, and is used by one thread.

    Args:
        limits: of time and size.
        kept: folder in which answers are kept; None keeps none.
        trust: which certificates are good; None for what httpx trusts. Sharing one saves its making.
        direct: whatever proxy the environment names is left out, as for what this machine answers itself.

    Raises:
        DataError: a proxy or the certificates that the environment names cannot be used.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        kept: Path | None = None,
        trust: ssl.SSLContext | None = None,
        direct: bool = False,
    ) -> None:
        self._limits = limits or Limits()
        self._sockets = Sockets()
        self._client = _client(httpx.Client, self._limits, trust, trust_env=not direct)
        self._keeping = (
            _client(CacheClient, self._limits, trust, **_keeping(kept, self._limits)) if kept else self._client
        )

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._keeping.close()

    def get_json(
        self, url: str, headers: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """The decoded JSON answer of a GET, or of a POST when there is a body. Raises DataError: there is none."""
        place = address(url)
        wanted = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
        content = None if body is None else msgspec.json.encode(body)
        # An answer that took a key is its owner's; hishel would write the key down with it.
        client = self._client if headers or content is not None or has_key(place) else self._keeping

        def asked() -> bytes:
            with closing(self._sent(client, place, {**wanted, **(headers or {})}, content, expiry)) as response:
                parts = pieces(response, self._limits.json_bytes, place_of(place))
                return b"".join(_in_time(parts, place_of(place), expiry))

        with Expiry(self._limits.call_s, self._sockets.shut) as expiry:
            answer = self._tried(place, expiry, asked)
        try:
            return msgspec.json.decode(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            what = "a web page" if answer.lstrip()[:1] == b"<" else f"what is no JSON: {error}"
            raise DataError(f"{place_of(place)} answers with {what}", _LATER) from error

    def stream(
        self, url: str, headers: Mapping[str, str] | None = None, most_bytes: float | None = None
    ) -> AbstractContextManager[Iterable[bytes]]:
        """The answer of a GET piece by piece, unpacked; see ``protocols.Http``. Raises DataError, also while it is read."""
        return self._stream(address(url), headers or {}, most_bytes or self._limits.stream_bytes)

    @contextmanager
    def _stream(self, place: httpx.URL, headers: Mapping[str, str], most_bytes: float) -> Iterator[Iterable[bytes]]:
        with (
            Expiry(self._limits.call_s, self._sockets.shut) as expiry,
            closing(
                self._tried(place, expiry, lambda: self._sent(self._client, place, headers, None, expiry))
            ) as response,
        ):
            expiry.begin_again(self._limits.stream_s)
            yield _in_one_line(pieces(response, most_bytes, place_of(place)), place_of(place), expiry)

    def _tried(self, place: httpx.URL, expiry: Expiry, ask: Callable[[], T]) -> T:
        """What it answers, asked again where the server is busy or the connection broke. Raises DataError."""
        limits, where = self._limits, place_of(place)
        broken: Exception | None = None
        for number in range(1, limits.tries + 1):
            wait_s = pause_s(number, limits.backoff_s)
            try:
                return ask()
            except _Busy as busy:
                reason, broken = busy.reason, None
                if busy.wait_s is not None:
                    wait_s = busy.wait_s
                    if wait_s > min(limits.most_wait_s, expiry.left_s):
                        raise DataError(f"{where} {reason}, for {units.duration(wait_s)}", _LATER) from busy
            except (httpx.TransportError, CutOff) as error:
                reason, broken = "" if expiry.over else _reason(error, where), error
            if number < limits.tries and not expiry.over:
                time.sleep(max(0.0, min(wait_s, expiry.left_s)))
            if expiry.over:
                raise _too_late(where, expiry)
        said = f"{where} {reason}, {limits.tries} times"
        raise DataError(said, _LATER) if broken is None else Unreached(said, broken) from broken

    def _sent(
        self,
        client: httpx.Client,
        place: httpx.URL,
        headers: Mapping[str, str],
        content: bytes | None,
        expiry: Expiry,
    ) -> httpx.Response:
        """Its answer, whose body is still to come. Raises DataError, _Busy, httpx.TransportError."""
        here = place
        for _ in range(_MOST_REDIRECTS):
            # What a plugin sends to one place is not for another.
            shown = headers if same_origin(here, place) else {}
            try:
                request = client.build_request(
                    "GET" if content is None else "POST",
                    here,
                    # What is kept is asked about each time; what has not changed is not sent again.
                    headers={"Cache-Control": "no-cache", **shown},
                    content=content,
                    extensions={"trace": partial(self._sockets.trace, expiry)},
                )
                response = client.send(request, stream=True)
            except (ValueError, TypeError, httpx.LocalProtocolError) as error:
                # What the error says may quote a header, and so a key.
                raise DataError(f"{place_of(here)} is not asked: a header is none that can be sent") from error
            if not response.has_redirect_location:
                break
            response.close()
            if content is not None and response.status_code not in (307, 308):
                break
            here = redirected(here, response.headers["location"])
        if response.is_success:
            return response
        response.close()
        if response.status_code in _BUSY:
            said = f"is busy ({_status(response)})"
            raise _Busy(said, retry_after_s(response.headers.get("retry-after")))
        raise Answered(f"{place_of(here)} answers {_status(response)}", _hint(response), response.status_code)


def trusted() -> ssl.SSLContext:
    """The certificates that httpx trusts, to be shared. Raises DataError: the environment names none."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise DataError(f"the network cannot be used: {error}", "look at SSL_CERT_FILE and SSL_CERT_DIR") from error


class Answered(DataError):
    """An answer that is none to what was asked.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, message: str, hint: str, status: int) -> None:
        super().__init__(message, hint)
        self.status = status


class Unreached(DataError):
    """No answer, or none that is whole.

    Attributes:
        cause: what the system or its TLS said; None where they said nothing, as of one who hangs up.
    """

    def __init__(self, message: str, error: Exception) -> None:
        causes = [each for each in _causes(error) if isinstance(each, OSError)]
        self.cause = causes[-1] if causes else None
        unknown = isinstance(self.cause, socket.gaierror)
        super().__init__(message, "is the name of the host right?" if unknown else _LATER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """It, and what it came of."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


class _Busy(Exception):
    """A server that asks to be asked later.

    Attributes:
        wait_s: that it asks for; None where it says nothing.
    """

    def __init__(self, reason: str, wait_s: float | None) -> None:
        super().__init__(reason)
        self.reason, self.wait_s = reason, wait_s


def _client(kind: type[httpx.Client], limits: Limits, trust: ssl.SSLContext | None, **more: Any) -> httpx.Client:
    try:
        return kind(
            headers={"User-Agent": AGENT, "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(limits.read_s, connect=limits.connect_s),
            verify=trust or True,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            **more,
        )
    except (ImportError, ValueError, OSError) as error:
        hint = "look at HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
        raise DataError(f"the network cannot be used: {error}", hint) from error


def _keeping(folder: Path, limits: Limits) -> dict[str, Any]:
    """Where answers are kept. What goes wrong with them is never more than a question asked anew."""
    logging.getLogger("hishel").setLevel(logging.CRITICAL + 1)
    return {
        "storage": SqliteStorage(
            database_path=folder / _KEPT, max_stream_size=int(limits.json_bytes), max_size=_MOST_KEPT_BYTES
        ),
        "rfc": CacheOptions(shared=False, supported_methods=["GET"], allow_stale=False),
    }


def _in_one_line(parts: Iterator[bytes], where: str, expiry: Expiry) -> Iterator[bytes]:
    """The same; what breaks on the way is a DataError."""
    try:
        yield from _in_time(parts, where, expiry)
    except (httpx.TransportError, CutOff) as error:
        raise (
            _too_late(where, expiry) if expiry.over else DataError(f"{where} {_reason(error, where)}", _LATER)
        ) from error


def _in_time(parts: Iterator[bytes], where: str, expiry: Expiry) -> Iterator[bytes]:
    """The same. A body that ends where its connection does looks whole when the time was up."""
    yield from parts
    if expiry.over:
        raise _too_late(where, expiry)


def _too_late(where: str, expiry: Expiry) -> DataError:
    return DataError(f"{where} gives no whole answer within {units.duration(expiry.seconds)}", _LATER)


def _reason(error: Exception, where: str) -> str:
    """What went wrong, as the verb of a sentence. Raises DataError: trying again helps nothing."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "SSL_CERT_FILE names certificates to trust"
            raise DataError(f"{where} is not trusted: {cause.verify_message}", hint) from error
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "cannot be reached in time"
    if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
        return "does not answer in time"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return f"cannot be reached ({error})"
    return "breaks off"


def _status(response: httpx.Response) -> str:
    return f"{response.status_code} {response.reason_phrase[:40]}".strip()


def _hint(response: httpx.Response) -> str:
    if response.status_code in (401, 403, 407):
        return "it wants a key, or another one; the plugin's README says where it looks for it"
    return _LATER if response.is_server_error else "its interface may have changed: look for a newer plugin"
