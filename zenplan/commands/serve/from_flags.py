"""A server from the texts of flags, to its end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import replace

from zenplan.adapters.files.regular_file import read_bytes
from zenplan.adapters.serving.installed import MODEL, check_installed
from zenplan.commands.run_serving.wanted import wanted_of
from zenplan.commands.shared.output import warned
from zenplan.commands.train.finished import finished_run
from zenplan.errors import InputFileError, UnknownName, UsageError

_LOOPBACK = ("127.", "localhost", "::1")
_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
FORMS = ("table", "json")
_MOST_PEM_BYTES, _PEM = 1_000_000, "both are in PEM, the key without a password"


def served(
    run: str,
    flags: Mapping[str, str],
    host: str,
    backend: str | None,
    token: str,
    form: str,
    tls: tuple[str | None, str | None] = (None, None),
) -> int:
    """Serve the model of that run until a signal comes.

    Args:
        run: its id or folder; flags: as texts; host: that is listened on.
        backend: to answer on; None for that of the run.
        token: that requests bear; empty for none. form: of what is told.
        tls: files of a certificate and its key; None for plain HTTP.

    Returns:
        The exit code.

    Raises:
        UsageError: a flag is wrong, the run is none that is finished, or the port is taken.
        InputFileError: the certificate or its key cannot be used.
        ZenplanError: the model's worker does not come to be ready.
    """
    if form not in FORMS:
        raise UnknownName("format", form, FORMS)
    check_installed(MODEL, "nothing is served")
    wanted = replace(wanted_of(flags, host, token), tls=_checked(*tls))
    found = finished_run(run)
    if not token and not host.startswith(_LOOPBACK):
        warned(f"whoever reaches {host} can ask this model; ZENPLAN_SERVE_TOKEN=... asks for a token")
    elif not wanted.tls and not host.startswith(_LOOPBACK):
        warned("the token and what is asked go over the network as they are; --cert and --key encrypt them")
    from zenplan.commands.serve.screen import Screen
    from zenplan.commands.serve.use_case import serve_run

    cut = serve_run(found, wanted, backend, Screen(sys.stdout, sys.stderr, form == "json"))
    return _CODES.get(signal.Signals(cut), 1) if cut is not None else 0


def _checked(cert: str | None, key: str | None) -> tuple[str, str] | None:
    """The files of a certificate and its key, which belong together and open without a password."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise UsageError("--cert and --key go together", "as in: --cert chain.pem --key key.pem")
    import ssl

    for file in (cert, key):
        read_bytes(file, f"the file '{file}'", _MOST_PEM_BYTES, _PEM)
    try:
        # Whoever is asked for a password is not there: an empty one opens nothing.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise InputFileError(f"the certificate {cert} cannot be used with the key {key}: {why}", _PEM) from error
    return cert, key
