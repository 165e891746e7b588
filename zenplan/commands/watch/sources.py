"""Where a run is looked at from: its folder, on this machine or a shared one, or its HTTP endpoint."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from zenplan import documents
from zenplan.adapters.run_folder.folder import LIVE, METRICS, MOST_BYTES, NOTICES, PREDICTION, RESULT, STATUS
from zenplan.adapters.run_folder.lines import lines_after
from zenplan.adapters.run_folder.orders import order_stop
from zenplan.adapters.run_folder.place import find_run
from zenplan.adapters.serving.endpoint_place import is_loopback
from zenplan.commands.train.document import PredictionDocument, RunDocument, prediction_of, result_of
from zenplan.commands.train.past import standing
from zenplan.commands.train.screen import View
from zenplan.domain.measured.training_run import RunPrediction, RunResult, RunStatus
from zenplan.errors import DataError, InputFileError, UnknownName, UsageError, ZenplanError, printable

if TYPE_CHECKING:
    from zenplan.adapters.http.client import HttpClient

T = TypeVar("T")
Lines = Sequence[Mapping[str, Any]]
TOKEN: Final = "ZENPLAN_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_HINT: Final = f"--token, or {TOKEN}: it is in endpoint.json of the run's folder"
# Of figures that cannot be.
_OTHER: Final = "was it written by another version of zenplan, or changed since?"
# Of an answer.
_CALL_S, _MOST_JSON = 15.0, 8e6
# As many lines of a file at once say that there may be more.
_MANY, _MOST_TURNS = 1000, 20
_PLACE: Final = re.compile(r"[\w.\-\[\]:]+:\d{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A run as it was just found.

    Attributes:
        status: of it.
        view: as its own process shows it; None where that wrote none.
        prediction: from before it; None where there is none.
        metrics, notices: lines that have come since the last look.
        at_it: whether a process is at it; None where that cannot be seen from here.
    """

    status: RunStatus
    view: View | None
    prediction: RunPrediction | None
    metrics: Lines
    notices: Lines
    at_it: bool | None


class Source(Protocol):
    """A run, wherever it is."""

    # How an error calls it; how often it is looked at.
    name: str
    every_s: float

    def look(self) -> Look:
        """How it stands. Raises Starting: there is nothing to see yet; ZenplanError: that cannot be seen."""

    def result(self) -> tuple[RunResult, Path] | None:
        """What came out, and its folder; None where that is not written yet. Raises ZenplanError: it cannot be read."""

    def stop(self) -> None:
        """Let it end with a checkpoint. Raises ZenplanError: it cannot be told so."""


@contextmanager
def source_of(run: str, token: str) -> Iterator[Source]:
    """The source of a run by its id, folder or address.

    Args:
        run: that.
        token: of its endpoint; empty for none.

    Raises:
        UsageError: there is no such run, or it is no address that may be asked.
    """
    if "://" in run:
        with _endpoint(run, token) as found:
            yield found
        return
    try:
        folder = find_run(run)
    except UnknownName as error:
        if _PLACE.fullmatch(run):
            raise UsageError(f"{run} is no run, and no address as it stands", f"as in: https://{run}") from error
        raise
    yield FolderSource(folder)


class FolderSource:
    """By its folder."""

    every_s = 1.0

    def __init__(self, folder: Path) -> None:
        self.name, self._folder = str(folder), folder
        self._since = {METRICS: "", NOTICES: ""}

    def look(self) -> Look:
        """As of ``Source``."""
        status, at_it = standing(self._folder, foreign=True)
        return Look(
            status=status,
            view=self._read(LIVE, View) if (self._folder / LIVE).exists() else None,
            prediction=_prediction(self._read(PREDICTION, PredictionDocument), self.name)
            if (self._folder / PREDICTION).exists()
            else None,
            metrics=self._lines(METRICS),
            notices=self._lines(NOTICES),
            at_it=at_it,
        )

    def result(self) -> tuple[RunResult, Path] | None:
        """As of ``Source``."""
        if not (self._folder / RESULT).exists():
            return None
        return _result(self._read(RESULT, RunDocument), self.name)[0], self._folder

    def stop(self) -> None:
        """As of ``Source``."""
        try:
            order_stop(self._folder)
        except ZenplanError as error:
            status = self._read(STATUS, RunStatus)
            raise ZenplanError(error.message, f"on {status.host or 'its machine'}: kill -TERM {status.pid}") from error

    def _read(self, name: str, kind: type[T]) -> T:
        from zenplan.adapters.files.regular_file import read_text

        what = f"{name} of the run in {self._folder}"
        text = read_text(self._folder / name, what, MOST_BYTES, "may you read the run's folder?")
        return documents.decode(text, kind, what, foreign=True)

    def _lines(self, name: str) -> Lines:
        def more() -> list[dict[str, Any]]:
            found, self._since[name] = lines_after(self._folder / name, self._since[name])
            return found

        return _all(more)


class EndpointSource:
    """By its HTTP endpoint."""

    every_s = 2.0

    def __init__(self, url: str, token: str, http: HttpClient) -> None:
        self.name, self._url, self._http = url, url, http
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._since = {METRICS: "", NOTICES: ""}

    def look(self) -> Look:
        """As of ``Source``."""
        found = self._get("/status")
        if not isinstance(found, dict) or not isinstance(found.get("status"), dict):
            raise DataError(
                f"{self.name} answers, and is no endpoint of a run", "as 'zenplan train --endpoint' says it"
            )
        view, prediction = found.get("view"), found.get("prediction")
        return Look(
            status=_decoded(found["status"], RunStatus, self.name),
            view=None if view is None else _decoded(view, View, self.name),
            prediction=None
            if prediction is None
            else _prediction(_decoded(prediction, PredictionDocument, self.name), self.name),
            metrics=self._lines("/metrics", METRICS),
            notices=self._lines("/notices", NOTICES),
            # It is the run's own process that answers.
            at_it=True,
        )

    def result(self) -> tuple[RunResult, Path] | None:
        """As of ``Source``."""
        found = self._get("/result", 404)
        return None if found is None else _result(_decoded(found, RunDocument, self.name), self.name)

    def stop(self) -> None:
        """As of ``Source``."""
        self._get("/stop", body={})

    def _get(self, route: str, none: int = 0, body: Mapping[str, Any] | None = None) -> Any:
        """The answer; None where its status is ``none``. Raises DataError: there is none."""
        from zenplan.adapters.http.client import Answered, Unreached

        try:
            return self._http.get_json(f"{self._url}{route}", self._headers, body)
        except Answered as error:
            if error.status == none:
                return None
            if error.status == 401:
                wrong = "does not take that token" if self._headers else "wants a token"
                raise NotLetIn(f"{self.name} {wrong}", _TOKEN_HINT) from error
            raise
        except Unreached as error:
            raise DataError(error.message, _unreached(error.cause, self._url) or error.hint) from error

    def _lines(self, route: str, name: str) -> Lines:
        def more() -> list[dict[str, Any]]:
            found = self._get(f"{route}?since={self._since[name]}")
            if not isinstance(found, dict) or not isinstance(found.get("lines"), list):
                raise DataError(
                    f"{self.name} answers, and has no lines in {route}", "is it of this version of zenplan?"
                )
            self._since[name] = quote(str(found.get("next", ""))[:64])
            return [each for each in found["lines"] if isinstance(each, dict)]

        return _all(more)


def _unreached(cause: OSError | None, url: str) -> str:
    """Where to look when an endpoint cannot be reached; empty where nothing says it."""
    plain = url.startswith("http:")
    if isinstance(cause, socket.gaierror):
        return "no host of that name is known here: the address is in endpoint.json of the run's folder"
    if isinstance(cause, ssl.SSLError) and not plain:
        return f"it does not speak TLS: another port, or http://{url.partition('://')[2]}"
    if isinstance(cause, ConnectionRefusedError):
        return "is the run over, or at another port? its address is in endpoint.json of its folder"
    if plain and (cause is None or isinstance(cause, ConnectionResetError)):
        return f"does it speak TLS? https://{url.partition('://')[2]}"
    return ""


def _all(more: Callable[[], list[dict[str, Any]]]) -> Lines:
    """Lines until there are no more, of a run that writes faster than they are read in a few turns."""
    found: list[dict[str, Any]] = []
    for _ in range(_MOST_TURNS):
        found += (new := more())
        if len(new) < _MANY:
            break
    return found


class NotLetIn(DataError):
    """The endpoint wants a token, or another one."""


def _decoded(value: Any, kind: type[T], what: str) -> T:
    return documents.decode(json.dumps(value), kind, f"the answer of {what}", foreign=True)


def _prediction(document: PredictionDocument, what: str) -> RunPrediction:
    try:
        return prediction_of(document)
    except ValueError as error:
        raise DataError(f"the prediction of {what}: {error}", _OTHER) from error


def _result(document: RunDocument, what: str) -> tuple[RunResult, Path]:
    try:
        return result_of(document), Path(document.folder)
    except ValueError as error:
        raise DataError(f"the result of {what}: {error}", _OTHER) from error


@contextmanager
def _endpoint(url: str, token: str) -> Iterator[EndpointSource]:
    if not find_spec("httpx") or not find_spec("hishel"):
        raise UsageError("httpx is not installed, and no endpoint is asked without", "pip install 'zenplan[prices]'")
    place = _checked(url)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("the token has letters that a header may not have", _TOKEN_HINT)
    from zenplan.adapters.http.client import HttpClient, Limits

    limits = Limits(connect_s=5.0, read_s=_CALL_S, call_s=_CALL_S, json_bytes=_MOST_JSON, tries=2, most_wait_s=5.0)
    # A proxy would be shown the token of what is not encrypted.
    with HttpClient(limits, direct=place.startswith("http:")) as http:
        yield EndpointSource(place, token, http)


def _checked(url: str) -> str:
    """The address without its last slash. Raises UsageError: it may not be asked."""
    shown, example = printable(url[:80]), "as in: https://host:8443"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"{shown} is no address", example) from error
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError("the address of a run has no user, query or fragment", f"{example}; {_TOKEN_HINT}")
    if parts.scheme not in ("http", "https") or not host or not url.isprintable():
        raise UsageError(f"{shown} is no address of a run", example)
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(
            f"{shown} is not asked: over plain HTTP the token would go in the clear",
            f"https://, or through a tunnel: ssh -L PORT:127.0.0.1:PORT {host}",
        )
    return url.rstrip("/")


def newest(source: Source, status: RunStatus) -> tuple[RunResult, Path] | None:
    """The result that goes with that status; None where it is not there (yet), or is of another version."""
    try:
        found = source.result()
    except (InputFileError, DataError):
        return None
    return found if found is not None and found[0].status.updated_at == status.updated_at else None
