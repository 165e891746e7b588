"""gpuhunt's catalogues, loaded once for all clouds in a process of their own, which is ended where it takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

import msgspec
from zenplan import DataError

# Where gpuhunt 0.1.34 looks, unless this variable says otherwise.
_ADDRESS: Final = "https://dstack-gpu-pricing.s3.eu-west-1.amazonaws.com/v3"
_VARIABLE: Final = "GPUHUNT_CATALOG_URL"
# gpuhunt itself takes a catalogue for new for as long.
_FRESH_S: Final = 900.0


class Item(msgspec.Struct, kw_only=True):
    """A ``gpuhunt.CatalogItem``: dollars an hour of a whole instance, on demand or spot."""

    instance_name: str
    location: str
    price: float
    cpu: int
    memory: float
    gpu_count: int
    gpu_name: str | None
    gpu_memory: float | None
    spot: bool


class Loaded(msgspec.Struct, kw_only=True):
    """A cloud's catalogue.

    Attributes:
        unread: rows that gpuhunt could not read.
        source: where it is from.
    """

    version: str
    items: list[Item]
    unread: int
    source: str = ""


class _Collected(msgspec.Struct, kw_only=True):
    loaded: dict[str, Loaded]
    failed: dict[str, str]


@dataclass(slots=True)
class Catalogue:
    """The catalogues of all clouds: whoever asks first loads them, and others wait for that.

    Attributes:
        timeout_s: how long loading may take.
    """

    timeout_s: float = 120.0
    _lock: Lock = field(default_factory=Lock, repr=False)
    _found: tuple[float, _Collected] | None = field(default=None, repr=False)

    def of(self, cloud: str) -> Loaded:
        """The catalogue of a cloud, by gpuhunt's name of it. Raises DataError: it could not be loaded."""
        with self._lock:
            if self._found is None or monotonic() - self._found[0] > _FRESH_S:
                self._found = monotonic(), self._collect()
            found = self._found[1]
        if cloud not in found.loaded:
            reason = found.failed.get(cloud) or next(iter(found.failed.values()), "it is not there")
            raise DataError(f"gpuhunt could not load its catalogue of {cloud}: {reason}")
        loaded = found.loaded[cloud]
        loaded.source = f"{_address()}/{cloud}/{loaded.version}/catalog.zip"
        return loaded

    def _collect(self) -> _Collected:
        command = [sys.executable, "-P", str(Path(__file__).with_name("collect.py"))]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.timeout_s)
            if done.returncode:
                raise DataError(f"gpuhunt ended with code {done.returncode}")
            # A price may be NaN, which is no JSON but Python's.
            return msgspec.convert(json.loads(done.stdout), _Collected)
        except subprocess.TimeoutExpired:
            raise DataError(f"gpuhunt gave no answer within {self.timeout_s:g} s") from None
        except (ValueError, msgspec.ValidationError) as error:
            raise DataError(f"gpuhunt's catalogue: {error}: the format has changed") from None


def _address() -> str:
    """Where gpuhunt looks, less a user's name and password."""
    parts = urlsplit(os.environ.get(_VARIABLE) or _ADDRESS)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}".rstrip("/")


SHARED: Final = Catalogue()
