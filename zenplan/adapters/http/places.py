"""Where a price source may ask: addresses, and whether a server may send it elsewhere."""

from __future__ import annotations

import ipaddress
from typing import Final

import httpx

from zenplan.errors import DataError

# Parameters of an address that are keys by their name: such an address is not written down.
_KEYS: Final = ("key", "token", "secret", "password", "signature", "sig", "auth", "credential")
_HINT: Final = "ask for the address that it moved to, if that is to be trusted"


def address(url: str) -> httpx.URL:
    """The address, once it is one that may be asked: https, or this machine itself. Raises DataError."""
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise DataError("a price source asks for what is no address") from error
    if not found.host or not (found.scheme == "https" or (found.scheme == "http" and _is_here(found.host))):
        raise DataError(f"{place_of(found)} is not asked: only https is", "a price source asks for https addresses")
    if found.userinfo:
        raise DataError(f"{place_of(found)} is not asked: a name or password stands in its address")
    return found


def place_of(url: httpx.URL) -> str:
    """Its host, a port that is not the usual one, and path: never what stands behind them, which may be a key."""
    path = url.path if len(url.path) <= 60 else f"{url.path[:59]}…"
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host or url.scheme}{'' if url.port is None else f':{url.port}'}{path}"


def redirected(url: httpx.URL, location: str) -> httpx.URL:
    """Where a server sends us: to its own host or one within it, over https. Raises DataError: somewhere else."""
    try:
        there = url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise DataError(f"{place_of(url)} redirects to what is no address", _HINT) from error
    if not _one_within_the_other(url.host, there.host):
        raise DataError(f"{place_of(url)} redirects to another host, {there.host[:80]}, which is not asked", _HINT)
    return address(str(there))


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether a key for the one may be shown to the other."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def has_key(url: httpx.URL) -> bool:
    """Whether a parameter of the address looks like a key."""
    return any(word in name.lower() for name in url.params for word in _KEYS)


def _one_within_the_other(one: str, other: str) -> bool:
    # Not by the last two labels: in co.uk and in amazonaws.com those of two owners are the same.
    return one == other or f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
