"""Where a run can be watched over HTTP: an address, and a certificate where others reach it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zenplan.adapters.serving.installed import ENDPOINT, check_installed
from zenplan.errors import UsageError

if TYPE_CHECKING:
    import socket


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlace:
    """It.

    Attributes:
        host, port: to listen on; 0 for any port.
        certificate, key: of TLS; None for plain HTTP, on this machine alone.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Raises UsageError: the port is taken, the certificate is none, or others would reach it without TLS."""
        check_installed(ENDPOINT, "no endpoint is")
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--endpoint-cert and --endpoint-key go together", "give both, or neither")
        if self.certificate is None and not is_loopback(self.host):
            raise UsageError(
                f"others reach an endpoint on {self.host}, and its token would go there in the clear",
                "give --endpoint-cert and --endpoint-key, or listen on 127.0.0.1 behind an SSH tunnel",
            )
        self._check_certificate()
        self.bound().close()

    def bound(self) -> socket.socket:
        """Its socket. Raises UsageError: it cannot be had."""
        from zenplan.adapters.serving.connections import listening

        try:
            return listening(self.host, self.port)
        except UsageError as error:
            raise UsageError(error.message, "--endpoint with another port, or with 0 for any") from error

    def _check_certificate(self) -> None:
        if self.certificate is None:
            return
        import ssl

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            none = isinstance(error, ssl.SSLError | ValueError)
            why = "they are no certificate and its key" if none else getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"no TLS with {self.certificate} and {self.key}: {why}", "files of PEM, without a password"
            ) from error


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches it."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def place_of(text: str, what: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; of a port alone this machine's own address. Raises UsageError: it is neither."""
    host, _, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 1 << 16) or not host.isprintable():
        raise UsageError(f"{what} is '{text}'", "as in 127.0.0.1:8090, or 0 for any port of this machine alone")
    return host or "127.0.0.1", int(port)
